"""Claude Code (`claude`): its result record headless, its transcript after a session in its terminal."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from agent.tools import hooks, streamjson
from agent.tools.adapter import Need, Said, Seed, Signs
from agent.tools.jsonlines import Object, at, count_at, list_at, number_at, text_at, transcript
from agent.tools.verdict import Found, report
from spool.records import Usage

if TYPE_CHECKING:
    from agent.tools.report import Report

LONG_LIMIT = (
    r'(?m)^(?=.*"subtype":"api_retry")(?=.*"error_status":429)(?=.*"retry_delay_ms":(?:[3-9]\d{4}|\d{6,})).*$'
)
"""It says that it sleeps for half a minute or more before it asks again."""

SIGNS = Signs(
    text=r"Do you want to use this API key\?|Yes, I trust this folder|Select login method", limit=LONG_LIMIT
)
"""Its hooks tell of permissions; these are the dialogs that come before hooks are read."""

_EVENTS = {
    "PermissionRequest": ("*", "waiting"),
    "Notification": ("elicitation_dialog", "waiting"),
    "Stop": ("", "waiting"),
    "StopFailure": ("", "waiting"),
    "UserPromptSubmit": ("", "working"),
    "PostToolUse": ("*", "working"),
    "PermissionDenied": ("*", "working"),
}
_KEY_HELPER = "printenv AISPOOL_CLAUDE_KEY || printenv ANTHROPIC_API_KEY"
"""In its terminal it asks whether to use a key that it finds in ANTHROPIC_API_KEY, and takes Enter for no;
one that a helper prints it takes (2.1.330). So `interactive_argv` gives that variable another name."""
_TRANSCRIPTS = "projects/*/*.jsonl"


def seed(need: Need) -> Seed:
    """Answer onboarding and the question about the folder, and set the hooks."""
    env = {
        "CLAUDE_CONFIG_DIR": str(need.config_dir),
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "CLAUDE_CODE_MAX_RETRIES": "1",
        "DISABLE_AUTOUPDATER": "1",
    }
    if need.task.approval == "auto" and os.geteuid() == 0:
        env["IS_SANDBOX"] = "1"  # without it, it refuses to act by itself as root
    known = {"hasCompletedOnboarding": True, "projects": {str(need.cwd): {"hasTrustDialogAccepted": True}}}
    settings: Object = {"hooks": hooks.table(need, _EVENTS)}
    if "ANTHROPIC_API_KEY" in need.has:
        settings["apiKeyHelper"] = _KEY_HELPER
    files = {".claude.json": hooks.as_bytes(known), "settings.json": hooks.as_bytes(settings)}
    return Seed(files=files, env={**env, **hooks.headless(need)})


def read(said: Said) -> Report:
    """Say what an attempt came to."""
    return report(said, _from_transcript(said) if said.interactive else streamjson.read(said))


def question(raw: str) -> str:
    """Put what its hook was given into words."""
    return hooks.question(raw)


def _from_transcript(said: Said) -> Found:
    records = transcript(said.config_dir, _TRANSCRIPTS, said.session_id)
    answers = [
        record for record in records if record.get("type") == "assistant" and not record.get("isSidechain")
    ]
    if not answers:
        return Found()
    last = answers[-1]
    text = "".join(text_at(part, "text") for part in list_at(last, "message", "content"))
    session_id = text_at(last, "sessionId") or None
    worked = any(count_at(answer, "message", "usage", "output_tokens") for answer in answers)
    found = Found(session_id=session_id, usage=_usage(records, answers), worked=worked)
    if last.get("isApiErrorMessage"):
        status = count_at(last, "apiErrorStatus")
        return Found(
            session_id=session_id,
            usage=found.usage,
            worked=worked,
            error=text or text_at(last, "error"),
            status=status,
        )
    return Found(
        finished=text_at(last, "message", "stop_reason") != "tool_use",
        session_id=session_id,
        usage=found.usage,
        worked=worked,
        text=text,
    )


def _usage(records: list[Object], answers: list[Object]) -> Usage:
    """Add up the answers, each once: a transcript repeats an answer's usage for each of its parts."""
    by_id = {text_at(answer, "message", "id"): at(answer, "message", "usage") for answer in answers}
    names = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")
    given = sum(count_at(usage, name) or 0 for usage in by_id.values() for name in names)
    written = sum(count_at(usage, "output_tokens") or 0 for usage in by_id.values())
    costs = [number_at(record, "totalCostUSD") for record in records if record.get("type") == "cost-state"]
    return Usage(input_tokens=given, output_tokens=written, cost_usd=costs[-1] if costs else None)
