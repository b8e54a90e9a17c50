"""OpenAI Codex (`codex`): its events headless, and the rollout that it keeps of every conversation.

A command that its sandbox stopped is in the events only when it took a while; the rollout has every one.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from agent.tools import hooks
from agent.tools.adapter import Need, Said, Seed, Signs
from agent.tools.jsonlines import Object, at, count_at, objects, text_at, text_of, transcript
from agent.tools.report import Outcome
from agent.tools.verdict import Found, report
from spool.records import Usage

if TYPE_CHECKING:
    from agent.tools.report import Report

SIGNS = Signs(
    title=r"Action Required",
    text=r"Trust this folder\?|Would you like to run the following|enter/esc confirm|Sign in with",
)

_EVENTS = {
    "PermissionRequest": ("", "waiting"),
    "Stop": ("", "waiting"),
    "UserPromptSubmit": ("", "working"),
    "PostToolUse": ("", "working"),
}
_TRANSCRIPTS = "sessions/*/*/*/rollout-*.jsonl"
_STOPPED = re.compile(
    r"Read-only file system|Operation not permitted|Permission denied|Sandbox\w*Denied", re.IGNORECASE
)
_REJECTED = re.compile(
    r"approval policy is Never|rejected by user|exec command rejected|patch rejected", re.IGNORECASE
)
_FAILED = re.compile(r"exited with code [1-9]")
_CAPACITY = re.compile(r"at capacity|high demand", re.IGNORECASE)


def seed(need: Need) -> Seed:
    """Trust the folder, keep to the model that is set, and ask for nothing before the task."""
    lines = [
        "check_for_update_on_startup = false",
        "[analytics]",
        "enabled = false",
        # else a dialog offers another model, and Enter takes it
        "[notice.model_migrations]",
        '"gpt-5.5" = "gpt-6-sol"',
        f"[projects.{json.dumps(str(need.cwd))}]",
        'trust_level = "trusted"',
    ]
    files = {
        "config.toml": "\n".join(lines).encode() + b"\n",
        "hooks.json": hooks.as_bytes({"hooks": hooks.table(need, _EVENTS)}),
    }
    return Seed(files=files, env={"CODEX_HOME": str(need.config_dir), **hooks.headless(need)})


def read(said: Said) -> Report:
    """Say what an attempt came to."""
    events = [] if said.interactive else objects(text_of(said.stdout))
    session_id = next(
        (text_at(event, "thread_id") for event in events if event.get("type") == "thread.started"), ""
    )
    kept = transcript(said.config_dir, _TRANSCRIPTS, session_id or said.session_id)
    if said.interactive:
        return report(said, _from_rollout(kept))
    return report(said, _from_events(events, kept, session_id, text_of(said.stderr)))


def question(raw: str) -> str:
    """Put what its hook was given into words."""
    return hooks.question(raw)


def _from_events(events: list[Object], kept: list[Object], session_id: str, stderr: str) -> Found:
    items = [at(event, "item") for event in events if event.get("type") == "item.completed"]
    texts = [text_at(item, "text") for item in items if text_at(item, "type") == "agent_message"]
    ends = [event for event in events if event.get("type") in ("turn.completed", "turn.failed")]
    errors = [text_at(event, "message") for event in events if event.get("type") == "error"]
    ended = ends[-1] if ends else None
    error = text_at(ended, "error", "message") if ended else (errors[-1] if errors else "")
    finished = ended is not None and ended.get("type") == "turn.completed"
    return Found(
        finished=finished,
        text=(texts[-1] if texts else _from_rollout(kept).text) if finished else "",
        error="" if finished else _words(error),
        outcome=Outcome.SERVER_ERROR if _CAPACITY.search(error) and not finished else None,
        refused=_refused(items, kept, stderr),
        usage=_last_turn(kept) or _usage(at(ended, "usage")),
        session_id=session_id or None,
        worked=bool(items) or finished,
    )


def _words(error: str) -> str:
    """Return the message inside an error that is the server's JSON."""
    inner = objects(error)
    if not inner:
        return error
    kind = text_at(inner[0], "error", "type")
    return f"{text_at(inner[0], 'error', 'message') or error}{f' ({kind})' if kind else ''}"


def _refused(items: list[Object], kept: list[Object], stderr: str) -> str:
    for item in items:
        if text_at(item, "status") == "declined":
            return text_at(item, "command") or "what it asked for was declined"
        output = text_at(item, "aggregated_output")
        if (
            text_at(item, "type") == "command_execution"
            and count_at(item, "exit_code")
            and _STOPPED.search(output)
        ):
            return f"{text_at(item, 'command')}: {output}"
    for record in kept:
        output = text_at(record, "payload", "output")
        stopped = _REJECTED.search(output) or (_FAILED.search(output) and _STOPPED.search(output))
        if text_at(record, "payload", "type") == "function_call_output" and stopped:
            return output.partition("Output:")[2] or output
    rejected = next((line for line in stderr.splitlines() if _REJECTED.search(line)), "")
    return rejected.partition("error=")[2] or rejected


def _usage(counts: Any) -> Usage:
    return Usage(
        input_tokens=count_at(counts, "input_tokens"), output_tokens=count_at(counts, "output_tokens")
    )


def _last_turn(kept: list[Object]) -> Usage | None:
    """Return what the last turn used: the events count the earlier turns of a conversation as well."""
    turns = [at(record, "payload", "turn_token_usage") for record in kept]
    return next((_usage(turn) for turn in reversed(turns) if turn), None)


def _from_rollout(kept: list[Object]) -> Found:
    payloads = [record["payload"] for record in kept if isinstance(record.get("payload"), dict)]
    metas = [
        text_at(payload, "id")
        for record, payload in zip(kept, payloads, strict=False)
        if record.get("type") == "session_meta"
    ]
    ends = [payload for payload in payloads if text_at(payload, "type") == "task_complete"]
    counts = [
        at(payload, "info", "total_token_usage")
        for payload in payloads
        if text_at(payload, "type") == "token_count"
    ]
    totals = [count for count in counts if count]
    usage = Usage(
        input_tokens=count_at(totals[-1], "input_tokens") if totals else None,
        output_tokens=count_at(totals[-1], "output_tokens") if totals else None,
    )
    session_id = metas[0] if metas else None
    if not ends:
        return Found(session_id=session_id, usage=usage, worked=bool(totals))
    return Found(
        finished=not at(ends[-1], "error"),
        text=text_at(ends[-1], "last_agent_message"),
        error=_words(text_at(ends[-1], "error", "message")),
        usage=usage,
        session_id=session_id,
        worked=bool(totals),
    )
