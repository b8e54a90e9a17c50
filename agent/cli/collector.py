"""`aispool collector`: send to the hosts of the fleet and collect from them, in the foreground."""

from __future__ import annotations

import sys

import click

from agent.cli.command import command
from agent.cli.place import Place, pass_place


@command("collector")
@click.option("--once", is_flag=True, help="One round with every host; exit 1 when one was not reached.")
@click.option("--jobs", type=click.IntRange(1, 256), metavar="N", help="Transfers at once.")
@click.option(
    "--interval", "interval_s", type=click.FloatRange(min=0.1), metavar="S",
    help="Between two rounds of a host.",
)  # fmt: skip
@click.option(
    "--bandwidth", "bandwidth_kib_s", type=click.IntRange(min=0), metavar="KIB",
    help="Kibibytes a second for each transfer; 0: no limit.",
)  # fmt: skip
@click.option(
    "--start-agents",
    is_flag=True,
    default=None,
    help="Start the agent of a host that answers again, if none runs.",
)
@pass_place
def collector_command(
    place: Place,
    *,
    once: bool,
    jobs: int | None,
    interval_s: float | None,
    bandwidth_kib_s: int | None,
    start_agents: bool | None,
) -> None:
    """Run the collector: it gives hosts what lies in fleet/HOST/tasks/, and mirrors what they have.

    Hosts stand in configs/hosts.toml (`aispool fleet add`). Each is tried in its own time; one that does not
    answer delays no other. What is on the way survives a kill on either side. SIGTERM stops it; the options
    are those of [collector] in configs/agent.toml.

    Examples:
      aispool collector
      aispool collector --jobs 4 --bandwidth 500
      */5 * * * * aispool collector --once      without systemd
    """
    from agent.fleet.main import run  # noqa: PLC0415 - only the collector needs sh

    given = {
        "jobs": jobs,
        "interval_s": interval_s,
        "bandwidth_kib_s": bandwidth_kib_s,
        "start_agents": start_agents,
    }
    changes = {name: value for name, value in given.items() if value is not None}
    if not sys.stderr.isatty():
        raise click.exceptions.Exit(run(place.workspace, once=once, changes=changes))
    from agent.cli.transfers import bars  # noqa: PLC0415 - rich is for terminals

    with bars() as tell:
        raise click.exceptions.Exit(run(place.workspace, once=once, changes=changes, progress=tell))
