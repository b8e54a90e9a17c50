"""The tools as they are on this machine: installed, which version, ready or what is missing."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent.inspect.agents import agents
from agent.tools import origins as where
from agent.tools.credentials import missing, prepared_logins
from agent.tools.executable import find_program, service_path
from agent.tools.probe import probe
from agent.tools.versions import versions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agent.tools.definition import ToolDefinition
    from agent.tools.probe import ToolProbe
    from spool.refusal import Refusal
    from spool.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Found:
    """One tool as it is here.

    Args:
        version: None when it is not installed or does not say.
        logins: the folders in which a person logged in for it.
        problems: what stops it, the worst first, each with its remedy.
    """

    tool: ToolDefinition
    probe: ToolProbe
    version: str | None
    logins: tuple[str, ...]
    problems: tuple[Refusal, ...]

    @property
    def ready(self) -> bool:
        """Tell whether a task of this tool would start, and find what it logs in with."""
        return not self.problems


def look(workspace: Workspace, tools: Sequence[ToolDefinition], *, ask: bool) -> list[Found]:
    """Look at tools.

    Args:
        workspace: whose.
        tools: which.
        ask: run those whose version no package tells.
    """
    programs = [(tool, find_program(tool, service_path())) for tool in tools]
    known = versions(programs, ask=ask)
    names = _environment_names(workspace)
    found = []
    for tool in tools:
        seen = probe(tool, workspace)
        keyless = missing(tool, workspace.configs, names) if seen.ready else None
        logins = tuple(prepared_logins(tool.name, workspace.configs))
        problems = (*seen.problems, *((keyless,) if keyless else ()))
        found.append(Found(tool, seen, known.get(tool.name), logins, problems))
    return found


def _environment_names(workspace: Workspace) -> frozenset[str]:
    """Return the names that are set for the agent that works here, or else for us."""
    for agent in agents(workspace):
        if not (agent.alive and agent.pid):
            continue
        try:
            entries = Path(f"/proc/{agent.pid}/environ").read_bytes().split(b"\0")
        except OSError:
            continue  # another user's, or on another host
        return frozenset(os.fsdecode(entry.partition(b"=")[0]) for entry in entries if entry)
    return frozenset(os.environ)


def origins(workspace: Workspace, tool: ToolDefinition) -> dict[str, Any]:
    """Return where a tool and each of its commands is defined."""
    configs = workspace.configs
    commands = {name: where.of_command(configs, tool.name, name) for name in sorted(tool.commands)}
    return {"tool": where.of_tool(configs, tool.name), "commands": commands}


def document_of(found: Found, slots: int | None) -> dict[str, Any]:
    """Return a tool as JSON has it; `slots`: how many of it run at once at most."""
    tool, probe = found.tool, found.probe
    return {
        "name": tool.name,
        "about": tool.about,
        "ready": found.ready,
        "executable": probe.executable,
        "found_by": probe.source,
        "version": found.version,
        "virtual_env": probe.virtual_env,
        "env_file": probe.env_file,
        "env_file_state": probe.env_file_state,
        "logins": list(found.logins),
        "slots": slots,
        "problems": [{"what": p.what, "remedy": p.remedy} for p in found.problems],
        "commands": sorted(tool.commands),
        "definition": tool.model_dump(mode="json"),
    }
