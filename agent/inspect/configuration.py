"""Whether the files that the agent reads can be used: a mistake stops the next one, not the one that runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.config import ConfigError, load
from agent.tools.registry import Registry

if TYPE_CHECKING:
    from spool.workspace import Workspace


def configuration_problems(workspace: Workspace) -> list[str]:
    """Return what is wrong with agent.toml and tools.toml, and what that means."""
    problems = []
    for read in (load, Registry.load):
        try:
            read(workspace)
        except ConfigError as error:
            problems.append(f"an agent that runs keeps its earlier options, none can start, since {error}")
    return problems
