"""`aispool fleet forget ID...`: end tasks here of which nobody knows what became."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from agent.cli.command import command
from agent.cli.fleet_status import collector_works
from agent.cli.place import InputError, Place, failed, pass_place

if TYPE_CHECKING:
    from agent.fleet.layout import Fleet


@command("forget")
@click.argument("task_ids", metavar="ID...", nargs=-1, required=True)
@pass_place
def forget_command(place: Place, *, task_ids: tuple[str, ...]) -> None:
    """End tasks here, as lost, of which nobody knows what became.

    Those that are gone from their host (somebody removed them there), and those that were given to a host
    which does not answer. Should one turn up again, its host is told to cancel it, and its result is
    collected like any other. By hand: `touch fleet/HOST/.forget/ID`.

    Examples:
      aispool fleet forget nightly-build
    """
    from agent.fleet.layout import Fleet  # noqa: PLC0415 - `--help` needs none of it

    problems = []
    for task_id in dict.fromkeys(task_ids):
        try:
            _forget(Fleet(place.workspace), task_id)
        except InputError as error:
            problems.append(error)
    for problem in problems:
        problem.show()
    if not collector_works(place):
        click.echo("aispool: no collector works here now: `aispool collector` starts one", err=True)
    if problems:
        raise failed()


def _forget(fleet: Fleet, task_id: str) -> None:
    from agent.fleet.gone import ask_to_forget, may_forget  # noqa: PLC0415
    from agent.fleet.reasons import unreachable  # noqa: PLC0415
    from spool.names import is_task_id  # noqa: PLC0415

    for mirror in fleet.mirrors() if is_task_id(task_id) else ():
        if may_forget(mirror, task_id, unreachable(mirror)):
            ask_to_forget(mirror, task_id)
            click.echo(f"{task_id}: ends here as lost; {mirror.name} is told to cancel it should it be there")
            return
    raise InputError(
        f"{task_id} is not gone from a host, nor with one that does not answer: "
        f"`aispool show --all {task_id}` says where it is"
    )
