"""`aispool hold` and `aispool release`: a waiting file moves into tasks/held/ and out again."""

from __future__ import annotations

import click

from agent.cli.command import command
from agent.cli.hosts import MirrorPlace, hosts_option
from agent.cli.ids import ids_argument
from agent.cli.place import InputError, Place, failed, pass_place


@command("hold")
@ids_argument("tasks")
@hosts_option("--all-hosts", "--all")
@pass_place
def hold_command(place: Place, *, task_ids: tuple[str, ...]) -> None:
    """Put waiting tasks on hold: no agent starts them until they are released.

    By hand: mv the file into tasks/held/.

    Examples:
      aispool hold nightly-build
      aispool release nightly-build
    """
    _each(place, task_ids, to_hold=True)


@command("release")
@ids_argument("held")
@hosts_option("--all-hosts", "--all")
@pass_place
def release_command(place: Place, *, task_ids: tuple[str, ...]) -> None:
    """Release tasks that are on hold.

    By hand: mv the file from tasks/held/ back into tasks/.

    Examples:
      aispool release nightly-build
      aispool ls --state held --json | jq -r '.tasks[].task_id' | xargs aispool release
    """
    _each(place, task_ids, to_hold=False)


def _each(place: Place, task_ids: tuple[str, ...], *, to_hold: bool) -> None:
    from spool.requests import RequestError, move_waiting  # noqa: PLC0415 - `--help` needs none of it

    problems = []
    for task_id in dict.fromkeys(task_ids):
        try:
            there = place.of(task_id)
            if isinstance(there, MirrorPlace):
                click.echo(f"{task_id}: {_ask(there, task_id, to_hold=to_hold)}")
                continue
            done = move_waiting(there.workspace, there.find(task_id), to_hold=to_hold)
        except RequestError as error:
            problems.append(InputError(str(error)))
        except InputError as error:
            problems.append(error)
        else:
            word = "on hold" if to_hold else "released"
            click.echo(f"{task_id}: {word if done else f'was {word} already'}")
    for problem in problems:
        problem.show()
    if problems:
        raise failed()


def _ask(place: MirrorPlace, task_id: str, *, to_hold: bool) -> str:
    view = place.find(task_id)
    if view.place not in {"tasks", "held"}:
        raise InputError(f"{task_id} does not wait any more: it is {view.state} ({view.reason})")
    return place.ask("hold" if to_hold else "release", task_id=view.task_id)
