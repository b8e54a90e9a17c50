"""The index kept fresh while somebody looks: one thread, woken by the file system and by a short interval.

Events say when to look, for our own folders; mirrors and what lies deeper are found by looking every half
second, which costs a few system calls a host. A thorough look follows now and then. While nobody waits for
a change it looks seldom; who comes then is shown what is there now by one more look.
"""

from __future__ import annotations

import asyncio
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from agent import log
from agent.service.errors import ServiceError
from agent.watch import Hint, Watch
from spool.names import is_task_id

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from agent.service.index import Index

POLL_S: Final = 0.5
UNWATCHED_S: Final = 10.0
"""Between two looks while nobody waits for a change: with 200 mirrors a look is some milliseconds of CPU."""
LINGER_S: Final = 5.0
"""So long after the last who waited it goes on as if they did: a page waits anew after each change."""
FRESH_S: Final = 1.0
"""A reader waits no longer for a look than this, and is shown what was seen before."""
SETTLE_S: Final = 0.02
"""A task that moves makes several events; together they are one look."""
THOROUGH_S: Final = 60.0


class Live:
    """Refreshes an index from `start` to `stop`, and tells who waits for a change.

    Args:
        index: whose revision is waited for, and whose workspace's folders are watched.
        poll_s: between two looks when nothing happens and somebody waits.
        unwatched_s: the same while nobody does.
    """

    def __init__(self, index: Index, *, poll_s: float = POLL_S, unwatched_s: float = UNWATCHED_S) -> None:
        self._index = index
        self._poll_s, self._unwatched_s = poll_s, unwatched_s
        self._changed = threading.Condition()
        self._revision = 0
        self._listeners: set[Callable[[], None]] = set()
        self._readers: set[Callable[[], None]] = set()
        self._waiting = 0
        self._waited_at_s = self._looked_at_s = time.monotonic()
        self._rests = False
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
        self._tell(self._listeners)
        self._tell(self._readers)

    def look(self) -> None:
        """Look now, because something was done: returns at once."""
        self._woken.set()

    @property
    def revision(self) -> int:
        """Return the revision that was seen last."""
        return self._revision

    def wait(self, since_revision: int, timeout_s: float | None = None) -> int:
        """Return the revision as soon as it is another one; the same when the time is over, or at the end."""
        with self._awaited(), self._changed:
            self._changed.wait_for(lambda: self._stopping or self._revision != since_revision, timeout_s)
            return self._revision

    async def changed(self, since_revision: int, timeout_s: float | None = None) -> int:
        """Return the revision as soon as it is another one; the same when the time is over, or at the end."""
        with self._awaited(), self._told(self._listeners) as event:
            try:
                async with asyncio.timeout(timeout_s):
                    while self._revision == since_revision and not self._stopping:
                        await event.wait()
                        event.clear()
            except TimeoutError:
                pass
        return self._revision

    async def fresh(self, timeout_s: float = FRESH_S) -> None:
        """Return when the index is as fresh as for who waits: at once, or after a look where it rests."""
        with self._told(self._readers) as event:
            with self._changed:
                if not self._rests or time.monotonic() - self._looked_at_s < self._poll_s:
                    return
                self._woken.set()
            try:
                async with asyncio.timeout(timeout_s):
                    await event.wait()
            except TimeoutError:
                pass

    @contextmanager
    def _awaited(self) -> Iterator[None]:
        """Look often meanwhile, and at once when the last look is long ago."""
        with self._changed:
            self._waiting += 1
            if self._rests:
                self._woken.set()
        try:
            yield
        finally:
            with self._changed:
                self._waiting -= 1
                self._waited_at_s = time.monotonic()

    @contextmanager
    def _told(self, who: set[Callable[[], None]]) -> Iterator[asyncio.Event]:
        """Return an event of the running loop that is set, from any thread, whenever these are told."""
        loop, event = asyncio.get_running_loop(), asyncio.Event()

        def tell() -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(event.set)

        with self._changed:
            who.add(tell)
        try:
            yield event
        finally:
            with self._changed:
                who.discard(tell)

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
                self._tell(self._readers)
                self._rest()
        finally:
            self._watch.stop()

    def _rest(self) -> None:
        """Wait for the next look: until woken, or for as long as who waits may see nothing new."""
        with self._changed:
            now_s = self._looked_at_s = time.monotonic()
            self._rests = not self._waiting and now_s - self._waited_at_s >= LINGER_S
            pause_s = self._unwatched_s if self._rests else self._poll_s
        if self._woken.wait(pause_s) and not self._stopping:
            time.sleep(SETTLE_S)
        with self._changed:
            self._woken.clear()
            self._rests = False

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
            self._tell(self._listeners)

    def _tell(self, who: set[Callable[[], None]]) -> None:
        with self._changed:
            each = tuple(who)
        for tell in each:
            tell()
