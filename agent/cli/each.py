"""The same request for several tasks: what was done is printed, what could not be done is told behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from agent.cli.place import InputError, failed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from agent.cli.place import Place
    from agent.service.said import Said


def each(
    place: Place, task_ids: Iterable[str], action: Callable[..., Said], *, as_given: bool = False
) -> None:
    """Ask for something of each task.

    Args:
        place: where.
        task_ids: which.
        action: of `agent.service.actions`.
        as_given: name each task as the person did, which may be by its file.

    Raises:
        click.exceptions.Exit: with 1, when it could not be asked of all of them.
    """
    from agent.service.errors import ServiceError  # noqa: PLC0415 - `--help` needs none of it

    problems = []
    for task_id in dict.fromkeys(task_ids):
        try:
            said = action(place.desk, task_id, host=place.where)
        except ServiceError as error:
            problems.append(InputError(error.message))
            continue
        warn(said)
        click.echo(f"{task_id if as_given else said.task_id}: {said.said}")
    for problem in problems:
        problem.show()
    if problems:
        raise failed()


def warn(said: Said) -> None:
    """Print what the person should know besides."""
    for line in (said.warning or "").splitlines():
        click.echo(f"aispool: {line}", err=True)
