"""When a host is tried next: each on its own, so that a dead one costs the others nothing."""

from __future__ import annotations

from dataclasses import dataclass

from agent.backoff import delay_s

QUICK_ATTEMPTS = 5
_FIRST_S = 2.0
_LONGEST_QUICK_S = 30.0
AGAIN_S = 2.0
"""Between two rounds of a host for which something waits all the time."""


def retry_delay_s(failures: int, slowest_s: float, jitter: float) -> float:
    """Seconds until the next try: five quick ones, then ever slower, for ever.

    Args:
        failures: tries that failed in a row, from 1.
        slowest_s: the longest delay.
        jitter: a random fraction, 0 <= jitter < 1.
    """
    if failures < QUICK_ATTEMPTS:
        return delay_s("exponential", _FIRST_S, min(_LONGEST_QUICK_S, slowest_s), failures, jitter)
    return delay_s("exponential", min(2 * _LONGEST_QUICK_S, slowest_s), slowest_s, failures - 4, jitter)


@dataclass(slots=True)
class Clock:
    """One host's time, on the monotonic clock.

    Args:
        due_s: when its next round begins.
        failures: tries that failed in a row.
        running: a round is under way.
        ended_s: when the last one ended.
    """

    due_s: float = 0.0
    failures: int = 0
    running: bool = False
    ended_s: float = float("-inf")

    def wake(self, now_s: float) -> None:
        """Make the next round early because something waits for the host; one that is away keeps its time."""
        if not self.failures:
            self.due_s = min(self.due_s, max(now_s, self.ended_s + AGAIN_S))

    def succeeded(self, now_s: float, interval_s: float) -> None:
        """Note a round that went well."""
        self.running, self.failures, self.ended_s = False, 0, now_s
        self.due_s = now_s + interval_s

    def failed(self, now_s: float, slowest_s: float, jitter: float) -> None:
        """Note one that did not."""
        self.running, self.ended_s = False, now_s
        self.failures += 1
        self.due_s = now_s + retry_delay_s(self.failures, slowest_s, jitter)
