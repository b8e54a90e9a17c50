"""What is kept of the past: results and logs, each by age, number and size.

A result that a waiting task depends on or takes files from is never pruned, nor one that was asked to run
again, nor one that the collector of an enrolled workspace does not hold yet; its log neither. Of what goes,
a tombstone stays.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

from spool.enrol import enrolment_of, is_complete, is_enrolled, marked
from spool.names import is_task_id
from spool.records import DamagedError
from spool.results import RETRY, finish_pruning, prune, read_result, read_task
from spool.view import waiting

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from datetime import datetime
    from pathlib import Path

    from spool.workspace import Workspace


class Keeping(Protocol):
    """How much of the past stays."""

    @property
    def keep_days(self) -> float:
        """Results that are older go."""

    @property
    def keep_count(self) -> int:
        """So many results and logs stay at most."""

    @property
    def keep_bytes(self) -> int:
        """So large are the results at most, and the logs."""

    @property
    def keep_log_days(self) -> float:
        """Logs that are older go."""


@dataclass(frozen=True, slots=True)
class PruneReport:
    """What was removed."""

    results: tuple[str, ...]
    logs: tuple[str, ...]
    freed_bytes: int


@dataclass(frozen=True, slots=True)
class _Kept:
    finished_s: float
    task_id: str


def prune_past(
    workspace: Workspace,
    keeping: Keeping,
    now: datetime,
    needed: Collection[str] | None = None,
    uncollected: Collection[str] = (),
) -> PruneReport:
    """Remove results and logs beyond what is kept.

    Args:
        workspace: where.
        keeping: how much stays.
        now: the wall clock.
        needed: ids that waiting tasks depend on; read from the drop folder when it is not given.
        uncollected: ids of results that stay with their logs, beside those that the workspace itself marks.

    Raises:
        OSError: the disk; what was removed so far is gone, and calling again goes on.
    """
    finish_pruning(workspace)
    if is_enrolled(workspace) and not _all_marked(workspace):
        return PruneReport((), (), 0)
    marks = frozenset(marked(workspace)).union(uncollected)
    protected = marks | (set(needed) if needed is not None else _needed(workspace))
    oldest_s = (now - timedelta(days=keeping.keep_days)).timestamp()
    kept_bytes, freed_bytes = 0, 0
    pruned: list[str] = []
    for position, item in enumerate(_newest_first(workspace)):
        folder = workspace.results / item.task_id
        size = _size_bytes(folder)
        kept_bytes += size
        beyond = (
            item.finished_s < oldest_s or position >= keeping.keep_count or kept_bytes > keeping.keep_bytes
        )
        if beyond and item.task_id not in protected and _prune(workspace, item.task_id):
            kept_bytes -= size
            freed_bytes += size
            pruned.append(item.task_id)
    logs, log_bytes = _prune_logs(workspace, keeping, now, marks)
    return PruneReport(tuple(pruned), logs, freed_bytes + log_bytes)


def _all_marked(workspace: Workspace) -> bool:
    """Tell whether every result that was there when the collector came is known to be collected or not."""
    try:
        enrolment = enrolment_of(workspace)
    except DamagedError:
        return False  # nobody knows what was collected
    return enrolment is None or is_complete(workspace, enrolment)


def _needed(workspace: Workspace) -> set[str]:
    return {needed for view in waiting(workspace) if view.task for needed in view.task.needs}


def _newest_first(workspace: Workspace) -> list[_Kept]:
    with os.scandir(workspace.results) as entries:
        found = [
            _Kept(entry.stat(follow_symlinks=False).st_mtime, entry.name)
            for entry in entries
            if is_task_id(entry.name) and entry.is_dir(follow_symlinks=False)
        ]
    return sorted(found, key=lambda item: (-item.finished_s, item.task_id))


def _prune(workspace: Workspace, task_id: str) -> bool:
    folder = workspace.results / task_id
    if (folder / RETRY).exists() or (workspace.uncollected / task_id).exists():
        return False
    try:
        result, task = read_result(workspace, task_id), read_task(folder)
    except DamagedError:
        return False  # a person may still make sense of it
    if result is None:
        return False
    prune(workspace, result, task.source_sha256 if task else "")
    return True


def _size_bytes(folder: Path) -> int:
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(parent, name)).st_blocks * 512  # noqa: PTH118 - many files
            except FileNotFoundError:
                continue
    return total


def _prune_logs(
    workspace: Workspace, keeping: Keeping, now: datetime, uncollected: frozenset[str]
) -> tuple[tuple[str, ...], int]:
    """Remove the logs of tools, the oldest first.

    Those of tasks in session and of results that are not collected stay, and so does the agent's.
    """
    oldest_s = (now - timedelta(days=keeping.keep_log_days)).timestamp()
    kept = uncollected.union(name for name in os.listdir(workspace.sessions) if is_task_id(name))
    with os.scandir(workspace.logs) as entries:
        found = [(e.stat(follow_symlinks=False), e.name) for e in entries if _is_log(e)]
    removed: list[str] = []
    kept_bytes, freed_bytes = 0, 0
    for position, (status, name) in enumerate(sorted(found, key=lambda log: (-log[0].st_mtime, log[1]))):
        size = status.st_blocks * 512
        kept_bytes += size
        beyond = (
            status.st_mtime < oldest_s or position >= keeping.keep_count or kept_bytes > keeping.keep_bytes
        )
        if beyond and kept.isdisjoint(_ids_in(name)):
            (workspace.logs / name).unlink(missing_ok=True)
            removed.append(name)
            kept_bytes -= size
            freed_bytes += size
    return tuple(sorted(removed)), freed_bytes


def _ids_in(name: str) -> Iterator[str]:
    """Yield every id of which TOOL-ID.log may be the log: both may hold a dash."""
    rest = name.removesuffix(".1").removesuffix(".log")
    while (parts := rest.partition("-"))[1]:
        rest = parts[2]
        yield rest


def _is_log(entry: os.DirEntry[str]) -> bool:
    is_file = entry.is_file(follow_symlinks=False) and entry.name.endswith((".log", ".log.1"))
    return is_file and not entry.name.startswith(("agent.", "."))
