"""One task as the table shows it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from rich.cells import cell_len, chop_cells, set_cell_size

from agent.amounts import ago, span
from agent.sanitize import one_line, plain
from spool.records import State

if TYPE_CHECKING:
    from collections.abc import Sequence

OVER: Final = tuple(str(state) for state in State if state.is_over)
ALIVE: Final = ("waiting_input", "running", "deferred", "queued", "blocked", "held")
"""In the order of the table: what needs a person stands first."""

STYLES: Final = {
    "waiting_input": "bold magenta",
    "running": "cyan",
    "deferred": "yellow",
    "succeeded": "green",
    "queued": "",
    "blocked": "",
    "held": "dim",
    "cancelled": "dim",
}
BAD: Final = "red"
WORDS: Final = {"waiting_input": "asks", "dependency_failed": "dep.failed"}
"""States that are too long for the column."""


@dataclass(frozen=True, slots=True)
class Row:
    """One task; no text steers a terminal, all but the question are one line.

    Args:
        task_id: as it is on disk; show `shown_id`.
        host: None for our own workspace.
        question: what it asks, on as many lines as it has.
    """

    task_id: str
    host: str | None
    state: str
    tool: str
    standing: str
    shown_id: str
    changed_at: datetime | None
    duration_s: float | None
    question: str

    @classmethod
    def of(cls, document: dict[str, Any]) -> Row:
        """Read a row of `agent.service.listing.row`."""
        changed_at = document["changed_at"]
        return cls(
            task_id=document["task_id"],
            host=document["host"],
            state=document["state"],
            tool=one_line(document["tool"]),
            standing=one_line(" ".join(document["standing"].split())),
            shown_id=one_line(document["task_id"]),
            changed_at=datetime.fromisoformat(changed_at) if changed_at else None,
            duration_s=document["duration_s"],
            question=plain(document["question"] or "").strip(),
        )

    @property
    def key(self) -> tuple[str | None, str]:
        """What stays the same while it moves."""
        return self.host, self.task_id

    @property
    def is_over(self) -> bool:
        """Tell whether nothing more will happen."""
        return self.state in OVER

    @property
    def style(self) -> str:
        """How its state is shown."""
        return STYLES.get(self.state, BAD)

    def since(self, now: datetime | None = None) -> str:
        """Say how long it has been so; of a task that is over, when it ended."""
        return ago(self.changed_at, now or datetime.now(UTC)).replace(" ", "")

    def took(self) -> str:
        """Say how long it ran, when it is over."""
        return span(self.duration_s).replace(" ", "")


@dataclass(frozen=True, slots=True)
class Columns:
    """How wide the columns are; 0 leaves one out. The last has what is left."""

    host: int
    id: int
    state: int
    tool: int
    since: int

    @classmethod
    def fitting(cls, rows: Sequence[Row], width: int) -> Columns:
        """Return columns for these rows on so many cells; the less room, the fewer columns."""
        longest = max((cell_len(row.shown_id) for row in rows), default=0)
        hosts = max((cell_len(row.host) for row in rows if row.host), default=0)
        tools = max((cell_len(row.tool) for row in rows), default=0)
        return cls(
            host=min(max(hosts, 4), width // 8) if hosts and width >= 60 else 0,  # noqa: PLR2004 - cells
            id=min(max(longest, 8), max(width * 7 // 20, 12)),
            state=10,
            tool=min(max(tools, 4), 10) if width >= 70 else 0,  # noqa: PLR2004
            since=6 if width >= 45 else 0,  # noqa: PLR2004
        )

    def line(self, cells: Sequence[str], width: int) -> list[str]:
        """Return the cells of one line, each padded and followed by its gap; the last fills the width.

        Args:
            cells: host, id, state, tool, since, why.
            width: in cells.
        """
        padded, left = [], width
        widths = (self.host, self.id, self.state, self.tool, self.since)
        for cell, wanted in zip(cells[:-1], widths, strict=True):
            cut = set_cell_size(shortened(cell, wanted), wanted) + " " if wanted else ""
            padded.append(set_cell_size(cut, min(cell_len(cut), max(left, 0))))
            left -= cell_len(padded[-1])
        padded.append(set_cell_size(shortened(cells[-1], left), left) if left > 0 else "")
        return padded


HEAD: Final = ("HOST", "ID", "STATE", "TOOL", "SINCE", "WHY")


def cells_of(row: Row, now: datetime) -> tuple[str, ...]:
    """Return what stands in the columns of `HEAD`."""
    state = WORDS.get(row.state, row.state)
    return row.host or "-", row.shown_id, state, row.tool or "-", row.since(now), row.standing


def shortened(text: str, most: int) -> str:
    """Cut a text to so many cells; of a name the end stays, which tells two apart."""
    if cell_len(text) <= most:
        return text
    tail = 0 if " " in text else most // 3
    head = most - tail - 1
    if head <= 0:
        return text[: max(most, 0)]
    return f"{chop_cells(text, head)[0]}…{text[-tail:] if tail else ''}"
