"""Where in the fleet a task is, and how it stands: as far as the mirrors show it.

A host is believed about its own tasks only. What was moved from a host to another one is not there any more.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from agent.fleet.outbox import MAX_TASK_BYTES
from spool.files import read_regular
from spool.names import WHY_SUFFIX, is_dropped_name, stem_of
from spool.records import DamagedError, State, Status
from spool.refusal import Refusal
from spool.results import RESULT, STATUS, read_result, read_tombstone
from spool.task import parse_task
from spool.view import Why

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from agent.fleet.layout import Mirror
    from spool.workspace import Workspace

MOVED: Final = ".moved"
"""fleet/HOST/.moved/ID: the task was given to another host instead."""


@dataclass(frozen=True, slots=True)
class Found:
    """A task on one host.

    Args:
        host: the name in the fleet; empty for the collector's own workspace.
        state: where it stands.
        folder: of its result, when it is over and was not pruned.
    """

    host: str
    state: State
    folder: Path | None = None

    @property
    def where(self) -> str:
        """Name the place in a sentence."""
        return f"on {self.host}" if self.host else "here"


def moved(mirror: Mirror, task_id: str) -> Path:
    """Return the mark of a task that was given to another host instead."""
    return mirror.root / MOVED / task_id


class Whereabouts:
    """One look over the fleet; make a new one for the next look."""

    def __init__(self, own: Workspace, mirrors: Iterable[Mirror], waiting: WaitingIds) -> None:
        self._own = own
        self._mirrors = list(mirrors)
        self._waiting = waiting
        self._found: dict[str, list[Found]] = {}

    def of(self, task_id: str) -> list[Found]:
        """Return everything that is known of an id."""
        if task_id not in self._found:
            found = [one for mirror in self._mirrors if (one := self.on(mirror, task_id))]
            own = _over(self._own, "", task_id) or _in_session(self._own, "", task_id)
            self._found[task_id] = [*found, own] if own else found
        return self._found[task_id]

    def on(self, mirror: Mirror, task_id: str) -> Found | None:
        """Return how a task stands on one host; None when the host is not known to have it."""
        if os.path.lexists(moved(mirror, task_id)):
            return None
        ws = mirror.workspace
        # a task moves from sessions to results, never the other way unseen
        found = _in_session(ws, mirror.name, task_id) or _over(ws, mirror.name, task_id)
        if found is not None:
            return found
        on_its_way = any((box.tasks / task_id).is_dir() for box in (mirror.outbox, mirror.sent))
        if on_its_way or task_id in self._waiting.of(mirror):
            return Found(mirror.name, State.QUEUED)
        return None


def _in_session(ws: Workspace, host: str, task_id: str) -> Found | None:
    folder = ws.sessions / task_id
    if not folder.is_dir():
        return None
    with suppress(DamagedError, OSError):
        status = Status.read(folder / STATUS)
        if status is not None:
            return Found(host, status.state)
    return Found(host, State.RUNNING)


def _over(ws: Workspace, host: str, task_id: str) -> Found | None:
    try:
        result = read_result(ws, task_id)
        if result is not None:
            return Found(host, result.state, ws.results / task_id)
        tombstone = read_tombstone(ws, task_id)
    except (DamagedError, OSError):
        return Found(host, State.LOST)
    return Found(host, tombstone.state) if tombstone else None


class WaitingIds:
    """The ids of the tasks that wait on hosts, each file read once."""

    def __init__(self) -> None:
        self._read: dict[Path, tuple[int, int, str | None]] = {}

    def of(self, mirror: Mirror) -> set[str]:
        """Return the ids that wait in a host's tasks/ and tasks/held/."""
        ids = set()
        for folder in (mirror.raw / "tasks", mirror.raw / "tasks" / "held"):
            with suppress(FileNotFoundError):
                for name in os.listdir(folder):
                    if is_dropped_name(name) and (task_id := self.id_of(folder / name)) is not None:
                        ids.add(task_id)
        return ids

    def id_of(self, path: Path) -> str | None:
        """Return the id of one waiting task; None when nobody knows it yet."""
        why = Why.read(path.with_name(stem_of(path.name) + WHY_SUFFIX))
        if why is not None:
            return why.task_id
        try:
            status = path.lstat()
            known = self._read.get(path)
            if known is not None and known[:2] == (status.st_ino, status.st_mtime_ns):
                return known[2]
            parsed = parse_task(read_regular(path, MAX_TASK_BYTES))
        except OSError:
            return None
        task_id = None if isinstance(parsed, Refusal) else parsed[0].task_id
        self._read[path] = (status.st_ino, status.st_mtime_ns, task_id)
        return task_id


def is_result(folder: Path) -> bool:
    """Tell whether a folder holds a result."""
    return (folder / RESULT).is_file()
