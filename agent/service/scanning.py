"""What changed in a workspace since the last look, found by names and stamps; only what is new is read.

A folder whose own stamp (time of its last change, inode) is the one of the last look holds the same names.
A session's status.json is replaced at once, so its stamp is looked at each time; there are few. A result
never changes while it is there: a name that was there is not looked at again, except when it is known to have
run again (it was in session, or a hint says so) and when the look is a thorough one.

The order is that in which a task moves (tasks, sessions, results), so that one on its way is seen twice
rather than never; what is gone from results/ is looked for in sessions/ once more: a retry moves that way.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from spool import view as views
from spool.claim import TASK, claims_of
from spool.names import WHY_SUFFIX, is_dropped_name, is_task_id, stem_of
from spool.results import STATUS
from spool.workspace import AGENT_PREFIX

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

    from spool.view import View
    from spool.workspace import Workspace

RACY_NS: Final = 40_000_000
"""A folder changed twice in one tick of the kernel's clock bears one time; a tick is up to 10 ms."""
RACY_NETWORK_NS: Final = 3_000_000_000
"""On a network file system the clock is another machine's, and its attributes are cached for a while."""
YOUNG_NS: Final = 2_000_000_000
"""A dropped file that was written into so recently is looked at again: `cp` changes it, and no folder."""


@dataclass(slots=True)
class Known:
    """What is known of one place.

    Args:
        names: per kind (tasks, held, sessions, results) the names and their stamps.
        folders: per kind the stamp of its folder.
    """

    names: dict[str, dict[str, str]] = field(default_factory=dict)
    folders: dict[str, str] = field(default_factory=dict)

    def of(self, kind: str) -> dict[str, str]:
        """Return the names of one kind."""
        return self.names.setdefault(kind, {})


@dataclass(frozen=True, slots=True)
class Change:
    """One name that is there as it was not before.

    Args:
        kind: tasks, held, sessions or results.
        name: of the file or the folder.
        stamp: empty when there is no such name any more.
        view: None when there is none, or when it is no task.
    """

    kind: str
    name: str
    stamp: str = ""
    view: View | None = None


@dataclass(frozen=True, slots=True)
class Seen:
    """A folder holds what was told before: its stamp; empty when it must be looked at again."""

    kind: str
    stamp: str


