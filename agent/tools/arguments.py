"""The argument list of a tool.

Each value is one argument, or text inside one; nothing is joined into a command line. An argument whose
first character comes from a task must not be taken for an option: a prompt that begins with `-`, or is a
single word that could be a sub-command, gets a space in front; any other value that begins with `-` is
refused, unless the definition puts `--` before it or writes it as `--option=$value`. `$args` is the
exception: whoever writes it into `argv` lets tasks choose options.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from agent.tools import template
from agent.tools.environment import MAX_STRING_BYTES
from spool.refusal import Refusal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agent.tools.definition import ToolDefinition

_OUR_LISTS = frozenset({"approval", "session", "args"})


def is_empty(value: Any) -> bool:
    """Tell whether a parameter counts as not given."""
    return value is None or value in ("", [], {})


def argument_list(tool: ToolDefinition, values: Mapping[str, Any]) -> tuple[str, ...] | Refusal:
    """Return the arguments, or why they cannot be built.

    Args:
        tool: whose `argv` is filled.
        values: of every variable, as it was parsed from JSON.
    """
    filled: list[str] = []
    guarded = True
    for part in _chosen(tool, values):
        guarded = guarded and part != "--"
        arguments = _fill(part, values, guarded=guarded)
        if isinstance(arguments, Refusal):
            return arguments
        filled.extend(arguments)
    return _too_long(tool, filled) or tuple(filled)


def _chosen(tool: ToolDefinition, values: Mapping[str, Any]) -> list[str]:
    chosen: list[str] = []
    for part in tool.argv:
        if isinstance(part, str):
            chosen.append(part)
        elif not any(is_empty(values.get(name)) for text in part for name in template.names(text)):
            chosen.extend(part)
    return chosen


def _fill(part: str, values: Mapping[str, Any], *, guarded: bool) -> list[str] | Refusal:
    name = template.sole_variable(part)
    value = values.get(name, "") if name else None
    if name in _OUR_LISTS:
        return [template.text_of(item) for item in value or ()]
    if isinstance(value, list):
        filled = [template.text_of(item) for item in value]
    else:
        filled = [template.fill(part, lambda known: values.get(known, ""))]
    if not guarded or not template.begins_with_variable(part):
        return filled
    if name == "prompt":
        return [_as_text(text) for text in filled]
    if any(text.startswith("-") for text in filled):
        return Refusal(
            f"{part} begins with '-', and would be taken for an option",
            "begin it with something else",
            field="command" if name == "command" else f"parameters.{name}" if name else "parameters",
        )
    return filled


def _as_text(prompt: str) -> str:
    return f" {prompt}" if prompt.startswith("-") or len(prompt.split()) == 1 else prompt


def _too_long(tool: ToolDefinition, filled: list[str]) -> Refusal | None:
    longest = max(len(os.fsencode(text)) for text in filled)
    whole = sum(len(os.fsencode(text)) + 9 for text in filled)
    remedy = "put the long part into a file in NAME.files/ beside the task, and name the file instead"
    if longest > MAX_STRING_BYTES:
        what = "the prompt" if tool.takes_prompt else "an argument"
        return Refusal(
            f"{what} is {longest} bytes long, and Linux passes at most {MAX_STRING_BYTES} in one argument",
            remedy,
        )
    if whole > (limit := os.sysconf("SC_ARG_MAX") // 2):
        return Refusal(f"the arguments are {whole} bytes long, more than the {limit} that fit", remedy)
    return None
