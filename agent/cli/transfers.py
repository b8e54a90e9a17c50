"""Bars on a terminal for transfers that take their time."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TransferSpeedColumn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LONG_BYTES: Final = 4 << 20
"""A transfer is shown from here on: most are over before anybody could read a bar."""


@contextmanager
def bars() -> Iterator[Callable[[str, int, float], None]]:
    """Draw on the standard error while the block runs; what it yields is told of each transfer."""
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        shown: dict[str, TaskID] = {}
        lock = threading.Lock()

        def tell(host: str, size: int, share: float) -> None:
            with lock:
                if share >= 1 and host in shown:
                    progress.remove_task(shown.pop(host))
                elif share < 1 and size >= LONG_BYTES:
                    total = size / share if share else None
                    if host not in shown:
                        shown[host] = progress.add_task(host, total=total, completed=size)
                    progress.update(shown[host], completed=size, total=total)

        yield tell
