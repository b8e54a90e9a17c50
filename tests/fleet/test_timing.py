"""When a host is tried next."""

from __future__ import annotations

import pytest

from agent.fleet.timing import AGAIN_S, Clock, retry_delay_s


@pytest.mark.parametrize("jitter", [0.0, 0.5, 0.999])
def test_five_quick_attempts_then_ever_more_slowly(jitter: float) -> None:
    """The pauses are short up to the fifth; then a minute, doubled up to the longest, for ever."""
    wanted = [2, 4, 8, 16, 60, 120, 240, 480, 600, 600]
    found = [retry_delay_s(failures, 600, jitter) for failures in range(1, 11)]
    assert all(0.9 * w <= f <= min(1.1 * w, 600) for f, w in zip(found, wanted, strict=True)), found
    assert retry_delay_s(10_000, 600, jitter) <= 600
    assert retry_delay_s(3, 1, jitter) <= 1


def test_hosts_that_went_away_together_do_not_come_back_together() -> None:
    assert len({retry_delay_s(6, 600, number / 50) for number in range(50)}) == 50


def test_the_first_answer_ends_the_waiting() -> None:
    """Failures are counted anew, and what waits for the host wakes it again, but not while it is away."""
    clock = Clock()
    for _ in range(7):
        clock.failed(100.0, 600.0, 0.5)
    due_s = clock.due_s
    clock.wake(101.0)
    assert clock.due_s == due_s > 300
    clock.succeeded(due_s, 15.0)
    assert (clock.failures, clock.due_s) == (0, due_s + 15)
    clock.wake(due_s + 1)
    assert clock.due_s == due_s + AGAIN_S
    clock.failed(due_s + 20, 600.0, 0.5)
    assert clock.due_s - (due_s + 20) < 3
