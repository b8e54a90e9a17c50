"""Pruning and marking in the background: slow on a large past, never in the way of a task that can start."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from agent import log
from agent.host.collecting import forget_stray_marks, is_waiting_for_marks, mark_all
from agent.host.delivered import forget_delivered
from agent.host.retention import prune_now
from spool.records import DamagedError

if TYPE_CHECKING:
    from agent.host.site import Site

EVERY_S = 3600.0


class Housekeeping:
    """Prunes once an hour and marks what a collector is to fetch, in a thread of its own."""

    def __init__(self) -> None:
        self._due_s = 0.0
        self._thread: threading.Thread | None = None

    def run_if_due(self, site: Site) -> None:
        """Begin when an hour has passed or a collector came, and the last time is over."""
        now_s = time.monotonic()
        if self._thread is not None and self._thread.is_alive():
            return
        if now_s < self._due_s and not is_waiting_for_marks(site.workspace):
            return
        self._due_s = now_s + EVERY_S
        self._thread = threading.Thread(target=self._prune, args=(site,), name="retention", daemon=True)
        self._thread.start()

    def _prune(self, site: Site) -> None:
        try:
            mark_all(site.workspace)
            forget_stray_marks(site.workspace)
            forget_delivered(site.workspace)
            report = prune_now(site.workspace, site.config, site.utc_now())
        except (OSError, DamagedError):
            log.error("pruning failed")
            return
        if report.results or report.logs:
            log.info(
                "pruned",
                results=len(report.results),
                logs=len(report.logs),
                freed_bytes=report.freed_bytes,
            )
