"""`aispool agent`: run the agent of this host in the foreground."""

from __future__ import annotations

import click

from agent.cli.command import command
from agent.cli.place import InputError, Place, pass_place


@command("agent")
@click.option(
    "--name", metavar="NAME", help="Its name in this workspace. Default: agent.toml's, else the host's."
)
@click.option(
    "--slots", type=click.IntRange(min=1), metavar="N", help="Tasks at once, instead of agent.toml's."
)
@click.option("--drain", is_flag=True, help="Exit when nothing is left to do.")
@click.option("--if-idle", is_flag=True, help="Exit 0 silently when an agent works here already.")
@pass_place
def agent_command(place: Place, *, name: str | None, slots: int | None, drain: bool, if_idle: bool) -> None:
    """Run the agent: it claims tasks, starts each in a session of its own, and records what became of it.

    SIGTERM stops claiming, leaves the sessions running, and exits 0; the next agent adopts them. SIGHUP reads
    the configuration again.

    Examples:
      aispool agent
      aispool agent --slots 4 --name night
      */5 * * * * aispool agent --drain --if-idle      without systemd
    """
    from agent.host.main import run  # noqa: PLC0415 - only the agent itself needs watchdog
    from spool.names import TASK_ID_RULE, is_task_id  # noqa: PLC0415

    if name is not None and not is_task_id(name):
        raise InputError(f"{name!r} is not a name for an agent: use {TASK_ID_RULE}")
    code = run(place.workspace, name=name, slots=slots, drain=drain, if_idle=if_idle)
    raise click.exceptions.Exit(code)
