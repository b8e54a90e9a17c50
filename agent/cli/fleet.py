"""`aispool fleet`: the hosts of a collector. Its help reads the table below and imports no command."""

from __future__ import annotations

from typing import Final

import click

from agent.cli.lazy import LazyGroup

COMMANDS: Final = {
    "connect": ("agent.cli.fleet_connect", "Connect a host, or bring it up to date."),
    "add": ("agent.cli.fleet_hosts", "Add a host to configs/hosts.toml."),
    "remove": ("agent.cli.fleet_hosts", "Take a host out of the configuration."),
    "list": ("agent.cli.fleet_hosts", "List the hosts as they are configured."),
    "status": ("agent.cli.fleet_status", "Show how every host was when last seen."),
    "check": ("agent.cli.fleet_status", "Reach hosts now, and say what is there."),
    "logs": ("agent.cli.fleet_logs", "Print the logs of all hosts, merged by time."),
    "reassign": ("agent.cli.fleet_reassign", "Give tasks to another host."),
    "forget": ("agent.cli.fleet_forget", "End tasks here of which no host knows."),
    "enrol": ("agent.cli.fleet_enrol", "On a host: keep results until a collector has them."),
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

    The collector (`aispool collector`) gives each host what lies in fleet/HOST/tasks/, chooses a host for
    what lies in fleet/any/tasks/, and mirrors what they have into fleet/HOST/. The commands that look at
    tasks, or ask for something, take --host HOST.

    Examples:
      aispool fleet connect me@gpu-box
      aispool fleet status
      aispool submit --host gpu-box task.json && aispool ls --host gpu-box
    """
