"""How often an address may try to come in: so many failures a minute, then it waits.

Kept in memory: a server that starts anew forgets it. A request that carries a good token is never made to
wait: on loopback all users of a machine share an address.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict, deque
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

FAILURES: Final = 10
WINDOW_S: Final = 60.0
MAX_ADDRESSES: Final = 10_000


class Attempts:
    """The failures of the last minute, by address."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failed: OrderedDict[str, deque[float]] = OrderedDict()
        self._lock = threading.Lock()

    def wait_s(self, address: str) -> float:
        """Return for how long an address must wait before it tries again; 0 when it need not."""
        with self._lock:
            failed = self._recent(address)
            return max(0.0, failed[0] + WINDOW_S - self._clock()) if len(failed) >= FAILURES else 0.0

    def failed(self, address: str) -> bool:
        """Note a failure; tell whether it was one too many: from now on this address must wait."""
        with self._lock:
            failed = self._recent(address)
            failed.append(self._clock())
            self._failed[address] = failed
            self._failed.move_to_end(address)
            while len(self._failed) > MAX_ADDRESSES:
                self._failed.popitem(last=False)
            return len(failed) >= FAILURES

    def _recent(self, address: str) -> deque[float]:
        failed = self._failed.get(address) or deque(maxlen=FAILURES)
        while failed and failed[0] <= self._clock() - WINDOW_S:
            failed.popleft()
        return failed
