"""The table that `wait` draws on a terminal: where each task stands, redrawn in place."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from rich.live import Live
from rich.table import Table
from rich.text import Text

from agent.cli.table import ago, span
from agent.sanitize import one_line
from agent.service.standing import standing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from agent.cli.wait import Watch, Watched

STYLES: Final = {
    "succeeded": "green",
    "running": "cyan",
    "waiting_input": "magenta",
    "deferred": "yellow",
    "queued": "",
    "blocked": "",
    "held": "",
}
BAR_CELLS: Final = 10


@contextmanager
def live_table(watch: Watch) -> Iterator[Callable[[Watched], None]]:
    """Draw while the block runs; what it yields is called for each task that is over."""
    with Live(get_renderable=lambda: _table(watch), refresh_per_second=4, transient=False):
        yield lambda _task: None


def _table(watch: Watch) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in ("task", "state", "tool", "since", "progress"):
        table.add_column(name, no_wrap=True)
    table.add_column("why", overflow="ellipsis", no_wrap=True, ratio=1)
    for task in watch.tasks:
        table.add_row(*_row(task))
    return table


def _row(task: Watched) -> tuple[Text, ...]:
    view = task.view
    cells = (
        task.task_id,
        task.state,
        view.tool if view else "",
        _since(task),
        _progress(task),
        standing(view) if view else "",
    )
    styles = ("bold", STYLES.get(task.state, "red"), "", "dim", "cyan", "dim")
    # Text, not markup: a task's name may hold square brackets
    return tuple(Text(one_line(cell), style=style) for cell, style in zip(cells, styles, strict=True))


def _since(task: Watched) -> str:
    view = task.view
    if view is None:
        return ""
    if view.result is not None:
        return span(view.result.duration_s)
    return ago(view.changed_at)


def _progress(task: Watched) -> str:
    status = task.view.status if task.view and task.verdict is None else None
    if status is None or not status.estimated_duration_s or status.started_at is None:
        return ""
    ran_s = (datetime.now(UTC) - status.started_at).total_seconds()
    share = min(0.99, max(0.0, ran_s / status.estimated_duration_s))
    done = round(share * BAR_CELLS)
    return f"{'━' * done}{'╌' * (BAR_CELLS - done)} {share:3.0%}"
