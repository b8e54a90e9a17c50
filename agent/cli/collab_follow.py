"""Following a collaborative run: who is being asked, how each step went, then the report."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

import click

from agent.cli.place import failed, print_json
from agent.cli.wait import Watch, Watched, poll

if TYPE_CHECKING:
    from agent.cli.place import Place
    from agent.collab.progress import ProgressRecord
    from spool.workspace import Workspace


def follow(place: Place, task_id: str, *, as_json: bool) -> None:
    """Wait for the end of a run; a table on a terminal, else a line for each step on standard error.

    Raises:
        click.exceptions.Exit: with 1, when it did not succeed.
    """
    watch = Watch(place.workspace, [Watched(task_id)])
    try:
        if sys.stderr.isatty() and not as_json:
            from agent.cli.collab_live import live_steps  # noqa: PLC0415 - rich is for terminals

            with live_steps(watch, task_id):
                poll(watch, None, lambda _task: None)
        else:
            _follow_in_lines(watch, task_id)
    except KeyboardInterrupt:
        click.echo(
            f"aispool: it goes on: `aispool collab show {task_id}`, `aispool cancel {task_id}`", err=True
        )
        raise
    show_end(place, task_id, as_json=as_json)
    if not watch.tasks[0].succeeded:
        raise failed()


def progress_of(workspace: Workspace, task_id: str) -> ProgressRecord | None:
    """Return how far a run is; None while it has not begun."""
    from agent.collab.progress import FILE, ProgressRecord  # noqa: PLC0415 - `--help` needs none of it
    from spool.records import DamagedError  # noqa: PLC0415

    for folder in (workspace.sessions, workspace.results):
        try:
            found = ProgressRecord.read(folder / task_id / "collab" / FILE)
        except (DamagedError, OSError):
            found = None
        if found is not None:
            return found
    return None


def show_end(place: Place, task_id: str, *, as_json: bool) -> None:
    """Print the report, or why there is none."""
    from agent.sanitize import one_line, plain  # noqa: PLC0415
    from agent.service.collab.documents import document_of, report_text  # noqa: PLC0415

    if as_json:
        print_json(document_of(place.workspace, task_id))
        return
    text = report_text(place.workspace, task_id)
    if text is not None:
        click.echo(plain(text).rstrip("\n"))
        return
    view = place.find(task_id)
    click.echo(f"aispool: {task_id} {view.state}: {one_line(view.reason)}", err=True)


def _follow_in_lines(watch: Watch, task_id: str) -> None:
    from agent.sanitize import one_line  # noqa: PLC0415

    told: set[Any] = set()
    while watch.pending:
        for _ in watch.look(time.monotonic()):
            pass
        progress = progress_of(watch.workspace, task_id)
        for step in progress.steps if progress else ():
            if (key := (step.name, step.state)) not in told and step.state != "running":
                told.add(key)
                why = f": {one_line(step.reason)}" if step.reason else ""
                click.echo(f"{step.name} ({step.provider or '-'}) {step.state}{why}", err=True)
        status = watch.tasks[0].view.status if watch.tasks[0].view else None
        if status is not None and status.question and ("asks", status.question) not in told:
            told.add(("asks", status.question))
            click.echo(f"{task_id} waits: {one_line(status.question)}", err=True)
        if watch.pending:
            time.sleep(0.2)
