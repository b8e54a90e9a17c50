"""opencode (`opencode`): events on stdout; what lies behind an "unknown" error is in its log alone."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from agent.tools import hooks
from agent.tools.adapter import Need, Said, Seed, Signs
from agent.tools.jsonlines import Object, at, count_at, number_at, objects, text_at, text_of
from agent.tools.report import Outcome
from agent.tools.streamjson import named
from agent.tools.verdict import Found, one_line, report
from spool.records import Usage

if TYPE_CHECKING:
    from pathlib import Path

    from agent.tools.report import Report

SIGNS = Signs(text=r"Permission required")
"""It has no hooks; its plug-ins are not used, since one makes its start wait for the network."""

_ASKING = {"edit": "ask", "bash": "ask", "webfetch": "ask", "external_directory": "ask", "doom_loop": "ask"}
_PERMISSIONS = {
    "read-only": dict.fromkeys(("edit", "bash", "external_directory", "doom_loop"), "deny"),
    "ask": _ASKING,
    "auto": dict.fromkeys(_ASKING, "allow"),
}
_TAKEN_AWAY = frozenset({"bash", "edit", "write", "patch", "multiedit"})
"""It does not offer the model what is denied."""

_REJECTED = re.compile(
    r"rejected permission|permission (?:was )?denied|rule which prevents you", re.IGNORECASE
)
_FRAME = re.compile(r"[\u2500-\u25ff\u2800-\u28ff]+|(?:Allow once|ctrl\+f).*", re.DOTALL)
"""Lines and signs around its question, and what it offers below."""
_LOG = "data/opencode/log/opencode.log"
_LOG_ERROR = re.compile(r'error\.error="(?P<said>(?:[^"\\]|\\.)*)"|level=ERROR.*? error="?(?P<other>[^"\n]*)')
_LOG_BYTES = 1024 * 1024


def seed(need: Need) -> Seed:
    """Allow what the task's approval allows, in the environment: a project's settings cannot widen that."""
    env = {
        "XDG_CONFIG_HOME": str(need.config_dir / "config"),
        "XDG_DATA_HOME": str(need.config_dir / "data"),
        "XDG_STATE_HOME": str(need.config_dir / "state"),
        "OPENCODE_PERMISSION": json.dumps(_PERMISSIONS[need.task.approval]),
        "OPENCODE_DISABLE_AUTOUPDATE": "1",
        "OPENCODE_DISABLE_MODELS_FETCH": "1",
        "OPENCODE_DISABLE_LSP_DOWNLOAD": "1",
    }
    files = {"config/opencode/opencode.json": hooks.as_bytes({"autoupdate": False, "share": "disabled"})}
    return Seed(files=files, env=env)


def read(said: Said) -> Report:
    """Say what an attempt came to."""
    if said.interactive:
        return report(said, Found())
    events = objects(text_of(said.stdout))
    parts = [at(event, "part") for event in events]
    ends = [part for event, part in zip(events, parts, strict=True) if event.get("type") == "step_finish"]
    reason = text_at(ends[-1], "reason") if ends else ""
    failed = _failed(events, said)
    refused = _refused(events)
    cut_off = not failed and reason in ("unknown", "error")
    if cut_off:
        failed = {"error": "the model's stream ended without a finish reason", "outcome": Outcome.UNREACHABLE}
    found = Found(
        finished=bool(ends) and (bool(refused) or reason not in ("tool-calls", "unknown", "error")),
        text="" if failed else _text(events),
        refused=refused,
        usage=_usage(ends),
        session_id=next((text_at(event, "sessionID") for event in events if "sessionID" in event), "")
        or None,
        worked=any(count_at(end, "tokens", "output") for end in ends),
        **failed,
    )
    return report(said, found)


def question(raw: str) -> str:
    """Put one of its permissions into words: its own event, or what its screen shows below the sign."""
    try:
        event = json.loads(raw)
    except (ValueError, RecursionError):
        shown = re.split(f"(?={SIGNS.text})", raw)[-1]
        return one_line(_FRAME.sub(" ", shown)) or hooks.UNKNOWN
    asked = at(event, "properties")
    kind = text_at(asked, "permission") or text_at(asked, "type")
    if text_at(event, "type") == "session.idle":
        return "it is done, and waits for what to do next"
    if not kind:
        return hooks.UNKNOWN
    patterns = at(asked, "patterns")
    shown = {"command": patterns} if isinstance(patterns, list) and patterns else at(asked, "metadata")
    return one_line(f"may it use {named(kind, shown)}?")


def _text(events: list[Object]) -> str:
    """Return what it said in its last step."""
    texts: list[str] = []
    for event in events:
        if event.get("type") == "step_start":
            texts = []
        elif event.get("type") == "text":
            texts.append(text_at(event, "part", "text"))
    return "\n".join(texts)


def _usage(ends: list[Any]) -> Usage:
    if not ends:
        return Usage()
    cached = sum((count_at(end, "tokens", "cache", way) or 0) for end in ends for way in ("read", "write"))
    return Usage(
        input_tokens=sum(count_at(end, "tokens", "input") or 0 for end in ends) + cached,
        output_tokens=sum(
            (count_at(e, "tokens", "output") or 0) + (count_at(e, "tokens", "reasoning") or 0) for e in ends
        ),
        cost_usd=sum(number_at(end, "cost") or 0.0 for end in ends),
    )


def _refused(events: list[Object]) -> str:
    for event in events:
        state = at(event, "part", "state")
        if event.get("type") != "tool_use":
            continue
        wanted = text_at(state, "input", "tool")
        if text_at(event, "part", "tool") == "invalid" and wanted in _TAKEN_AWAY:
            return f"{wanted} is not among the tools that it has"
        if _REJECTED.search(text_at(state, "error")):
            return named(text_at(event, "part", "tool"), at(state, "input"))
    return ""


def _failed(events: list[Object], said: Said) -> dict[str, Any]:
    errors = [at(event, "error") for event in events if event.get("type") == "error"]
    if not errors:
        return {}
    error = errors[-1]
    name, message = text_at(error, "name"), text_at(error, "data", "message")
    wait = text_at(error, "data", "responseHeaders", "retry-after")
    if name == "UnknownError":
        message = _logged(said.config_dir) or message
    outcome = {"ContextOverflowError": Outcome.CONTEXT_TOO_LONG, "ProviderAuthError": Outcome.AUTH}.get(name)
    if outcome is None and name == "UnknownError" and message.startswith("Unexpected server error"):
        # its own server, not the model's
        outcome, message = Outcome.BAD_REQUEST, f"{message} (it knows no such provider or model)"
    body = text_at(error, "data", "responseBody")
    quota = " (insufficient_quota)" if "insufficient_quota" in body else ""
    return {
        "error": f"{message or name}{quota}",
        "outcome": outcome,
        "status": count_at(error, "data", "statusCode"),
        "retry_after_s": float(wait) if wait.replace(".", "", 1).isdigit() else None,
    }


def _logged(config_dir: Path | None) -> str:
    """Return the last error in its log; empty when it has none."""
    if config_dir is None:
        return ""
    try:
        text = text_of((config_dir / _LOG).read_bytes()[-_LOG_BYTES:])
    except OSError:
        return ""
    found = [match["said"] or match["other"] for match in _LOG_ERROR.finditer(text)]
    return found[-1].replace('\\"', '"') if found else ""
