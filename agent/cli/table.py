"""Aligned plain columns: for pipes and terminals alike, without loading rich."""

from __future__ import annotations

import shutil
import sys
from typing import TYPE_CHECKING

from agent.amounts import ago, size, span
from agent.sanitize import one_line, plain

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

NARROWEST_LAST_COLUMN = 20

__all__ = ["ago", "block", "rows", "size", "span"]


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
