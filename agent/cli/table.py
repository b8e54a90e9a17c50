"""Aligned plain columns: for pipes and terminals alike, without loading rich."""

from __future__ import annotations

import shutil
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from agent.sanitize import one_line, plain

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

NARROWEST_LAST_COLUMN = 20


def rows(head: Sequence[str], body: Sequence[Sequence[object]], *, cut: bool = True) -> Iterator[str]:
    """Yield a table's lines; on a terminal the last column may be cut to its width."""
    cells = [tuple(head), *(tuple(one_line(cell) for cell in row) for row in body)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(head))]
    before = sum(widths[:-1]) + 2 * (len(widths) - 1)
    room = _terminal_width() - before if cut and sys.stdout.isatty() else 0
    for row in cells:
        last = _cut(row[-1], max(room, NARROWEST_LAST_COLUMN)) if room else row[-1]
        line = "  ".join((*(cell.ljust(width) for cell, width in zip(row[:-1], widths, strict=False)), last))
        yield line.rstrip()


def block(label: str, text: str) -> Iterator[str]:
    """Yield a label and, beside it, a text of any number of lines without what steers a terminal."""
    first, *others = plain(text).splitlines() or [""]
    yield f"{one_line(label):<12} {first}".rstrip()
    yield from (f"{'':<12} {line}".rstrip() for line in others)


def _terminal_width() -> int:
    return shutil.get_terminal_size().columns


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def ago(moment: datetime | None, now: datetime | None = None) -> str:
    """Say how long ago something was: 42 s, 5 min, 3 h, 9 d."""
    if moment is None:
        return "-"
    return span(((now or datetime.now(UTC)) - moment).total_seconds())


def span(seconds: float | None) -> str:
    """Say a duration with two digits or so."""
    if seconds is None:
        return "-"
    for limit_s, unit_s, unit in ((120, 1, "s"), (7200, 60, "min"), (172_800, 3600, "h")):
        if seconds < limit_s:
            return f"{max(0, seconds) / unit_s:.0f} {unit}"
    return f"{seconds / 86400:.0f} d"


def size(count_bytes: float) -> str:
    """Say a size in binary units."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(count_bytes) < 1024:  # noqa: PLR2004 - the unit's own step
            return f"{count_bytes:.0f} {unit}" if unit == "B" else f"{count_bytes:.1f} {unit}"
        count_bytes /= 1024
    return f"{count_bytes:.1f} TiB"
