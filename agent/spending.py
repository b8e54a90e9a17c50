"""What each attempt has used, read from results and from the sessions that go on.

Of a result only result.json is read, and of that only what is needed; a folder that did not change since
the moment that is asked for is not opened.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from spool.names import is_task_id
from spool.records import AttemptRecord, DamagedError, Record, Status, Usage, Utc
from spool.results import RESULT, STATUS, read_task

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime
    from pathlib import Path

    from spool.workspace import Workspace

MARGIN_S: Final = 60.0
"""A file's time and the time written in it may come from clocks that differ a little."""
NOT_STARTED: Final = "not_started"


@dataclass(frozen=True, slots=True)
class Spending:
    """What one attempt has used."""

    task_id: str
    number: int
    tool: str
    labels: tuple[str, ...]
    finished_at: datetime
    usage: Usage


class _Attempt(Record):
    """The part of an attempt that matters here."""

    number: int
    outcome: str | None = None
    finished_at: Utc | None = None
    usage: Usage = Usage()


class _Result(Record):
    """The part of result.json that matters here."""

    task_id: str
    tool: str
    labels: tuple[str, ...] = ()
    finished_at: Utc
    usage: Usage = Usage()
    attempts: tuple[_Attempt, ...] = ()


def everything(workspace: Workspace, since: datetime | None = None) -> Iterator[Spending]:
    """Yield every attempt that ended since then, each once.

    Sessions are read first, so that a task on its way to its result is not missed.
    """
    seen: set[str] = set()
    for spending in list(_of_sessions(workspace)):
        seen.add(spending.task_id)
        if since is None or spending.finished_at >= since:
            yield spending
    for task_id in _results(workspace, since):
        if task_id not in seen:
            yield from (s for s in of_result(workspace, task_id) if since is None or s.finished_at >= since)


def of_result(workspace: Workspace, task_id: str) -> list[Spending]:
    """Return the attempts of a result; none when it is not there, or damaged."""
    try:
        result = _Result.read(workspace.results / task_id / RESULT)
    except (DamagedError, OSError):
        return []  # `ls` and `show` say so
    if result is None:
        return []
    attempts = [a for a in result.attempts if a.finished_at is not None and a.outcome != NOT_STARTED]
    if result.usage != Usage() and all(attempt.usage == Usage() for attempt in attempts):
        # whoever wrote it told the sum alone
        last = attempts[-1].number if attempts else 0
        return [Spending(result.task_id, last, result.tool, result.labels, result.finished_at, result.usage)]
    return [
        Spending(result.task_id, a.number, result.tool, result.labels, a.finished_at, a.usage)
        for a in attempts
        if a.finished_at is not None
    ]


def of_records(
    task_id: str, tool: str, labels: tuple[str, ...], records: Sequence[AttemptRecord]
) -> list[Spending]:
    """Return the attempts of a session that are over."""
    return [
        Spending(task_id, record.number, tool, labels, record.finished_at, record.usage)
        for record in records
        if record.finished_at is not None and record.outcome != NOT_STARTED
    ]


def _of_sessions(workspace: Workspace) -> Iterator[Spending]:
    for task_id in sorted(name for name in os.listdir(workspace.sessions) if is_task_id(name)):
        yield from _of_session(workspace.sessions / task_id)


def _of_session(folder: Path) -> list[Spending]:
    try:
        status = Status.read(folder / STATUS)
        task = read_task(folder) if status is not None and status.attempts else None
    except (DamagedError, OSError):
        return []
    if status is None or task is None:
        return []
    return of_records(status.task_id, status.tool, task.labels, status.attempts)


def _results(workspace: Workspace, since: datetime | None) -> Iterator[str]:
    changed_s = float("-inf") if since is None else since.timestamp() - MARGIN_S
    with os.scandir(workspace.results) as entries:
        for entry in entries:
            if is_task_id(entry.name) and (since is None or _changed_s(entry) >= changed_s):
                yield entry.name


def _changed_s(entry: os.DirEntry[str]) -> float:
    try:
        return entry.stat(follow_symlinks=False).st_mtime
    except FileNotFoundError:
        return float("-inf")  # pruned, or taken to be run again, at this moment