class Scan:
    """One look at one workspace.

    Args:
        workspace: which.
        known: what the looks before found; the caller brings it up to date with what this one yields.
        thorough: look at the stamp of every result, too.
        hints: names below results/ that something happened to.
        racy_ns: how old a folder's last change must be, so that another one has another time.
    """

    def __init__(
        self,
        workspace: Workspace,
        known: Known,
        *,
        thorough: bool = False,
        hints: Collection[str] = (),
        racy_ns: int = RACY_NS,
    ) -> None:
        self._workspace = workspace
        self._known = known
        self._thorough = thorough
        self._hints = set(hints)
        self._racy_ns = racy_ns
        self._in_session: dict[str, str] = {}
        self._left: set[str] = set()

    def changes(self) -> Iterator[Change | Seen]:
        """Yield what changed, each at most once; of many new results the latest first."""
        for kind, folder in (("tasks", self._workspace.tasks), ("held", self._workspace.held)):
            with suppress(FileNotFoundError, NotADirectoryError):
                yield from self._waiting(kind, folder)
        with suppress(FileNotFoundError, NotADirectoryError):
            yield from self._sessions()
        with suppress(FileNotFoundError, NotADirectoryError):
            yield from self._results()

    def _waiting(self, kind: str, folder: Path) -> Iterator[Change | Seen]:
        stamp = self._stamp_of(folder)
        if stamp and stamp == self._known.folders.get(kind) and not self._thorough:
            return
        began_ns = time.time_ns()
        present: dict[str, str] = {}
        with os.scandir(folder) as entries:
            stats = {
                entry.name: status
                for entry in entries
                if (is_dropped_name(entry.name) or entry.name.endswith(WHY_SUFFIX))
                and (status := _status(entry))
            }
        again = False
        known = self._known.of(kind)
        for name, status in stats.items():
            if not is_dropped_name(name):
                continue
            why = stats.get(stem_of(name) + WHY_SUFFIX)
            present[name] = f"{_stamp(status)} {_stamp(why) if why else '-'}"
            again = again or status.st_mtime_ns > began_ns - YOUNG_NS
            if known.get(name) == present[name]:
                continue
            seen = views.waiting_file(folder / name, kind)
            if seen is not None:
                again = again or seen.task is None
                yield Change(kind, name, present[name], seen)
            else:
                del present[name]
        yield from (Change(kind, name) for name in known.keys() - present.keys())
        yield Seen(kind, "" if again else stamp)

    def _sessions(self) -> Iterator[Change]:
        folder, kind = self._workspace.sessions, "sessions"
        known = self._known.of(kind)
        with os.scandir(folder) as entries:
            names = [entry.name for entry in entries]
        for name in names:
            if is_task_id(name):
                yield from self._session(name)
            elif name.startswith(AGENT_PREFIX):
                yield from self._claims(folder / name)
        gone = known.keys() - self._in_session.keys()
        self._left = set(gone)
        yield from (Change(kind, name) for name in gone)

    def _session(self, name: str) -> Iterator[Change]:
        folder = self._workspace.sessions / name
        stamp = ""
        for file in (STATUS, TASK):
            with suppress(OSError):
                stamp = f"{file} {_stamp(os.lstat(folder / file))}"
                break
        if stamp and self._known.of("sessions").get(name) == stamp:
            self._in_session[name] = stamp
            return
        seen = views.session(folder)
        if seen is not None:
            self._in_session[name] = stamp
            yield Change("sessions", name, stamp, seen)

    def _claims(self, agent: Path) -> Iterator[Change]:
        for claim in claims_of(agent):
            name, stamp = claim.task_id, f"claim {agent.name}"
            if name in self._in_session:
                continue
            self._in_session[name] = stamp
            if self._known.of("sessions").get(name) != stamp:
                yield Change("sessions", name, stamp, views.claimed(agent, claim))

    def _results(self) -> Iterator[Change | Seen]:
        folder, kind = self._workspace.results, "results"
        known = self._known.of(kind)
        stamp = self._stamp_of(folder)
        again = (self._hints | self._left) & known.keys()
        if stamp and stamp == self._known.folders.get(kind) and not self._thorough:
            yield from self._read_results(again)
            return
        with os.scandir(folder) as entries:
            present = {e.name for e in entries if is_task_id(e.name) and e.is_dir(follow_symlinks=False)}
        for name in known.keys() - present:
            # a retry moves from here into a claim or a session, which was looked at before
            yield from self._back_in_session(name)
            yield Change(kind, name)
        if self._thorough:
            again |= {name for name in known.keys() & present if known[name] != self._stamp_of_result(name)}
        yield from self._read_results((present - known.keys()) | again)
        yield Seen(kind, stamp)

    def _back_in_session(self, name: str) -> Iterator[Change]:
        if name not in self._in_session:
            with suppress(OSError):
                yield from self._session(name)
        if name not in self._in_session:
            for agent in self._workspace.agents():
                if (agent / name).is_dir():
                    yield from self._claims(agent)

    def _read_results(self, names: Collection[str]) -> Iterator[Change]:
        stamps = {name: self._stamp_of_result(name) for name in names}
        for name in sorted(stamps, key=lambda name: _mtime_of(stamps[name]), reverse=True):
            seen = views.result(self._workspace, name) if stamps[name] else None
            if seen is not None and seen.result is None and seen.path.parent != self._workspace.results:
                seen = None  # pruned: its tombstone is no result
            if seen is not None:
                yield Change("results", name, stamps[name], seen)
            elif stamps[name]:
                yield Change("results", name, stamps[name])
            elif name in self._known.of("results"):
                yield Change("results", name)

    def _stamp_of_result(self, name: str) -> str:
        try:
            return _stamp(os.lstat(f"{self._workspace.results}/{name}"))
        except OSError:
            return ""

    def _stamp_of(self, folder: Path) -> str:
        """Return a folder's stamp, before it is looked into; empty when it may change without another one."""
        status = folder.stat()
        return "" if status.st_mtime_ns > time.time_ns() - self._racy_ns else _stamp(status)


def fresh(workspace: Workspace) -> list[Change]:
    """Return all there is, without an index."""
    return [one for one in Scan(workspace, Known()).changes() if isinstance(one, Change) and one.view]


def _status(entry: os.DirEntry[str]) -> os.stat_result | None:
    try:
        return entry.stat(follow_symlinks=False)
    except FileNotFoundError:
        return None


def _stamp(status: os.stat_result) -> str:
    return f"{status.st_mtime_ns} {status.st_ino} {status.st_size}"


def _mtime_of(stamp: str) -> int:
    return int(stamp.partition(" ")[0] or 0)
