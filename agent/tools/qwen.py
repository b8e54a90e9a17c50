"""Qwen Code (`qwen`): records like claude's, but what it waits for stands on stderr alone."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from agent.tools import hooks, streamjson
from agent.tools.adapter import Need, Said, Seed, Signs
from agent.tools.jsonlines import Object, count_at, list_at, objects, text_at, text_of, transcript
from agent.tools.report import Outcome
from agent.tools.verdict import Found, report
from spool.records import Usage

if TYPE_CHECKING:
    from pathlib import Path

    from agent.tools.report import Report

SIGNS = Signs(text=r"Waiting for user confirmation|Apply this change\?|How would you like to authenticate")

_EVENTS = {
    "PermissionRequest": ("*", "waiting"),
    "Stop": ("*", "waiting"),
    "StopFailure": ("*", "waiting"),
    "UserPromptSubmit": ("*", "working"),
    "PostToolUse": ("*", "working"),
    "PostToolUseFailure": ("*", "working"),
}
_TRANSCRIPTS = "projects/*/chats/*.jsonl"
_CALLS = "api/*.json"
_MS = 1000
_RETRYING = re.compile(r"^Retrying in \d+s \(attempt [^)]*\): (?P<said>.*)$", re.MULTILINE)
_OUT_OF_TIME = "wall-clock budget"


def seed(need: Need) -> Seed:
    """Switch off what it does besides the task: updates, statistics, notes about earlier sessions."""
    settings: Object = {
        "general": {"disableAutoUpdate": True, "enableAutoUpdate": False},
        "privacy": {"usageStatisticsEnabled": False},
        # each answer would be paid for twice: once more to take notes of it
        "memory": {"enableManagedAutoMemory": False},
        # the only place where it says at once why it waits
        "model": {
            "generationConfig": {"maxRetries": 0},
            "enableOpenAILogging": True,
            "openAILoggingDir": str(need.config_dir / "api"),
        },
        "security": {"folderTrust": {"enabled": False}},
    }
    settings["hooks"] = hooks.table(need, _EVENTS, timeout=hooks.MAX_HOOK_S * _MS)
    env = {
        "QWEN_HOME": str(need.config_dir),
        "QWEN_CODE_SUPPRESS_YOLO_WARNING": "1",
        **hooks.headless(need),
    }
    return Seed(files={"settings.json": hooks.as_bytes(settings)}, env=env)


def read(said: Said) -> Report:
    """Say what an attempt came to."""
    if said.interactive:
        return report(said, _from_transcript(said))
    found = streamjson.read(said)
    if found.finished or found.error:
        return report(said, replace(found, usage=_of_this_run(said, found)))
    trouble = _trouble(said)
    late = _OUT_OF_TIME in text_of(said.stderr)
    error = trouble or ("its own limit of time was reached" if late else "")
    outcome = Outcome.TIMED_OUT if late and not trouble else None
    return report(said, replace(found, error=error, outcome=outcome))


def _of_this_run(said: Said, found: Found) -> Usage:
    """Take off what the conversation had used before: its total counts that again when it goes on."""
    given, written = found.usage.input_tokens, found.usage.output_tokens
    kept = _answers(said.config_dir, found.session_id)
    ours = sum(record.get("type") == "assistant" for record in objects(text_of(said.stdout)))
    if given is None or written is None or not ours or len(kept) <= ours:
        return found.usage
    before = _sum(kept[:-ours])
    return Usage(
        input_tokens=max(0, given - (before.input_tokens or 0)),
        output_tokens=max(0, written - (before.output_tokens or 0)),
    )


def _answers(config_dir: Path | None, session_id: str | None) -> list[Object]:
    records = transcript(config_dir, _TRANSCRIPTS, session_id)
    return [record for record in records if record.get("type") == "assistant"]


def _sum(answers: list[Object]) -> Usage:
    given = [count_at(answer, "usageMetadata", "promptTokenCount") for answer in answers]
    written = [count_at(answer, "usageMetadata", "candidatesTokenCount") for answer in answers]
    return Usage(input_tokens=sum(n or 0 for n in given), output_tokens=sum(n or 0 for n in written))


def _trouble(said: Said) -> str:
    """Return the last error that it was waiting to try again."""
    retries = list(_RETRYING.finditer(text_of(said.stderr)))
    if retries:
        return retries[-1]["said"]
    calls = transcript(said.config_dir, _CALLS, None)
    return text_at(calls[-1], "error", "message") if calls else ""


def question(raw: str) -> str:
    """Put what its hook was given into words."""
    return hooks.question(raw)


def _from_transcript(said: Said) -> Found:
    answers = _answers(said.config_dir, said.session_id)
    if not answers:
        return Found()
    text = "".join(text_at(part, "text") for part in list_at(answers[-1], "message", "parts"))
    usage = _sum(answers)
    session_id = text_at(answers[-1], "sessionId") or None
    if text.startswith("[API Error:"):
        return Found(error=text, session_id=session_id, usage=usage, worked=bool(usage.output_tokens))
    return Found(finished=bool(text), text=text, session_id=session_id, usage=usage, worked=True)
