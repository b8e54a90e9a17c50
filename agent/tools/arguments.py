"""The argument list of a tool, and what is too long to stand in it.

Each value is one argument, or text inside one; nothing is joined into a command line. An argument whose
first character comes from a task must not be taken for an option: a prompt that begins with `-`, or is a
single word that could be a sub-command, gets a space in front; any other value that begins with `-` is
refused, unless the definition puts `--` before it or writes it as `--option=$value`. `$args` is the
exception: whoever writes it into `argv` lets tasks choose options.

A long prompt goes on standard input where the tool reads it there, without the arguments that would hold
it; a long script goes into a file where the definition says how that is run.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agent.tools import template
from agent.tools.environment import MAX_STRING_BYTES
from spool.refusal import Refusal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agent.tools.definition import Argv, ToolDefinition

MAX_PROMPT_BYTES = 100 << 10
"""A longer prompt goes on standard input where it can; well below what one argument holds."""

_OUR_LISTS = frozenset({"approval", "session", "folders", "args"})


@dataclass(frozen=True, slots=True)
class Arguments:
    """What a program is given.

    Args:
        argv: the program and its arguments.
        stdin: what it reads on standard input; None for nothing at all.
        script: what the file holds that `$script` of `argv` names.
    """

    argv: tuple[str, ...]
    stdin: bytes | None = None
    script: bytes | None = None


def is_empty(value: Any) -> bool:
    """Tell whether a parameter counts as not given."""
    return value is None or value in ("", [], {})


def arguments_of(
    tool: ToolDefinition, values: Mapping[str, Any], *, interactive: bool = False
) -> Arguments | Refusal:
    """Return the arguments, or why they cannot be built.

    Args:
        tool: whose `argv` is filled.
        values: of every variable, as it was parsed from JSON.
        interactive: a person sits in front of it.
    """
    argv = tool.argv_of(interactive=interactive)
    stdin = script = None
    if tool.prompt_by == "stdin" and not interactive and _size(values.get("prompt")) > MAX_PROMPT_BYTES:
        argv, stdin = _without_prompt(argv), str(values["prompt"]).encode()
    elif tool.script_argv and _size(values.get("command")) > MAX_STRING_BYTES:
        argv, script = tool.script_argv, str(values["command"]).encode()
    filled = _filled(argv, values)
    if isinstance(filled, Refusal):
        return filled
    return _too_long(tool, filled, interactive=interactive) or Arguments(tuple(filled), stdin, script)


def _size(value: Any) -> int:
    return len(value.encode(errors="surrogateescape")) if isinstance(value, str) else 0


def _without_prompt(argv: Argv) -> Argv:
    def names_it(part: str | tuple[str, ...]) -> bool:
        return any("prompt" in template.names(text) for text in ((part,) if isinstance(part, str) else part))

    return tuple(part for part in argv if not names_it(part))


def _filled(argv: Argv, values: Mapping[str, Any]) -> list[str] | Refusal:
    filled: list[str] = []
    guarded = True
    for part in _chosen(argv, values):
        guarded = guarded and part != "--"
        arguments = _fill(part, values, guarded=guarded)
        if isinstance(arguments, Refusal):
            return arguments
        filled.extend(arguments)
    return filled


def _chosen(argv: Argv, values: Mapping[str, Any]) -> list[str]:
    chosen: list[str] = []
    for part in argv:
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


def _too_long(tool: ToolDefinition, filled: list[str], *, interactive: bool) -> Refusal | None:
    longest = max(len(os.fsencode(text)) for text in filled)
    whole = sum(len(os.fsencode(text)) + 9 for text in filled)
    remedy = "put the long part into a file in NAME.files/ beside the task, and name the file instead"
    if longest > MAX_STRING_BYTES:
        what = "the prompt" if tool.takes_prompt else "an argument"
        if interactive and tool.prompt_by == "stdin":
            remedy += "; without interactive it would go on standard input"
        return Refusal(
            f"{what} is {longest} bytes long, and Linux passes at most {MAX_STRING_BYTES} in one argument",
            remedy,
        )
    if whole > (limit := os.sysconf("SC_ARG_MAX") // 2):
        return Refusal(f"the arguments are {whole} bytes long, more than the {limit} that fit", remedy)
    return None
