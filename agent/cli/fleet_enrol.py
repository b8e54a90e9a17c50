"""`aispool fleet enrol COLLECTOR`: on a host, by hand: keep results until a collector has them."""

from __future__ import annotations

import click

from agent.cli.command import command
from agent.cli.place import InputError, Place, pass_place


@command("enrol")
@click.argument("collector", metavar="COLLECTOR")
@pass_place
def enrol_command(place: Place, *, collector: str) -> None:
    """Make this workspace one that COLLECTOR collects from; run it on the host itself.

    From then on no result is pruned before the collector has it. A collector does this by itself when it
    first looks at a host; only what was another collector's is left to a person: remove configs/enrolled.json
    first.

    Examples:
      aispool fleet enrol laptop
    """
    from spool.enrol import EnrolmentError, enrol  # noqa: PLC0415 - `--help` needs none of it
    from spool.names import TASK_ID_RULE, is_task_id  # noqa: PLC0415

    if not is_task_id(collector):
        raise InputError(f"{collector!r} is not a collector's name: use {TASK_ID_RULE}")
    try:
        done = enrol(place.workspace, collector)
    except EnrolmentError as error:
        raise InputError(str(error)) from None
    click.echo(f"{place.workspace.root} is collected by {done.collector}, as {done.workspace_id}")
