"""`aispool cancel ID...`: ask for the end of a running task, or end a waiting one here and now.

A running task is cancelled by a file in its session. A waiting one is claimed as an agent would do, under
a name and a lock of this process, so that no agent can start it in between. Killed anywhere, what lies there
says that it is to be cancelled.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import click

from agent.cli.command import command
from agent.cli.hosts import MirrorPlace, hosts_option
from agent.cli.ids import ids_argument
from agent.cli.place import InputError, Place, failed, pass_place

if TYPE_CHECKING:
    from spool.view import View

TRIES: Final = 5
"""A task moves while we look: tasks → claim → session → results; then we look again."""


@command("cancel")
@ids_argument("tasks", "held", "sessions")
@hosts_option("--all-hosts", "--all")
@pass_place
def cancel_command(place: Place, *, task_ids: tuple[str, ...]) -> None:
    """Cancel tasks. A running one gets TERM, a grace, then KILL, with all its processes.

    By hand: create the file `cancel` in sessions/ID, or remove the file from tasks/.

    Examples:
      aispool cancel nightly-build
      aispool ls --json --state queued | jq -r '.tasks[].task_id' | xargs aispool cancel
    """
    problems = []
    for task_id in dict.fromkeys(task_ids):
        try:
            click.echo(cancel(place, task_id))
        except InputError as error:
            problems.append(error)
    for problem in problems:
        problem.show()
    if problems:
        raise failed()


def cancel(place: Place, task_id: str) -> str:
    """Cancel a task wherever it lies, and say what was done.

    Raises:
        InputError: nobody knows the id, or it is over.
    """
    place = place.of(task_id)
    if isinstance(place, MirrorPlace):
        return _ask(place, task_id)
    for _ in range(TRIES):
        view = place.find(task_id)
        if view.place in {"tasks", "held"}:
            answer = _cancel_waiting(place, view)
        elif view.place == "results":
            answer = _cancel_retry(view)
        else:
            answer = _cancel_session(place, view)
        if answer is not None:
            return answer
    raise InputError(f"{task_id} kept moving: look with `aispool show {task_id}`, and try again")


def _ask(place: MirrorPlace, task_id: str) -> str:
    view = place.find(task_id)
    if view.place == "results":
        raise InputError(f"{task_id} is over already: {view.state}")
    return f"{task_id}: {place.ask('cancel', task_id=view.task_id)}"


def _cancel_waiting(place: Place, view: View) -> str | None:
    from agent.cli.take import cancel_waiting  # noqa: PLC0415 - `--help` needs none of it

    task_id = cancel_waiting(place, view)
    if task_id is None:
        return None
    return f"{task_id}: cancelled before it started" + (
        f" (was {view.name})" if task_id != view.task_id else ""
    )


def _cancel_retry(view: View) -> str:
    from spool.files import remove  # noqa: PLC0415

    retry = view.path / "retry"
    if retry.exists():
        remove(retry)
        return f"{view.task_id}: will not run again"
    if view.state == "cancelled":
        return f"{view.task_id}: was cancelled already"
    raise InputError(f"{view.task_id} is over already: {view.state}")


def _cancel_session(place: Place, view: View) -> str | None:
    from spool.requests import ask_to_cancel  # noqa: PLC0415

    return f"{view.task_id}: asked to stop" if ask_to_cancel(place.workspace, view.path) else None
