"""`aispool fleet reassign ID...`: give tasks to another host."""

from __future__ import annotations

import click

from agent.cli.command import command
from agent.cli.place import InputError, Place, failed, pass_place


@command("reassign")
@click.argument("task_ids", metavar="ID...", nargs=-1, required=True)
@click.option("--to", "to", default="any", show_default=True, metavar="HOST", help="`any`: the best one.")
@click.option("--force", is_flag=True, help="Also what may have started there; it may then run twice.")
@pass_place
def reassign_command(place: Place, *, task_ids: tuple[str, ...], to: str, force: bool) -> None:
    """Give tasks that were sent to one host to another one.

    A host that answers is asked to give the task back, and it moves only when it has not started. Of a host
    that does not answer nobody knows, nor of a task that is gone from its host: then only an `idempotent`
    task moves, or any with --force; the host is told to cancel it should it turn up.

    Examples:
      aispool fleet reassign nightly-build
      aispool fleet reassign nightly-build --to gpu-box --force
    """
    from agent.service.errors import ServiceError  # noqa: PLC0415 - `--help` needs none of it
    from agent.service.places import Desk  # noqa: PLC0415
    from agent.service.reassigning import check_host, reassign  # noqa: PLC0415

    desk = Desk(place.root)
    problems = []
    try:
        check_host(desk, to)
    except ServiceError as error:
        raise InputError(error.message) from None
    for task_id in dict.fromkeys(task_ids):
        try:
            said = reassign(desk, task_id, to=to, force=force)
        except ServiceError as error:
            problems.append(InputError(error.message))
        else:
            click.echo(f"{said.task_id}: {said.said}")
    for problem in problems:
        problem.show()
    if not desk.collector_works():
        click.echo("aispool: no collector works here now: `aispool collector` starts one", err=True)
    if problems:
        raise failed()
