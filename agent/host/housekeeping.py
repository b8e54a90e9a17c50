"""Pruning in the background: slow on a large past, and never in the way of a task that wants to start."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from agent import log
from agent.host.retention import prune_now

if TYPE_CHECKING:
    from agent.host.site import Site

EVERY_S = 3600.0


class Housekeeping:
    """Prunes once an hour, in a thread of its own."""

    def __init__(self) -> None:
        self._due_s = 0.0
        self._thread: threading.Thread | None = None

    def run_if_due(self, site: Site) -> None:
        """Begin to prune when an hour has passed and the last time is over."""
        now_s = time.monotonic()
        if now_s < self._due_s or (self._thread is not None and self._thread.is_alive()):
            return
        self._due_s = now_s + EVERY_S
        self._thread = threading.Thread(target=self._prune, args=(site,), name="retention", daemon=True)
        self._thread.start()

    def _prune(self, site: Site) -> None:
        try:
            report = prune_now(site.workspace, site.config, site.utc_now())
        except OSError:
            log.error("pruning failed")
            return
        if report.results or report.logs:
            log.info(
                "pruned",
                results=len(report.results),
                logs=len(report.logs),
                freed_bytes=report.freed_bytes,
            )
