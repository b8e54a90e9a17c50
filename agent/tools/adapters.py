"""The adapters by name, and the one that a tool is given."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.tools import aider, blackbox, claude, codex, collab, crush, gemini, generic, opencode, qwen, shell
from agent.tools.reading import Reading

if TYPE_CHECKING:
    from agent.tools.adapter import Adapter
    from agent.tools.definition import ToolDefinition

ADAPTERS: dict[str, Adapter] = {
    "aider": aider,
    "blackbox": blackbox,
    "claude": claude,
    "codex": codex,
    "collab": collab,
    "crush": crush,
    "gemini": gemini,
    "generic": generic,
    "opencode": opencode,
    "qwen": qwen,
    "shell": shell,
}


def adapter_of(tool: ToolDefinition) -> Adapter:
    """Return the adapter of a tool.

    That is the one which the tool names, else the one of its own name. Else a tool that is given a prompt,
    or says how its output is read, has the generic one; a plain command is judged like a script.
    """
    name = _name(tool)
    return generic.Generic(tool.read) if name == "generic" else ADAPTERS[name]


def plain_adapter(tool: ToolDefinition) -> bool:
    """Tell whether a tool is read by what all tools share, and not by a module of its own."""
    return _name(tool) in {"generic", "shell"}


def _name(tool: ToolDefinition) -> str:
    name = tool.adapter or (tool.name if tool.name in ADAPTERS else "")
    return name or ("generic" if tool.takes_prompt or tool.read != Reading() else "shell")
