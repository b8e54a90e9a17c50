"""The list of all tasks, here and on all hosts, from an index that is derived from the files.

The index (SQLite, `agent.service.store`) owns nothing: deleted, damaged or of another version it is built
anew, and while it is, what is newest is there first. Several processes use one file: one at a time brings it
up to date, all others read what that one wrote. `agent.service.live.Live` keeps one fresh for whoever looks.

    index = Index(desk)
    index.refresh()
    page = index.query(Query(states=("running",)))
"""

from __future__ import annotations

import fcntl
import json
import os
import sqlite3
import tempfile
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, TypeVar

from agent import log
from agent.collab.derived import transaction
from agent.launchers.base import LaunchError
from agent.service import store
from agent.service.errors import ServiceError
from agent.service.listing import row
from agent.service.places import HERE
from agent.service.query import (
    MOST_ROWS,
    SORTS,
    Name,
    Page,
    Query,
    Sort,
    condition,
    cursor_behind,
    place_of,
)
from agent.service.scanning import RACY_NETWORK_NS, RACY_NS, Change, Known, Scan, Seen
from spool.locks import is_network

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from agent.service.places import Desk, Place

__all__ = ["Index", "Name", "Page", "Query", "Sort"]

Side = Literal["reader", "writer"]
Identity = tuple[tuple[int, int], tuple[int, int]]
Answer = TypeVar("Answer")

_BATCH_S: Final = 0.25
"""So long are changes collected before readers see them."""
_OTHERS: Final = ("locked", "interrupted")
_NO_ROOM: Final = ("full", "readonly", "disk I/O error")
"""Words of SQLite's errors that are not a damaged file's."""
_STUCK_S: Final = 20.0
"""A process that holds the lock so long without a change was stopped: we then make an index of our own."""


