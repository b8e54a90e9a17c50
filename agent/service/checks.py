"""Checking a task here as the agent will, as far as the configuration can be read.

What only saves a person a surprise (is this task one that the agent takes?) is left to the agent when a
configuration file cannot be used: it judges every task anyway, by what it read before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.config import ConfigError, load_or_defaults
from agent.sanitize import one_line
from agent.tools.registry import Registry

if TYPE_CHECKING:
    from pathlib import Path

    from spool.refusal import Refusal
    from spool.task import Task
    from spool.workspace import Workspace


class Checks:
    """The rules that tasks are checked by here; `notes` say which of them could not be read."""

    def __init__(self, workspace: Workspace) -> None:
        self.notes: list[str] = []
        self._workspace = workspace
        self.config, mistake = load_or_defaults(workspace)
        self._paths_unknown = mistake is not None
        if mistake is not None:
            self.notes.append(instead(mistake, "the agent checks the task's paths"))
        self._registry: Registry | None = None
        try:
            self._registry = Registry.load(workspace)
        except ConfigError as error:
            self.notes.append(instead(error, "the agent checks the task"))

    def check(self, task: Task, files: Path | None) -> Refusal | None:
        """Say why a task cannot be accepted; None when it can, or when only the agent knows."""
        if self._registry is None:
            return None
        config = self.config
        if self._paths_unknown:
            config = config.model_copy(update={"allowed_paths": ("/",)})
        return self._registry.check(task, self._workspace, config, files)


def instead(mistake: ConfigError, so: str) -> str:
    """Say what is wrong with a file, and what is so without it."""
    return f"{one_line(mistake)} ({so} meanwhile)"
