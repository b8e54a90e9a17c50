"""What a host shows of the tasks that it was given, as rsync has copied it."""

from __future__ import annotations

import os
from functools import cached_property
from typing import TYPE_CHECKING, Final

from agent.fleet.outbox import MAX_TASK_BYTES
from agent.fleet.shown import names_in
from spool.files import read_regular
from spool.names import TASK_SUFFIX, with_suffix_number
from spool.workspace import AGENT_PREFIX

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

    def knows(self, task_id: str) -> bool:
        """Tell whether the host shows anything of a task, or anything that may become of it."""
        there, name = self._raw, f"{task_id}{TASK_SUFFIX}"
        places = (
            *(there / "tasks" / name, there / "tasks" / "held" / name, there / "inbox" / "tasks" / name),
            *(there / "sessions" / task_id, there / "results" / ".uncollected" / task_id),
        )
        return task_id in self._claimed or any(os.path.lexists(place) for place in places)

    @cached_property
    def _claimed(self) -> set[str]:
        """The tasks that agents have taken and not launched yet."""
        sessions = self._raw / "sessions"
        agents = [name for name in names_in(sessions) if name.startswith(AGENT_PREFIX)]
        return {name for agent in agents for name in names_in(sessions / agent)}

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
