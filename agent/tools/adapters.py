"""The adapters by name, and the one that a tool is given."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.tools import aider, blackbox, claude, codex, crush, gemini, generic, opencode, qwen, shell

if TYPE_CHECKING:
    from agent.tools.adapter import Adapter
    from agent.tools.definition import ToolDefinition

ADAPTERS: dict[str, Adapter] = {
    "aider": aider,
    "blackbox": blackbox,
    "claude": claude,
    "codex": codex,
    "crush": crush,
    "gemini": gemini,
    "generic": generic,
    "opencode": opencode,
    "qwen": qwen,
    "shell": shell,
}


def adapter_of(tool: ToolDefinition) -> Adapter:
    """Return the adapter of a tool: that which it names, else that of its own name, else the generic one."""
    name = tool.adapter or (tool.name if tool.name in ADAPTERS else "generic")
    return generic.Generic(tool.read) if name == "generic" else ADAPTERS[name]
