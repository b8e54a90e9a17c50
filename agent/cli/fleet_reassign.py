"""`aispool fleet reassign ID...`: give tasks to another host."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from agent.cli.command import command
from agent.cli.fleet_status import collector_works
from agent.cli.place import InputError, Place, failed, pass_place

if TYPE_CHECKING:
    from agent.fleet.layout import Fleet
    from agent.fleet.outbox import Parcel


@command("reassign")
@click.argument("task_ids", metavar="ID...", nargs=-1, required=True)
@click.option("--to", "to", default="any", show_default=True, metavar="HOST", help="`any`: the best one.")
@click.option("--force", is_flag=True, help="Also what may have started there; it may then run twice.")
@pass_place
def reassign_command(place: Place, *, task_ids: tuple[str, ...], to: str, force: bool) -> None:
    """Give tasks that were sent to one host to another one.

    A host that answers is asked to give the task back, and it moves only when it has not started. Of a host
    that does not answer nobody knows: then only an `idempotent` task moves, or any with --force; the host is
    told to cancel it when it is back.

    Examples:
      aispool fleet reassign nightly-build
      aispool fleet reassign nightly-build --to gpu-box --force
    """
    from agent.fleet.hosts import load  # noqa: PLC0415 - `--help` needs none of it
    from agent.fleet.layout import Fleet  # noqa: PLC0415

    if to != "any" and to not in load(place.workspace):
        raise InputError(f"there is no host {to}: `aispool fleet list` names them")
    problems = []
    for task_id in dict.fromkeys(task_ids):
        try:
            _reassign(Fleet(place.workspace), task_id, to, force=force)
        except InputError as error:
            problems.append(error)
    for problem in problems:
        problem.show()
    if not collector_works(place):
        click.echo("aispool: no collector works here now: `aispool collector` starts one", err=True)
    if problems:
        raise failed()


def _reassign(fleet: Fleet, task_id: str, to: str, *, force: bool) -> None:
    from agent.fleet.reasons import unreachable  # noqa: PLC0415
    from agent.fleet.reassign import Move, ask, problem  # noqa: PLC0415

    parcel = _find(fleet, task_id)
    dark = unreachable(fleet.mirror(parcel.host)) if parcel.is_sent else None
    what = problem(parcel, to, dark, force=force)
    if what is not None:
        raise InputError(what)
    try:
        ask(parcel, Move(to=to, force=force))
    except FileNotFoundError:
        raise InputError(f"{task_id} was moved at this moment: look again") from None
    if not parcel.is_sent:
        click.echo(f"{task_id}: goes to {to}; {parcel.host} does not have it")
    elif dark is None:
        click.echo(f"{task_id}: {parcel.host} is asked to give it back, then it goes to {to}")
    else:
        click.echo(f"{task_id}: goes to {to}; {parcel.host} is told to cancel it when it is back")


def _find(fleet: Fleet, task_id: str) -> Parcel:
    from agent.fleet.outbox import Parcel  # noqa: PLC0415
    from spool.names import is_task_id  # noqa: PLC0415

    if is_task_id(task_id):
        for mirror in (fleet.mirror("any"), *fleet.mirrors()):
            for box in (mirror.outbox, mirror.sent):
                if (box.tasks / task_id).is_dir():
                    return Parcel(box.tasks / task_id)
    raise InputError(
        f"{task_id} was not sent from here, or is over: `aispool show --all {task_id}` says where it is"
    )
