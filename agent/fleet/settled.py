"""What a host shows of the tasks that it was given, as rsync has copied it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from agent.fleet.outbox import MAX_TASK_BYTES
from spool.files import read_regular
from spool.names import with_suffix_number

if TYPE_CHECKING:
    from pathlib import Path

    from agent.fleet.layout import Mirror
    from agent.fleet.outbox import Parcel

MOST_REFUSALS: Final = 50


class Shown:
    """One look at a host's copy."""

    def __init__(self, mirror: Mirror) -> None:
        self._raw = mirror.raw
        self._results = mirror.workspace.results

    def has(self, parcel: Parcel) -> bool:
        """Tell whether the host has taken the task over: it waits, or is in session."""
        name = parcel.task.name
        tasks = self._raw / "tasks"
        if os.path.lexists(tasks / name) or os.path.lexists(tasks / "held" / name):
            return True
        return (self._raw / "sessions" / parcel.task_id).is_dir()

    def is_seen(self, parcel: Parcel) -> bool:
        """Tell whether the host has, or had, the task."""
        note = parcel.note()
        return (note is not None and note.seen_at is not None) or self.has(parcel)

    def is_in_inbox(self, parcel: Parcel) -> bool:
        """Tell whether it lies in the host's inbox, and waits for an agent."""
        return os.path.lexists(self._raw / "inbox" / "tasks" / parcel.task.name)

    def refused_as(self, parcel: Parcel) -> Path | None:
        """Return the file under which the host has refused exactly this delivery."""
        rejected = self._raw / "rejected"
        for number in range(1, MOST_REFUSALS):
            path = rejected / with_suffix_number(parcel.task.name, number)
            if not os.path.lexists(path):
                return None
            if _is_same(path, parcel.outgoing):
                return path
        return None


def _is_same(copy: Path, given: Path) -> bool:
    """Compare bytes and times, by which a host tells one delivery from another."""
    try:
        if copy.lstat().st_mtime_ns != given.lstat().st_mtime_ns:
            return False
        return read_regular(copy, MAX_TASK_BYTES) == read_regular(given, MAX_TASK_BYTES)
    except OSError:
        return False
