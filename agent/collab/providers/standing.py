"""What the processes of a workspace know of a provider: whether it is down, and how much it was asked lately.

The circuit breaker opens after some outages in a row and stays open for a while, longer each time; then one
call may try (half open), and its outcome closes the breaker or opens it again. All of it is one small file,
changed under a lock; where that cannot be written, each process knows only its own part.
"""

from __future__ import annotations

import fcntl
import os
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, Literal

from agent import log
from agent.collab.providers.base import ProviderError
from spool.files import make_folder
from spool.records import DamagedError, Record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from agent.collab.providers.definition import ProviderDefinition

OUTAGES_TO_OPEN: Final = 5
OPEN_S: Final = 30.0
LONGEST_OPEN_S: Final = 600.0
PROBE_S: Final = 120.0
MINUTE_S: Final = 60.0

End = Literal["well", "outage", "other"]


class Known(Record):
    """The file; times are seconds since the epoch, as several processes share them.

    Args:
        outages: in a row.
        openings: in a row.
        open_until_s: before that nobody calls.
        probe_until_s: before that, the one who tries is given time.
        calls: when each call of the last minute began.
    """

    outages: int = 0
    openings: int = 0
    open_until_s: float = 0.0
    probe_until_s: float = 0.0
    calls: tuple[float, ...] = ()


class Standing:
    """One provider's. Threads may share it.

    Args:
        definition: of the provider.
        folder: where its file lies; None keeps all in this process.
        now: seconds since the epoch.
    """

    def __init__(
        self, definition: ProviderDefinition, folder: Path | None, now: Callable[[], float] = time.time
    ) -> None:
        self._name = definition.name
        self._per_minute = definition.requests_per_minute
        self._max_parallel = definition.max_parallel
        self._file = folder / f"{definition.name}.json" if folder else None
        self._now = now
        self._lock = threading.RLock()
        self._known = Known()
        self._running = 0

    def begin(self) -> float:
        """Begin a call and return 0, or return the seconds after which its limit has room for one.

        Raises:
            ProviderError: the breaker is open.
        """
        with self._changing() as now_s:
            known = self._known
            if known.openings:
                left_s = max(_left_s(known.open_until_s, now_s), _left_s(known.probe_until_s, now_s))
                if left_s > 0:
                    raise ProviderError(
                        "breaker_open",
                        f"{self._name} has failed {known.outages} times in a row: "
                        f"left alone for {left_s:.0f} s",
                        retry_after_s=left_s,
                    )
            calls = tuple(at_s for at_s in known.calls if now_s - MINUTE_S < at_s <= now_s)
            if self._per_minute is not None and len(calls) >= self._per_minute:
                return calls[-self._per_minute] + MINUTE_S - now_s
            probe_until_s = now_s + PROBE_S if known.openings else 0.0
            self._known = known.model_copy(update={"calls": (*calls, now_s), "probe_until_s": probe_until_s})
            self._running += 1
        return 0.0

    def end(self, how: End) -> None:
        """End a call: `other` is a failure that says nothing of the provider's health."""
        with self._changing() as now_s:
            self._running -= 1
            known = self._known
            if how == "outage":
                outages = known.outages + 1
                change: dict[str, float | int] = {"outages": outages, "probe_until_s": 0.0}
                if known.openings or outages >= OUTAGES_TO_OPEN:
                    open_s = min(OPEN_S * 2.0**known.openings, LONGEST_OPEN_S)
                    change |= {"openings": known.openings + 1, "open_until_s": now_s + open_s}
            else:
                # whoever refuses us is up
                change = {"outages": 0, "openings": 0, "open_until_s": 0.0, "probe_until_s": 0.0}
            self._known = known.model_copy(update=change)

    def load(self) -> float:
        """Return how much of its limits is in use: 0 idle, 1 full."""
        with self._lock:
            now_s = self._now()
            recent = sum(1 for at_s in self._known.calls if now_s - MINUTE_S < at_s <= now_s)
            return max(self._running / self._max_parallel, recent / (self._per_minute or float("inf")))

    def open_for_s(self) -> float:
        """Return for how long nobody calls it; 0 when its breaker is closed."""
        with self._changing() as now_s:
            return _left_s(self._known.open_until_s, now_s)

    @contextmanager
    def _changing(self) -> Iterator[float]:
        """Hold what is known, from the file and back to it."""
        with self._lock:
            if self._file is None:
                yield self._now()
                return
            try:
                descriptor = _locked(self._file)
            except OSError as error:
                self._alone(error)
                yield self._now()
                return
            try:
                before = self._known = self._read(self._file)
                yield self._now()
                if self._known != before:
                    self._write(self._file)
            finally:
                os.close(descriptor)

    def _read(self, file: Path) -> Known:
        try:
            return Known.read(file) or Known()
        except (DamagedError, OSError):
            return Known()  # it is only what was learned lately

    def _write(self, file: Path) -> None:
        try:
            self._known.write(file, durable=False)
        except OSError as error:
            self._alone(error)

    def _alone(self, error: OSError) -> None:
        log.warning("limits of a provider are not shared", provider=self._name, what=str(error))
        self._file = None


def _left_s(until_s: float, now_s: float) -> float:
    """Return the seconds until a moment; a moment too far away is from before the clock was set back."""
    left_s = until_s - now_s
    return left_s if 0 < left_s <= LONGEST_OPEN_S else 0.0


def _locked(file: Path) -> int:
    """Lock a file by one beside it; closing the descriptor gives it back.

    Raises:
        OSError: that is impossible there.
    """
    make_folder(file.parent)
    lock = file.with_name(f".{file.name}.lock")
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor
