"""What tools' hooks share: the command line that they run, and a question put into words for a person."""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING, Any

from agent.tools.jsonlines import Object, text_at
from agent.tools.streamjson import named
from agent.tools.verdict import one_line

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agent.tools.adapter import Need

MAX_HOOK_S = 86400
"""A hook may hold a question until it is answered."""

UNKNOWN = "it waits for an answer in its terminal"
_DONE = ("last_assistant_message", "last-assistant-message", "prompt_response")


HEADLESS = "AISPOOL_HEADLESS"
"""Set where nobody can answer; the files are the same, since a prepared folder is used either way."""


def command(need: Need, word: str) -> str:
    """Return the shell command that tells us `waiting` or `working`, and does nothing without a terminal."""
    return f'[ -n "${HEADLESS}" ] || {shlex.join((*need.hook, word))}'


def headless(need: Need) -> dict[str, str]:
    """Return the variable that silences the hooks, where there is no terminal."""
    return {HEADLESS: "1"} if need.headless else {}


def table(
    need: Need, events: Mapping[str, tuple[str, str]], suffix: str = "", timeout: int = MAX_HOOK_S
) -> Object:
    """Return the `hooks` of a settings file, in the form that claude, codex, gemini and qwen share.

    Args:
        need: holds the program to call.
        events: event → the matcher (empty: none) and the word.
        suffix: put behind the command.
        timeout: in the tool's own unit.
    """
    hooks: Object = {}
    for event, (matcher, word) in events.items():
        entry: Object = {
            "hooks": [{"type": "command", "command": command(need, word) + suffix, "timeout": timeout}]
        }
        hooks[event] = [{"matcher": matcher, **entry}] if matcher else [entry]
    return hooks


def as_bytes(value: Any) -> bytes:
    """Return the content of a settings file."""
    return json.dumps(value, indent=2).encode() + b"\n"


def question(raw: str) -> str:
    """Return what a hook was given as a short sentence.

    Args:
        raw: the JSON that the tool gave to its hook, or the last lines of its screen.
    """
    try:
        given = json.loads(raw)
    except (ValueError, RecursionError):
        return one_line(raw) or UNKNOWN
    if not isinstance(given, dict):
        return UNKNOWN
    if tool := text_at(given, "tool_name"):
        why = text_at(given, "tool_input", "description")
        return one_line(f"may it use {named(tool, given.get('tool_input'))}?{f' {why}' if why else ''}")
    for name in _DONE:
        if name in given:
            return one_line(f"it is done, and waits for what to do next: {text_at(given, name)}".rstrip(": "))
    said = text_at(given, "message") or text_at(given, "title")
    return one_line(said) if said else UNKNOWN
