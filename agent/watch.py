"""Hints from the file system: the only module that knows watchdog.

An event says "look there", never "it is complete" and never "nothing else happened": watchdog loses events
in bursts and swallows overflows, so scans decide and events only make them early. What can go wrong is
found at every scan: a dead observer, or a watched folder that was replaced by another.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from watchdog.events import (
    DirCreatedEvent,
    DirMovedEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileDeletedEvent,
    FileMovedEvent,
    FileSystemEventHandler,
)
from watchdog.observers import Observer
from watchdog.observers.inotify_move_event_grouper import InotifyMoveEventGrouper

from agent import log

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from watchdog.events import FileSystemEvent
    from watchdog.observers.api import BaseObserver

# it reports the end of its own threads as errors; what matters to us, `Watch.check` finds out
logging.getLogger("watchdog").setLevel(logging.CRITICAL)

InotifyMoveEventGrouper.delay = 0.0
"""By default every event waits up to half a second behind a file that was moved out of a watched folder,
in the hope that it turns up elsewhere. We move each file out that we claim, and look at both ends anyway."""

KINDS: list[type[FileSystemEvent]] = [
    *(FileCreatedEvent, FileClosedEvent, FileMovedEvent, FileDeletedEvent),
    *(DirCreatedEvent, DirMovedEvent),
]
"""Move-ins arrive as created; without these kinds watchdog would also report every read of ours."""


@dataclass(frozen=True, slots=True)
class Hint:
    """Something happened to this path."""

    path: Path


class _Hinting(FileSystemEventHandler):
    def __init__(self, tell: Callable[[Hint], None], ignored: tuple[str, ...]) -> None:
        self._tell, self._ignored = tell, ignored

    def on_any_event(self, event: FileSystemEvent) -> None:
        """Pass the names on; an exception here would end the observer, so nothing else is done."""
        for raw in (event.dest_path, event.src_path):
            path = raw.decode(errors="surrogateescape") if isinstance(raw, bytes) else raw
            if path and not path.endswith(self._ignored):
                self._tell(Hint(Path(path)))


class Watch:
    """Watches some folders, without what lies in their sub folders.

    Args:
        folders: where anything that happens is told.
        tell: is called in a thread of the observer.
        bells: where a file only has to be closed after writing: what is not told costs nothing.
        ignored: ends of names that are not told.
    """

    def __init__(
        self,
        folders: Iterable[Path],
        tell: Callable[[Hint], None],
        bells: Iterable[Path] = (),
        ignored: tuple[str, ...] = (),
    ) -> None:
        self._kinds = dict.fromkeys(folders, KINDS) | {bell: [FileClosedEvent] for bell in bells}
        self._handler = _Hinting(tell, ignored)
        self._observer: BaseObserver | None = None
        self._identities: tuple[tuple[int, int], ...] = ()

    def check(self) -> None:
        """Begin to watch, or begin again when the observer died or a folder is another one now."""
        identities = tuple((s.st_dev, s.st_ino) for s in (folder.stat() for folder in self._kinds))
        if self._observer is not None and self._observer.is_alive() and identities == self._identities:
            return
        if self._observer is not None:
            log.warning("watching begins again", folders=len(self._kinds))
        self.stop()
        observer = Observer()
        try:
            for folder, kinds in self._kinds.items():
                observer.schedule(self._handler, str(folder), event_filter=kinds)
            observer.start()
        except OSError as error:
            # no watches left (inotify(7) max_user_watches): the scans find everything, only later
            log.warning("folders are not watched, only scanned", what=str(error))
            observer.stop()
            return
        self._observer, self._identities = observer, identities

    def stop(self) -> None:
        """Watch no more."""
        if self._observer is not None:
            self._observer.stop()
            if self._observer.is_alive():
                self._observer.join(timeout=5)
            self._observer = None
