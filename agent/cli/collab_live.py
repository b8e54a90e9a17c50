"""The table that `collab run` draws on a terminal: one line a step, redrawn in place."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from agent.cli.collab_follow import progress_of
from agent.sanitize import one_line
from agent.service.standing import standing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent.cli.wait import Watch

STYLES: Final = {"running": "cyan", "ok": "green", "failed": "red"}


@contextmanager
def live_steps(watch: Watch, task_id: str) -> Iterator[None]:
    """Draw while the block runs; on standard error, so that the report alone goes to standard output."""
    with Live(
        get_renderable=lambda: _table(watch, task_id),
        refresh_per_second=4,
        console=Console(stderr=True),
    ):
        yield


def _table(watch: Watch, task_id: str) -> Group:
    table = Table(box=None, pad_edge=False, expand=True)
    for name in ("step", "role", "provider", "state", "took"):
        table.add_column(name, no_wrap=True)
    table.add_column("why", overflow="ellipsis", no_wrap=True, ratio=1)
    progress = progress_of(watch.workspace, task_id)
    for step in progress.steps if progress else ():
        took_s = step.duration_s
        if took_s is None:
            took_s = (datetime.now(UTC) - step.since).total_seconds()
        cells = (step.name, step.role, step.provider or "-", step.state, f"{took_s:.1f} s", step.reason)
        styles = ("bold", "", "", STYLES[step.state], "dim", "dim")
        # Text, not markup: a provider's name may hold square brackets
        table.add_row(*(Text(one_line(cell), style=style) for cell, style in zip(cells, styles, strict=True)))
    view = watch.tasks[0].view
    stands = standing(view) if view else "waits for an agent"
    doing = progress.doing if progress else "not started"
    return Group(Text(f"{task_id}: {doing} ({one_line(stands)})", style="dim"), table)
