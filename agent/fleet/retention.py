"""What mirrors keep: each by the options of the collector, whatever its host keeps."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Final

from agent import log
from agent.fleet.shown import names_in
from agent.retention import prune_past
from spool.enrol import marked
from spool.records import utc_now
from spool.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from agent.collector import CollectorOptions
    from agent.fleet.layout import Mirror

EVERY_S: Final = 3600.0


class Retention:
    """Prunes all mirrors once an hour, in a thread of its own.

    Args:
        options: how much stays of each mirror.
    """

    def __init__(self, options: CollectorOptions) -> None:
        self._options = options
        self._due_s = time.monotonic() + EVERY_S
        self._thread: threading.Thread | None = None

    def run_if_due(self, mirrors: Iterable[Mirror]) -> None:
        """Begin to prune when an hour has passed and the last time is over."""
        now_s = time.monotonic()
        if now_s < self._due_s or (self._thread is not None and self._thread.is_alive()):
            return
        self._due_s = now_s + EVERY_S
        self._thread = threading.Thread(
            target=self._prune, args=(list(mirrors),), name="retention", daemon=True
        )
        self._thread.start()

    def _prune(self, mirrors: list[Mirror]) -> None:
        for mirror in mirrors:
            try:
                prune(mirror, self._options, utc_now())
            except OSError:
                log.error("pruning failed", host=mirror.name)


def prune(mirror: Mirror, options: CollectorOptions, now: datetime) -> None:
    """Remove what one mirror no longer keeps, never a result that its host would give us again.

    Raises:
        OSError: our own disk; calling again goes on.
    """
    report = prune_past(mirror.workspace, options, now, uncollected=marked(Workspace(mirror.raw)))
    if report.results or report.logs:
        log.info(
            "pruned",
            host=mirror.name,
            results=len(report.results),
            logs=len(report.logs),
            freed_bytes=report.freed_bytes,
        )
    for name in names_in(mirror.log_records):
        if not (mirror.workspace.logs / name.removesuffix(".json")).exists():
            (mirror.log_records / name).unlink(missing_ok=True)
