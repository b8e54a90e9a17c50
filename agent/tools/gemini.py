"""Google's Gemini CLI (`gemini`): events, or one JSON document with its error on stderr, after noise."""

from __future__ import annotations

import re
from http import HTTPStatus
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
    title=r"✋|Action Required",
    text=r"Do you trust the files in this folder\?|How would you like to authenticate",
)

_EVENTS = {
    "Notification": ("ToolPermission", "waiting"),
    "AfterAgent": ("*", "waiting"),
    "BeforeAgent": ("*", "working"),
    "AfterTool": ("*", "working"),
}
_TRANSCRIPTS = ".gemini/tmp/*/chats/session-*.jsonl"
_MS = 1000
_DENIED = re.compile(
    r"denied by policy|requires? (?:user )?(?:confirmation|approval|permission)"
    r'|Tool "(?:write_file|replace|edit|run_shell_command|save_memory)" not found',
    re.IGNORECASE,
)
"""Without a terminal it leaves out the tools that would ask, so that the model finds them missing."""


def seed(need: Need) -> Seed:
    """Choose how it logs in, and switch off what it does besides the task."""
    settings: Object = {
        "general": {
            "maxAttempts": 2,
            "disableAutoUpdate": True,
            "disableUpdateNag": True,
            "enableAutoUpdate": False,
        },
        "privacy": {"usageStatisticsEnabled": False},
        "telemetry": {"enabled": False},
    }
    if kind := _login(need.has):
        settings["security"] = {"auth": {"selectedType": kind}}
    # it takes a hook's output for JSON
    settings["hooks"] = hooks.table(need, _EVENTS, " >/dev/null; echo '{}'", hooks.MAX_HOOK_S * _MS)
    env = {
        "GEMINI_CLI_HOME": str(need.config_dir),
        "GEMINI_CLI_TRUST_WORKSPACE": "true",
        **hooks.headless(need),
    }
    return Seed(files={".gemini/settings.json": hooks.as_bytes(settings)}, env=env)


def read(said: Said) -> Report:
    """Say what an attempt came to."""
    if said.interactive:
        return report(said, _from_transcript(said))
    documents = objects(text_of(said.stdout))
    events = [document for document in documents if "type" in document]
    stderr = text_of(said.stderr)
    found = _from_events(events, stderr) if events else _from_document(documents, stderr)
    return report(said, found)


def question(raw: str) -> str:
    """Put what its hook was given into words."""
    return hooks.question(raw)


def _login(has: frozenset[str]) -> str | None:
    """Return its name for the way of logging in for which there are credentials."""
    if "GEMINI_API_KEY" in has:
        return "gemini-api-key"
    if "GOOGLE_API_KEY" in has or "GOOGLE_GENAI_USE_VERTEXAI" in has:
        return "vertex-ai"
    return None


def _from_document(documents: list[Object], stderr: str) -> Found:
    wholes = [document for document in documents if "response" in document or "error" in document]
    document = wholes[-1] if wholes else {}
    failures = [found for found in objects(stderr) if isinstance(found.get("error"), dict)]
    failure = at(document, "error") or (failures[-1]["error"] if failures else None)
    usage = _usage(at(document, "stats", "models"))
    session_id = text_at(document, "session_id") or next(
        (text_at(f, "session_id") for f in reversed(failures)), ""
    )
    return Found(
        finished=bool(document) and failure is None,
        text="" if failure else text_at(document, "response"),
        refused=_refused(stderr) if count_at(document, "stats", "tools", "totalFail") else "",
        usage=usage,
        session_id=session_id or None,
        worked=bool(usage.output_tokens),
        **_failed(failure),
    )


def _from_events(events: list[Object], stderr: str) -> Found:
    results = [event for event in events if event.get("type") == "result"]
    spoken = [e for e in events if e.get("type") == "message" and e.get("role") == "assistant"]
    used = any(event.get("type") == "tool_use" for event in events)
    failures = [
        text_at(e, "error", "message")
        for e in events
        if e.get("type") == "tool_result" and e.get("status") == "error"
    ]
    last = results[-1] if results else {}
    ok = last.get("status") == "success"
    usage = Usage(
        input_tokens=count_at(last, "stats", "input_tokens"),
        output_tokens=count_at(last, "stats", "output_tokens"),
    )
    failure = at(last, "error") if last and not ok else None
    return Found(
        finished=ok,
        text=_last_message(events) if ok else "",
        refused=next((text for text in failures if _DENIED.search(text)), "")
        or (_refused(stderr) if failures else ""),
        usage=usage,
        session_id=next((text_at(e, "session_id") for e in events if e.get("type") == "init"), "") or None,
        worked=bool(spoken) or used or bool(failures),
        **_failed(failure),
    )


def _last_message(events: list[Object]) -> str:
    """Return what it said after its last tool call: the answer comes in pieces."""
    parts: list[str] = []
    for event in events:
        if event.get("type") in ("tool_use", "tool_result"):
            parts = []
        elif event.get("type") == "message" and event.get("role") == "assistant":
            parts.append(text_at(event, "content"))
    return "".join(parts)


def _failed(failure: Any) -> dict[str, Any]:
    if failure is None:
        return {}
    message = text_at(failure, "message") or "an error without a message"
    inner = objects(message)
    code = count_at(inner[0], "error", "code") if inner else count_at(failure, "code")
    said = text_at(inner[0], "error", "message") if inner else ""
    status = code if code is not None and code >= HTTPStatus.BAD_REQUEST else None
    if text_at(failure, "type") == "INVALID_STREAM":
        return {"error": message, "outcome": Outcome.NO_ANSWER}
    if inner and "API_KEY_INVALID" in message:
        return {"error": said, "outcome": Outcome.AUTH}
    return {"error": said or message, "status": status}


def _refused(stderr: str) -> str:
    return next((line for line in stderr.splitlines() if _DENIED.search(line)), "")


def _usage(models: Any) -> Usage:
    if not isinstance(models, dict):
        return Usage()
    tokens = [at(model, "tokens") for model in models.values()]
    given = [count_at(count, "prompt") or count_at(count, "input") or 0 for count in tokens]
    written = [(count_at(count, "candidates") or 0) + (count_at(count, "thoughts") or 0) for count in tokens]
    return Usage(input_tokens=sum(given), output_tokens=sum(written))


def _from_transcript(said: Said) -> Found:
    records = transcript(said.config_dir, _TRANSCRIPTS, said.session_id)
    answers = {text_at(record, "id"): record for record in records if record.get("type") == "gemini"}
    session_id = (
        next((text_at(record, "sessionId") for record in records if "sessionId" in record), "") or None
    )
    if not answers:
        return Found(session_id=session_id)
    given = sum(count_at(answer, "tokens", "input") or 0 for answer in answers.values())
    written = sum(count_at(answer, "tokens", "output") or 0 for answer in answers.values())
    text = text_at(list(answers.values())[-1], "content")
    usage = Usage(input_tokens=given, output_tokens=written)
    return Found(finished=bool(text), text=text, usage=usage, session_id=session_id, worked=True)
