"""The list, read in a thread: it waits for a change, asks the index, and leaves what it found in `latest`.

A workspace that goes away (removed, unmounted) is waited for; what was seen last stays on the screen. When
another one stands in its place, everything is opened anew.
"""

from __future__ import annotations

import sqlite3
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from agent.config import ConfigError
from agent.launchers.base import LaunchError
from agent.service import fleet
from agent.service.errors import ServiceError
from agent.service.index import Index, Query
from agent.service.live import Live
from agent.service.places import Desk
from agent.top.filtering import Filter
from agent.top.rows import OVER, Row
from spool.records import DamagedError
from spool.workspace import WorkspaceError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from agent.service.index import Page

FIRST_ROWS: Final = 200
MOST_ROWS: Final = 5000
"""Whoever looks for something further down filters."""
LOOK_S: Final = 1.0
BURST_S: Final = 0.25
"""While very much changes the list is drawn this often, no oftener."""
HOSTS_S: Final = 5
"""Looks between two readings of how the hosts are, when no task changed."""
BLOCKS: Final = (
    (("waiting_input",), True),
    (("running",), True),
    (("deferred", "queued", "blocked", "held"), False),
    (OVER, True),
)
"""The list from top to bottom: states, and whether the newest stands first."""
READING: Final = (
    ServiceError, WorkspaceError, ConfigError, LaunchError, DamagedError, OSError, sqlite3.Error,
)  # fmt: skip
"""What a workspace that is broken, or goes away below us, raises."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What there is to show.

    Args:
        hosts: of `agent.service.fleet.hosts`.
        total: how many tasks fit the filter, in `rows` or not.
        has_more: whether more rows can be read.
        complete: False while the index is being built.
        trouble: why what is shown may be old; empty when all is well.
    """

    rows: tuple[Row, ...] = ()
    counts: dict[str, int] = field(default_factory=dict)
    hosts: tuple[dict[str, Any], ...] = ()
    total: int = 0
    has_more: bool = False
    revision: int = 0
    complete: bool = True
    unknown_state: str = ""
    trouble: str = ""


class Feed:
    """Two threads: one waits for a change on the disk, one asks for the rows.

    Args:
        root: of the workspace.
        hosts: only these; empty for all.
        tell: called in a thread of ours when `latest` is new.
    """

    def __init__(self, root: Path, hosts: tuple[str, ...], tell: Callable[[], None]) -> None:
        self.latest = Seen()
        self.failure: Exception | None = None
        self._root = root
        self._hosts = hosts
        self._tell = tell
        self._changed = threading.Condition()
        self._wanted = Filter()
        self._most = FIRST_ROWS
        self._asked = 0
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="feed", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """Look no more; a read that hangs on a dead disk is left to itself."""
        with self._changed:
            self._stopped.set()
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join(LOOK_S)

    def look(self, wanted: Filter) -> None:
        """Show what fits a filter."""
        self._ask(wanted, FIRST_ROWS)

    def want_more(self) -> None:
        """Read further down."""
        self._ask(self._wanted, min(max(self._most, len(self.latest.rows)) * 2, MOST_ROWS))

    def _ask(self, wanted: Filter, most: int) -> None:
        with self._changed:
            if (wanted, most) != (self._wanted, self._most):
                self._wanted, self._most = wanted, most
                self._asked += 1
                self._changed.notify_all()

    def _run(self) -> None:
        try:
            while not self._stopped.is_set():
                try:
                    with self._opened() as (desk, index, live):
                        self._serve(desk, index, live)
                except READING as error:
                    self._publish(replace(self.latest, trouble=str(error) or type(error).__name__))
                    self._stopped.wait(LOOK_S)
        except Exception as error:  # noqa: BLE001 - a bug: the app ends with it, in its own thread
            self.failure = error
            self._tell()

    @contextmanager
    def _opened(self) -> Iterator[tuple[Desk, Index, Live]]:
        desk = Desk(self._root)
        desk.places(*self._hosts)  # a host that is gone is said, not shown as empty
        index = Index(desk)
        try:
            live = Live(index)
            live.start()
            try:
                yield desk, index, live
            finally:
                live.stop()
        finally:
            index.close()

    def _serve(self, desk: Desk, index: Index, live: Live) -> None:
        identity = _identity(self._root)
        revision, asked, looks = -1, -1, 0
        hosts: tuple[dict[str, Any], ...] = ()
        while not self._stopped.is_set():
            now = live.wait(revision, timeout_s=LOOK_S) if asked == self._asked else revision
            if _identity(self._root) != identity:
                return
            looks += 1
            if now == revision and asked == self._asked and looks % HOSTS_S:
                continue
            with self._changed:
                asked, wanted, most = self._asked, self._wanted, self._most
            if now != revision or looks % HOSTS_S == 0 or not hosts:
                hosts = tuple(fleet.hosts(desk))
            revision = max(now, 0)
            self._publish(self._read(index, wanted, most, hosts))
            self._stopped.wait(BURST_S)

    def _read(self, index: Index, wanted: Filter, most: int, hosts: tuple[dict[str, Any], ...]) -> Seen:
        rows: list[Row] = []
        total, revision, complete = 0, 0, True
        for states, newest_first in BLOCKS:
            states_here = tuple(s for s in states if not wanted.states or s in wanted.states)
            if not states_here or wanted.unknown:
                continue
            query = Query(
                hosts=wanted.hosts or self._hosts,
                states=states_here,
                tools=wanted.tools,
                labels=wanted.labels,
                groups=wanted.groups,
                text=wanted.text,
                descending=newest_first,
            )
            page = _rows(index, query, most - len(rows), rows)
            total += page.total
            revision, complete = page.revision, page.complete
        return Seen(
            rows=tuple(rows),
            counts=index.counts(self._hosts),
            hosts=tuple(h for h in hosts if not self._hosts or _named(h) in self._hosts),
            total=total,
            has_more=total > len(rows) and len(rows) < MOST_ROWS,
            revision=revision,
            complete=complete,
            unknown_state=wanted.unknown,
        )

    def _publish(self, seen: Seen) -> None:
        # equal but for the revision: nothing that is shown has changed
        if replace(seen, revision=self.latest.revision) != self.latest or not self.latest.revision:
            self.latest = seen
            self._tell()


def _rows(index: Index, query: Query, most: int, rows: list[Row]) -> Page:
    """Add the first rows of a query; return its last page."""
    while True:
        page = index.query(replace(query, limit=min(max(most, 1), 1000)))
        rows += [Row.of(document) for document in page.rows[: max(most, 0)]]
        most -= len(page.rows)
        if most <= 0 or page.next is None:
            return page
        query = replace(query, cursor=page.next)


def _identity(root: Path) -> tuple[int, int]:
    found = root.stat()
    return found.st_dev, found.st_ino


def _named(host: dict[str, Any]) -> str:
    return str(host["host"] or "here")