class Index:
    """The index of one workspace and its mirrors; all methods may be called from any thread.

    Args:
        desk: whose.
        folder: where the file lies; the workspace's `.cache` without.
    """

    def __init__(self, desk: Desk, folder: Path | None = None) -> None:
        self.desk = desk
        self._folder = folder
        self._own_folder: tempfile.TemporaryDirectory[str] | None = None
        self._reading, self._refreshing = threading.RLock(), threading.Lock()
        self._connections: dict[Side, tuple[sqlite3.Connection, Identity]] = {}
        self._known: dict[str, Known] = {}
        self._known_at = -1
        self._revision = 0
        self._began = False
        self._interrupted = threading.Event()
        self._busy_since: float | None = None
        self._racy_ns = RACY_NETWORK_NS if is_network(desk.root) else RACY_NS

    @property
    def revision(self) -> int:
        """Return a number that grows with every change seen; 0 while nothing was looked at."""
        with suppress(ServiceError):
            self._revision = max(self._revision, self._read(lambda d: store.meta(d, "revision")))
        return self._revision

    def refresh(self, *, thorough: bool = False, hints: Collection[str] = ()) -> bool:
        """Look at what changed on disk since the last time; True when readers see something else now.

        While another process does it, this one only looks at what that one found.

        Args:
            thorough: look at each result again, too; the first time in a process is always so.
            hints: names of our own results/ that something happened to.

        Raises:
            OSError: the workspace cannot be read.
        """
        with self._refreshing:
            before = self._revision
            with self._alone() as alone:
                if alone:
                    self._refresh(thorough=thorough or not self._began, hints=hints)
                    self._began = not self._interrupted.is_set()
            self._interrupted.clear()  # at the end: one that comes before the beginning counts
            return self.revision != before

    def query(self, query: Query) -> Page:
        """Return a part of the list.

        Raises:
            ServiceError: a field of the query, or its cursor, cannot be used.
        """
        where, values = condition(query)
        if query.sort not in SORTS or not 1 <= query.limit <= MOST_ROWS:
            raise ServiceError(
                "invalid",
                f"sort by one of {', '.join(SORTS)}, and take 1 to {MOST_ROWS} at once",
                field="sort",
            )
        way, sign = ("DESC", "<") if query.descending else ("ASC", ">")
        after, after_values = "", []
        if query.cursor is not None:
            after = f" AND ({query.sort}, task_id, key) {sign} (?, ?, ?)"
            after_values = place_of(query.cursor, query.sort)
        order = f" ORDER BY {query.sort} {way}, task_id {way}, key {way} LIMIT ?"
        select = f"SELECT document, {query.sort}, task_id, key FROM task WHERE {where}{after}{order}"  # noqa: S608

        def read(database: sqlite3.Connection) -> Page:
            ((total,),) = database.execute(f"SELECT count(*) FROM task WHERE {where}", values)  # noqa: S608
            found = database.execute(select, (*values, *after_values, query.limit + 1)).fetchall()
            more = len(found) > query.limit
            found = found[: query.limit]
            return Page(
                [json.loads(document) for document, *_ in found],
                cursor_behind(found[-1][1:]) if more else None,
                total,
                store.meta(database, "revision"),
                bool(store.meta(database, "complete")),
            )

        return self._read(read)

    def counts(self, hosts: Sequence[str] = ()) -> dict[str, int]:
        """Return how many tasks stand in each state."""
        where, values = condition(Query(hosts=tuple(hosts)))
        count = f"SELECT state, count(*) FROM task WHERE {where} GROUP BY state ORDER BY state"  # noqa: S608
        return dict(self._read(lambda d: d.execute(count, values).fetchall()))

    def names(self, field: Name) -> list[str]:
        """Return the values of a field, sorted; of `host` those of all mirrors behind `here`."""
        if field == "host":
            return [HERE, *self.desk.mirror_names()]
        if field == "label":
            select = "SELECT DISTINCT label FROM label"
        else:
            column = {"tool": "tool", "group": "task_group"}[field]
            select = f"SELECT DISTINCT {column} FROM task WHERE hidden = 0 AND {column} > ''"  # noqa: S608
        return sorted(name for (name,) in self._read(lambda d: d.execute(select).fetchall()))

    def interrupt(self) -> None:
        """End what `refresh` does now, or the next one, soon; the one behind it goes on there."""
        self._interrupted.set()

    def close(self) -> None:
        """Let go of the file."""
        self.interrupt()
        with self._refreshing, self._reading:
            self._disconnect()
            if self._own_folder is not None:
                self._own_folder.cleanup()
                self._own_folder = None

    # the file

    def _path(self) -> Path:
        """Return the file's place: in the folder that was given, the workspace's, or one of our own.

        A disk that is full or read-only must not keep anybody from looking.
        """
        if self._folder is None:
            try:
                self._folder = store.default_folder(self.desk.workspace)
            except (OSError, LaunchError) as error:
                self._leave(str(error))
            else:
                if not os.access(self._folder, os.W_OK):
                    self._leave(f"{self._folder} cannot be written")
        assert self._folder is not None
        return self._folder / store.NAME

    def _make(self, folder: Path) -> None:
        """Make the file's folder, but no workspace where one was: its disk may be mounted there again.

        Raises:
            ServiceError: the workspace is not there.
        """
        if folder.is_dir():
            return
        if not self.desk.workspace.tasks.is_dir():
            raise ServiceError(
                "unavailable", f"there is no workspace in {self.desk.root} now: is its disk mounted?"
            )
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def _leave(self, why: str) -> None:
        """Go on with an index of our own, which ends with us."""
        log.warning("the index is kept in a temporary folder", what=why)
        with self._reading:
            self._disconnect()
            self._own_folder = tempfile.TemporaryDirectory(prefix="aispool-index-")
            self._folder = Path(self._own_folder.name)

    def _connected(self, which: Side) -> sqlite3.Connection:
        """Return a connection to the file that has the name now: it may be deleted at any time.

        Raises:
            sqlite3.DatabaseError: it is damaged, or was deleted in part.
        """
        path = self._path()
        open_now = self._connections.get(which)
        if open_now is not None:
            database, identity = open_now
            now = _identity(path)
            if now == identity:
                return database
            self._close(which)
            if now[0] == identity[0]:
                raise sqlite3.DatabaseError("a part of the index was deleted")
        while True:
            self._make(path.parent)
            before = _inode(path)
            database = store.connect(store.file_in(path.parent))
            identity = _identity(path)
            if identity[0] == before:
                if which == "writer":
                    self._known_at = -1
                self._connections[which] = database, identity
                return database
            database.close()  # made in this moment: by us, or by another in the place of ours

    def _close(self, which: Side) -> None:
        database, _ = self._connections.pop(which)
        database.close()

    def _disconnect(self) -> None:
        for which in tuple(self._connections):
            self._close(which)
        self._known_at = -1

    def _read(self, work: Callable[[sqlite3.Connection], Answer]) -> Answer:
        """Return what the work finds in one state of the file.

        Raises:
            ServiceError: another program holds the file.
        """
        with self._reading:
            for last in (False, True):
                try:
                    database = self._connected("reader")
                    database.execute("BEGIN")
                    try:
                        return work(database)
                    finally:
                        database.execute("ROLLBACK")
                except sqlite3.DatabaseError as error:
                    self._mend(error, last=last)
        raise AssertionError

    def _mend(self, error: sqlite3.DatabaseError, *, last: bool) -> None:
        """Remove a file that is damaged, so that it is built anew; leave a disk that takes nothing.

        Raises:
            ServiceError: it is not the file's fault, or nothing helped.
        """
        path, what = self._path(), str(error)
        if last or any(word in what for word in _OTHERS):
            raise ServiceError(
                "unavailable", f"the index {path} cannot be used ({what}): try again, or delete it"
            ) from error
        with self._reading:
            if self._own_folder is None and any(word in what for word in _NO_ROOM):
                self._leave(what)
                return
            log.warning("the index is built anew", what=what)
            self._disconnect()
            with suppress(OSError):
                store.file_in(path.parent).drop()

    @contextmanager
    def _alone(self) -> Iterator[bool]:
        """Keep other processes from refreshing; False while one does."""
        path = self._path().with_name(store.NAME + ".refresh")
        self._make(path.parent)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            yield self._locked(descriptor)
        finally:
            os.close(descriptor)

    def _locked(self, descriptor: int) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            before = self._revision
            now = time.monotonic()
            if self._busy_since is None or self.revision != before:
                self._busy_since = now
            elif now - self._busy_since > _STUCK_S:
                self._busy_since = None
                self._leave("another process holds the index, and does nothing")
                return True
            return False
        self._busy_since = None
        return True

    # the look

    def _refresh(self, *, thorough: bool, hints: Collection[str]) -> None:
        for last in (False, True):
            try:
                self._look(self._connected("writer"), thorough=thorough or last, hints=hints)
            except sqlite3.DatabaseError as error:
                self._known_at = -1
                self._mend(error, last=last)
            except BaseException:
                self._known_at = -1  # what was not written is not known
                raise
            else:
                return

    def _look(self, database: sqlite3.Connection, *, thorough: bool, hints: Collection[str]) -> None:
        revision = store.meta(database, "revision")
        if self._known_at != revision:
            store.load(database, self._known, self._known_at)
            self._known_at = revision
        places = self.desk.places()
        for place in places:
            known = self._known.setdefault(place.host or "", Known())
            own_hints = () if place.is_mirror else hints
            scan = Scan(place.workspace, known, thorough=thorough, hints=own_hints, racy_ns=self._racy_ns)
            try:
                self._take(database, place, known, scan)
            except OSError as error:
                self._known_at = -1
                log.warning("a workspace cannot be listed", host=place.host, what=str(error))
            if self._interrupted.is_set():
                return
        self._forget_gone(database, {place.host or "" for place in places})
        if thorough:
            with transaction(database):
                store.purge(database)
        if not store.meta(database, "complete"):
            with transaction(database):
                store.set_meta(database, "complete", 1)
                self._see(database, store.next_revision(database))

    def _see(self, database: sqlite3.Connection, revision: int) -> None:
        """Let readers see what was written, under a revision."""
        store.set_meta(database, "revision", revision)
        if self._known_at >= 0:
            self._known_at = revision

    def _take(self, database: sqlite3.Connection, place: Place, known: Known, scan: Scan) -> None:
        """Write what a scan finds, some at a time."""
        changes = scan.changes()
        for first in changes:
            changed = False
            with transaction(database):
                revision = store.next_revision(database)
                until_s = time.monotonic() + _BATCH_S
                one: Change | Seen | None = first
                while one is not None:
                    changed |= self._put(database, place, known, one, revision)
                    one = next(changes, None) if time.monotonic() < until_s else None
                if changed:
                    self._see(database, revision)
            if self._interrupted.is_set():
                return

    def _put(
        self, database: sqlite3.Connection, place: Place, known: Known, one: Change | Seen, revision: int
    ) -> bool:
        """Write one thing; tell whether readers may see something else then."""
        host = place.host or ""
        if isinstance(one, Seen):
            if known.folders.get(one.kind) != one.stamp:
                known.folders[one.kind] = one.stamp
                store.put_folder(database, host, one.kind, one.stamp)
            return False
        document = None if one.view is None else row(place, one.view)
        store.put_row(database, (host, one.kind, one.name), one.stamp, document, revision)
        if one.stamp:
            known.of(one.kind)[one.name] = one.stamp
        else:
            known.of(one.kind).pop(one.name, None)
        return True

    def _forget_gone(self, database: sqlite3.Connection, present: set[str]) -> None:
        for host in self._known.keys() - present:
            with transaction(database):
                revision = store.next_revision(database)
                store.forget_host(database, host, revision)
                self._see(database, revision)
            del self._known[host]


def _identity(path: Path) -> tuple[tuple[int, int], tuple[int, int]]:
    """Tell one file of this name from another; with its write-ahead log."""
    return _inode(path), _inode(path.with_name(path.name + "-wal"))


def _inode(path: Path) -> tuple[int, int]:
    try:
        status = path.lstat()
    except OSError:
        return (0, 0)
    return (status.st_dev, status.st_ino)
