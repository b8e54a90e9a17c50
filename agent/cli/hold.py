"""`aispool hold` and `aispool release`: a waiting file moves into tasks/held/ and out again.

No name is ever overwritten. On hold, the task moves before its input files, so that no agent takes it
without them; on release, the files move first.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import click

from agent.cli.command import command
from agent.cli.ids import ids_argument
from agent.cli.place import InputError, Place, failed, pass_place

if TYPE_CHECKING:
    from pathlib import Path

    from spool.view import View


@command("hold")
@ids_argument("tasks")
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
    problems = []
    for task_id in dict.fromkeys(task_ids):
        try:
            done = _move(place, task_id, to_hold=to_hold)
        except InputError as error:
            problems.append(error)
        else:
            word = "on hold" if to_hold else "released"
            click.echo(f"{task_id}: {word if done else f'was {word} already'}")
    for problem in problems:
        problem.show()
    if problems:
        raise failed()


def _move(place: Place, task_id: str, *, to_hold: bool) -> bool:
    """Move one task; False when it lies there already."""
    view = place.find(task_id)
    if view.place not in {"tasks", "held"}:
        raise InputError(f"{task_id} does not wait any more: it is {view.state} ({view.reason})")
    target = place.workspace.held if to_hold else place.workspace.tasks
    if view.path.parent == target:
        return False
    try:
        if to_hold:
            hold(view, target)
        else:
            _release(view, target)
    except FileExistsError:
        raise InputError(
            f"{target} holds {view.name} or its files already, another task's: rename one of them"
        ) from None
    except FileNotFoundError:
        raise InputError(f"{task_id} was taken at this moment: look with `aispool show {task_id}`") from None
    return True


def hold(view: View, held: Path) -> None:
    """Move a waiting task and what belongs to it into tasks/held/.

    Raises:
        FileExistsError: a name is taken there; nothing was moved.
        FileNotFoundError: the task was claimed or removed.
    """
    from spool.exclusive import move_new  # noqa: PLC0415 - `--help` needs none of it

    files, why = _companions(view)
    if (held / files.name).exists():
        raise FileExistsError(held / files.name)
    move_new(view.path, held / view.name)
    with suppress(FileNotFoundError):
        move_new(files, held / files.name)
    with suppress(FileNotFoundError):
        why.replace(held / why.name)  # it holds the id that the task was given


def _release(view: View, tasks: Path) -> None:
    from spool.exclusive import move_new  # noqa: PLC0415

    files, why = _companions(view)
    if (tasks / view.name).exists():
        raise FileExistsError(tasks / view.name)
    moved = False
    with suppress(FileNotFoundError):
        move_new(files, tasks / files.name)
        moved = True
    with suppress(FileNotFoundError):
        why.replace(tasks / why.name)
    try:
        move_new(view.path, tasks / view.name)
    except OSError:
        if moved:
            move_new(tasks / files.name, files)
        raise


def _companions(view: View) -> tuple[Path, Path]:
    from spool.names import FILES_SUFFIX, WHY_SUFFIX, stem_of  # noqa: PLC0415

    stem = stem_of(view.name)
    return view.path.with_name(stem + FILES_SUFFIX), view.path.with_name(stem + WHY_SUFFIX)
