"""How many transfers there are at once. One that says nothing for a while does not keep others waiting."""

from __future__ import annotations

import threading

_LOOK_S = 0.5


class Slots:
    """A bound on transfers.

    Args:
        count: at once.
    """

    def __init__(self, count: int) -> None:
        self._free = threading.Semaphore(count)

    def take(self, stop: threading.Event) -> Slot | None:
        """Wait for a slot; None when we are to stop."""
        while not stop.is_set():
            if self._free.acquire(timeout=_LOOK_S):
                return Slot(self._free)
        return None


class Slot:
    """One of them; it may be given back early, and is given back once."""

    def __init__(self, free: threading.Semaphore) -> None:
        self._free = free
        self._lock = threading.Lock()
        self._held = True

    def release(self) -> None:
        """Let another transfer begin."""
        with self._lock:
            if self._held:
                self._held = False
                self._free.release()
