"""The index kept fresh while somebody looks: one thread, woken by the file system and by a short interval.

Events say when to look, for our own folders; mirrors and what lies deeper are found by looking every half
second, which costs a few system calls a host. A thorough look follows now and then.
"""

from __future__ import annotations

import asyncio
import threading
import time
from typing import TYPE_CHECKING, Final

from agent import log
from agent.service.errors import ServiceError
from agent.watch import Hint, Watch
from spool.names import is_task_id

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.service.index import Index

POLL_S: Final = 0.5
SETTLE_S: Final = 0.02
"""A task that moves makes several events; together they are one look."""
THOROUGH_S: Final = 60.0


class Live:
    """Refreshes an index from `start` to `stop`, and tells who waits for a change.

    Args:
        index: whose revision is waited for, and whose workspace's folders are watched.
        poll_s: between two looks when nothing happens.
    """

    def __init__(self, index: Index, *, poll_s: float = POLL_S) -> None:
        self._index = index
        self._poll_s = poll_s
        self._changed = threading.Condition()
        self._revision = 0
        self._listeners: set[Callable[[], None]] = set()
        self._woken = threading.Event()
        self._stopping = False
        self._hints: set[str] = set()
        self._hinting = threading.Lock()
        workspace = index.desk.workspace
        self._results = workspace.results
        self._watch = Watch(
            (workspace.tasks, workspace.held, workspace.sessions, workspace.results), self._hint
        )
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to look, for the first time or again; what is on disk is seen a moment later."""
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="index", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End; who waits is told, with the revision as it is."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        self._woken.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        self._tell()

    def look(self) -> None:
        """Look now, because something was done: returns at once."""
        self._woken.set()

    @property
    def revision(self) -> int:
        """Return the revision that was seen last."""
        return self._revision

    def wait(self, since_revision: int, timeout_s: float | None = None) -> int:
        """Return the revision as soon as it is another one; the same when the time is over, or at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._stopping or self._revision != since_revision, timeout_s)
            return self._revision

    async def changed(self, since_revision: int, timeout_s: float | None = None) -> int:
        """Return the revision as soon as it is another one; the same when the time is over, or at the end."""
        loop, event = asyncio.get_running_loop(), asyncio.Event()

        def tell() -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(event.set)

        with self._changed:
            self._listeners.add(tell)
        try:
            async with asyncio.timeout(timeout_s):
                while self._revision == since_revision and not self._stopping:
                    await event.wait()
                    event.clear()
        except TimeoutError:
            pass
        finally:
            with self._changed:
                self._listeners.discard(tell)
        return self._revision

    def _hint(self, hint: Hint) -> None:
        if hint.path.parent == self._results and is_task_id(hint.path.name):
            with self._hinting:
                self._hints.add(hint.path.name)
        self._woken.set()

    def _run(self) -> None:
        thorough_at_s = time.monotonic() + THOROUGH_S
        said: str | None = None
        try:
            while not self._stopping:
                thorough = time.monotonic() >= thorough_at_s
                if thorough:
                    thorough_at_s = time.monotonic() + THOROUGH_S
                problem = self._look(thorough=thorough)
                if problem != said and problem is not None:
                    log.warning("the tasks cannot be listed", what=problem)
                said = problem
                if self._woken.wait(self._poll_s) and not self._stopping:
                    time.sleep(SETTLE_S)
                self._woken.clear()
        finally:
            self._watch.stop()

    def _look(self, *, thorough: bool) -> str | None:
        """Look once; return why that was not possible."""
        with self._hinting:
            hints, self._hints = self._hints, set()
        try:
            self._watch.check()
            self._index.refresh(thorough=thorough, hints=hints)
        except (OSError, ServiceError) as error:
            return str(error)
        finally:
            self._see(self._index.revision)
        return None

    def _see(self, revision: int) -> None:
        if revision != self._revision:
            with self._changed:
                self._revision = revision
                self._changed.notify_all()
            self._tell()

    def _tell(self) -> None:
        with self._changed:
            listeners = tuple(self._listeners)
        for tell in listeners:
            tell()
