"""What a command does when a configuration file cannot be used: the agent works on with what it read before.

What only saves a person a surprise (is this task one that the agent takes?) is then left to the agent, which
judges every task anyway, and that is said on the standard error. What would act on a guess (`clean`, a new
agent, `submit --dry-run`) refuses.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from agent.config import load_or_defaults
from agent.service.checks import Checks, instead

if TYPE_CHECKING:
    from agent.cli.place import Place
    from agent.config import AgentConfig


def checks_of(place: Place) -> Checks:
    """Return the rules that tasks are checked by here, and say which could not be read."""
    checks = Checks(place.workspace)
    for note in checks.notes:
        click.echo(f"aispool: {note}", err=True)
    return checks


def usable_config(place: Place, so: str) -> AgentConfig:
    """Return the options, or the defaults; then say so.

    Args:
        place: whose options.
        so: what is so without them.
    """
    config, mistake = load_or_defaults(place.workspace)
    if mistake is not None:
        click.echo(f"aispool: {instead(mistake, so)}", err=True)
    return config
