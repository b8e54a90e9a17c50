"""`aispool wait ID...`: poll the files until every task is over."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import click

from agent.cli.command import command
from agent.cli.hosts import hosts_option
from agent.cli.ids import ids_argument
from agent.cli.place import Place, failed, json_option, pass_place, print_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from spool.view import View
    from spool.workspace import Workspace

POLL_S: Final = 0.2
LOOK_EVERYWHERE_S: Final = 2.0
"""Finding a waiting task reads the whole drop folder, so it is done more rarely."""


@command("wait")
@ids_argument("tasks", "held", "sessions", "results")
@hosts_option("--all-hosts", "--all")
@click.option(
    "--timeout", "timeout_s", type=click.FloatRange(min=0), metavar="S", help="Give up after so long."
)
@json_option
@pass_place
def wait_command(place: Place, *, task_ids: tuple[str, ...], timeout_s: float | None, as_json: bool) -> None:
    """Wait until tasks are over; exit 0 only when all of them succeeded.

    On a terminal a table shows how they stand. An unknown id fails at once.

    Examples:
      aispool wait build test && aispool submit deploy.json
      aispool wait --timeout 600 "$(aispool submit task.json)"
    """
    wait_for(place, list(dict.fromkeys(task_ids)), timeout_s=timeout_s, as_json=as_json)


@dataclass(slots=True)
class Watched:
    """One task as it was last seen; `workspace` is where, when that is another one."""

    task_id: str
    view: View | None = None
    looked_at_s: float = -LOOK_EVERYWHERE_S
    verdict: str | None = None
    workspace: Workspace | None = None

    @property
    def succeeded(self) -> bool:
        """Tell whether it ended well."""
        return self.verdict == "succeeded"

    @property
    def state(self) -> str:
        """Return how it stands, or how it ended."""
        return self.verdict or (str(self.view.state) if self.view else "moving")


@dataclass(slots=True)
class Watch:
    """All tasks that are waited for; `elsewhere` are the workspaces to which they may go."""

    workspace: Workspace
    tasks: list[Watched]
    elsewhere: Sequence[Workspace] = ()
    over: list[Watched] = field(default_factory=list)

    @property
    def pending(self) -> list[Watched]:
        """Return those that are not over."""
        return [task for task in self.tasks if task.verdict is None]

    def look(self, now_s: float) -> Iterator[Watched]:
        """Look once at each; yield those that are over now.

        Raises:
            ServiceError: an id is unknown at the first look.
        """
        for task in self.pending:
            self._look_at(task, now_s)
            if task.verdict is not None:
                yield task

    def _look_at(self, task: Watched, now_s: float) -> None:
        from spool import view  # noqa: PLC0415 - `--help` needs none of it

        workspace = task.workspace or self.workspace
        results = workspace.results / task.task_id
        wanted_again = (results / "retry").exists()
        seen = view.session(workspace.sessions / task.task_id)
        if seen is None and not wanted_again:
            seen = view.result(workspace, task.task_id)
        if seen is None and now_s - task.looked_at_s >= LOOK_EVERYWHERE_S:
            task.looked_at_s = now_s
            seen = view.find(workspace, task.task_id) or self._elsewhere(task)
            if seen is None:
                self._gone(task)
                return
        task.view = seen or task.view
        if seen is not None and seen.state.is_over and not (results / "retry").exists():
            task.verdict = str(seen.state)

    def _elsewhere(self, task: Watched) -> View | None:
        """Look for a task that went from where it was to a host of the fleet."""
        from spool import view  # noqa: PLC0415

        for workspace in self.elsewhere:
            seen = view.find(workspace, task.task_id)
            if seen is not None:
                task.workspace = workspace
                return seen
        return None

    def _gone(self, task: Watched) -> None:
        if task.view is None:
            from agent.service.places import unknown  # noqa: PLC0415

            raise unknown(self.workspace, task.task_id)
        task.verdict = "rejected" if self._is_rejected(task) else "removed"

    def _is_rejected(self, task: Watched) -> bool:
        from spool.names import error_name  # noqa: PLC0415

        assert task.view is not None
        workspace = task.workspace or self.workspace
        return (workspace.rejected / error_name(task.view.name)).exists()


def wait_for(place: Place, task_ids: list[str], *, timeout_s: float | None, as_json: bool) -> None:
    """Wait; print a line for each task that is over, or on a terminal a live table.

    Raises:
        click.exceptions.Exit: with 1, when not all succeeded in time.
    """
    watch = Watch(place.workspace, [Watched(task_id) for task_id in task_ids], place.elsewhere())
    give_up_s = None if timeout_s is None else time.monotonic() + timeout_s
    if sys.stdout.isatty() and not as_json:
        from agent.cli.live import live_table  # noqa: PLC0415 - rich is for terminals

        with live_table(watch) as shown:
            poll(watch, give_up_s, shown)
    else:
        poll(watch, give_up_s, lambda task: None if as_json else _say(task))
    if as_json:
        print_json(_document(watch))
    for task in watch.pending:
        click.echo(f"aispool: {task.task_id} is not over: {_standing(task)}", err=True)
    if not all(task.succeeded for task in watch.tasks):
        raise failed()


def poll(watch: Watch, give_up_s: float | None, over: Callable[[Watched], None]) -> None:
    """Look until all are over, or until a time of the monotonic clock; `over` is called for each.

    Raises:
        ServiceError: an id is unknown at the first look.
    """
    while True:
        now_s = time.monotonic()
        for task in watch.look(now_s):
            over(task)
        if not watch.pending or (give_up_s is not None and now_s >= give_up_s):
            return
        time.sleep(POLL_S if give_up_s is None else max(0.0, min(POLL_S, give_up_s - now_s)))


def _say(task: Watched) -> None:
    click.echo(f"{task.task_id} {_standing(task)}")


def _standing(task: Watched) -> str:
    from agent.sanitize import one_line  # noqa: PLC0415
    from agent.service.standing import standing  # noqa: PLC0415

    reason = f": {one_line(standing(task.view))}" if task.view else ""
    return f"{task.state}{reason}"


def _document(watch: Watch) -> dict[str, Any]:
    from agent.inspect.documents import document, of_view  # noqa: PLC0415

    return document(
        watch.workspace,
        succeeded=all(task.succeeded for task in watch.tasks),
        tasks=[
            {**(of_view(task.view) if task.view else {}), "task_id": task.task_id, "state": task.state}
            for task in watch.tasks
        ],
    )
