"""The central log: what all hosts wrote, merged by time.

A line that begins with a time (agent.log), or is a JSON object that holds one (audit.jsonl), has it; any
other has that of the line before it, and where there is none before, that of its log's last change. Lines are
merged as a heap of sorted logs, each read a piece at a time: no log is held in memory or open as a whole.
"""

from __future__ import annotations

import heapq
import os
import re
import time
from collections import deque
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

from agent.sanitize import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from agent.fleet.layout import Mirror

POLL_S: Final = 0.5
PIECE_BYTES: Final = 1 << 14
_TIME: Final = re.compile(
    rb'^(?:\{.{0,200}?"(?:at|time)": ?")?'
    rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?(?:Z|[+-]\d\d:\d\d))"
)


@dataclass(frozen=True, slots=True, order=True)
class Line:
    """One line of one log, without what steers a terminal."""

    at_s: float
    host: str
    log: str
    number: int
    text: str


def merged(
    mirrors: Iterable[Mirror], wanted: re.Pattern[str], most: int | None, offsets: dict[str, int]
) -> Iterator[Line]:
    """Yield the lines that match, by time.

    Args:
        mirrors: whose.
        wanted: a regular expression.
        most: only so many of the last ones.
        offsets: takes how far each log was read.
    """
    logs = [_matching(host, path, wanted, offsets) for host, path in _logs(mirrors)]
    lines = heapq.merge(*logs)
    yield from lines if most is None else deque(lines, maxlen=most)


def follow(
    mirrors: Iterable[Mirror], wanted: re.Pattern[str], offsets: dict[str, int]
) -> Iterator[list[Line]]:
    """Yield what is written into the logs from now on, a look at a time, for ever."""
    watched = list(mirrors)
    while True:
        new = [line for host, path in _logs(watched) for line in _matching(host, path, wanted, offsets)]
        if new:
            yield sorted(new)
        time.sleep(POLL_S)


def _logs(mirrors: Iterable[Mirror]) -> list[tuple[str, Path]]:
    found = []
    for mirror in mirrors:
        folder = mirror.workspace.logs
        if folder.is_dir():
            names = sorted(name for name in os.listdir(folder) if not name.startswith("."))
            found += [(mirror.name, folder / name) for name in names if name.endswith((".log", ".jsonl"))]
    return found


def _matching(host: str, path: Path, wanted: re.Pattern[str], offsets: dict[str, int]) -> Iterator[Line]:
    latest_s = 0.0
    for number, (at_s, text) in enumerate(_lines(path, offsets)):
        # a merge needs each log in order; a clock that was set back must not hide what came after
        latest_s = max(latest_s, at_s)
        if wanted.search(text):
            yield Line(latest_s, host, path.name, number, text)


def _lines(path: Path, offsets: dict[str, int]) -> Iterator[tuple[float, str]]:
    """Yield whole lines from where the log was left, and remember where it is left now."""
    key, at_s = str(path), None
    while lines := _piece(path, offsets.get(key, 0)):
        changed_s = path.stat().st_mtime
        for raw in lines:
            offsets[key] = offsets.get(key, 0) + len(raw)
            at_s = _time_of(raw) or at_s
            yield at_s or changed_s, one_line(raw.rstrip(b"\r\n").decode(errors="replace"))


def _piece(path: Path, offset: int) -> list[bytes]:
    """Return the whole lines of the next piece; one that is longer than a piece comes in parts."""
    try:
        with path.open("rb") as file:
            file.seek(offset)
            piece = file.read(PIECE_BYTES)
    except FileNotFoundError:
        return []
    lines = [line + b"\n" for line in piece.split(b"\n")]
    lines[-1] = lines[-1][:-1]
    if len(lines) > 1 or len(piece) < PIECE_BYTES:
        lines.pop()  # goes on in the next piece, or is still being written
    return lines


def _time_of(raw: bytes) -> float | None:
    match = _TIME.match(raw)
    if match is None:
        return None
    try:
        return datetime.fromisoformat(match[1].decode()).timestamp()
    except ValueError:
        return None
