"""agent.json: who works here, and by its modification time, that it still does."""

from __future__ import annotations

import os
from importlib.metadata import version
from typing import TYPE_CHECKING

from agent.proctree import start_ticks
from spool.records import Record, Utc

if TYPE_CHECKING:
    from pathlib import Path

    from agent.host.site import Site

FILE = "agent.json"
DEAD = "dead"
"""A person makes this file in an agent's folder to say that its host will never come back."""


class Beat(Record):
    """One agent, as others see it."""

    name: str
    host: str
    pid: int
    start_ticks: int | None
    boot_id: str
    started_at: Utc
    version: str
    slots: int
    state: str
    disk_error: str | None = None


class Heart:
    """Writes agent.json when it changes, and touches it otherwise."""

    def __init__(self, site: Site) -> None:
        self._file: Path = site.folder / FILE
        self._started_at = site.utc_now()
        self._written: Beat | None = None

    def beat(self, site: Site, state: str, disk_error: str | None) -> None:
        """Say that we live, and how it goes."""
        now = Beat(
            name=site.name,
            host=site.host,
            pid=os.getpid(),
            start_ticks=start_ticks(os.getpid()),
            boot_id=site.boot,
            started_at=self._started_at,
            version=version("aispool"),
            slots=site.config.slots,
            state=state,
            disk_error=disk_error,
        )
        if now == self._written and self._file.exists():
            os.utime(self._file)
            return
        now.write(self._file, durable=False)
        self._written = now


def read_beat(folder: Path) -> Beat | None:
    """Return what an agent last said of itself."""
    return Beat.read(folder / FILE)
