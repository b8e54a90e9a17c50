"""`aispool fleet`: the hosts of a collector. Its help reads the table below and imports no command."""

from __future__ import annotations

from typing import Final

import click

from agent.cli.lazy import LazyGroup

COMMANDS: Final = {
    "connect": ("agent.cli.fleet_connect", "Connect a host, or bring it up to date."),
}
"""Name → module, in which the command has the name `NAME_command`, and its first sentence."""


class FleetGroup(LazyGroup):
    """The commands below `aispool fleet`."""

    table = COMMANDS


@click.group(
    "fleet",
    cls=FleetGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
def fleet_command() -> None:
    """Connect hosts, and see how they are.

    Examples:
      aispool fleet connect me@gpu-box
    """
