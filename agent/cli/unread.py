"""What a command does when a configuration file cannot be used: the agent works on with what it read before.

What only saves a person a surprise (is this task one that the agent takes?) is then left to the agent, which
judges every task anyway, and that is said on the standard error. What would act on a guess (`clean`, a new
agent, `submit --dry-run`) refuses.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from agent.config import ConfigError, load_or_defaults
from agent.sanitize import one_line
from agent.tools.registry import Registry

if TYPE_CHECKING:
    from pathlib import Path

    from agent.cli.place import Place
    from agent.config import AgentConfig
    from spool.refusal import Refusal
    from spool.task import Task


class Checks:
    """The rules that tasks are checked by here, as far as their files can be read."""

    def __init__(self, place: Place) -> None:
        self._workspace = place.workspace
        self.config = usable_config(place, "the agent checks the task's paths")
        self._paths_unknown = load_or_defaults(place.workspace)[1] is not None
        self._registry: Registry | None = None
        try:
            self._registry = Registry.load(place.workspace)
        except ConfigError as error:
            _say(error, "the agent checks the task")

    def check(self, task: Task, files: Path | None) -> Refusal | None:
        """Say why a task cannot be accepted; None when it can, or when only the agent knows."""
        if self._registry is None:
            return None
        config = self.config
        if self._paths_unknown:
            config = config.model_copy(update={"allowed_paths": ("/",)})
        return self._registry.check(task, self._workspace, config, files)


def usable_config(place: Place, instead: str) -> AgentConfig:
    """Return the options, or the defaults; then say so.

    Args:
        place: whose options.
        instead: what is so without them.
    """
    config, mistake = load_or_defaults(place.workspace)
    if mistake is not None:
        _say(mistake, instead)
    return config


def _say(mistake: ConfigError, instead: str) -> None:
    click.echo(f"aispool: {one_line(mistake)} ({instead} meanwhile)", err=True)
