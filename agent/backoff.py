"""When a task is tried again, and after how long.

Both answers depend on what is on disk and on a random fraction that the caller draws, so that an agent
that restarts comes to the same answer from the same attempts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

LOST_RERUNS = 3
"""An idempotent task that was lost is run again so often, or `max_retries` times if that is more."""

_RETRYABLE = frozenset({"failed", "timed_out"})
_SPREAD = 0.1
_MAX_DOUBLINGS = 1000  # 2.0 ** 1024 overflows; every max_s is reached long before
_MAX_STEPS = 10**9


def delay_s(policy_name: str, initial_s: float, max_s: float, retry_number: int, jitter: float) -> float:
    """Seconds to wait before a retry, spread by a tenth either way and never above ``max_s``.

    Args:
        policy_name: `none`, `fixed`, `linear` or `exponential`.
        initial_s: the delay before the first retry.
        max_s: the longest delay.
        retry_number: 1 for the first retry.
        jitter: a random fraction, 0 <= jitter < 1.

    Raises:
        ValueError: there is no such policy.
    """
    steps = max(1, retry_number)
    if policy_name == "none":
        return 0.0
    if policy_name == "fixed":
        wanted_s = initial_s
    elif policy_name == "linear":
        wanted_s = initial_s * min(steps, _MAX_STEPS)
    elif policy_name == "exponential":
        wanted_s = initial_s * 2.0 ** min(steps - 1, _MAX_DOUBLINGS)
    else:
        raise ValueError(f"backoff {policy_name!r} is not one of none, fixed, linear, exponential")
    # The range is cut at max_s, not the drawn value: else half of a herd would come back at max_s exactly.
    low_s = min(wanted_s, max_s) * (1 - _SPREAD)
    high_s = min(wanted_s * (1 + _SPREAD), max_s)
    return min(low_s + (high_s - low_s) * jitter, max_s)


def may_retry(outcomes: Sequence[str], on: Collection[str], max_retries: int, *, idempotent: bool) -> bool:
    """Whether a task whose attempts ended so far in ``outcomes``, oldest first, is tried again.

    A lost attempt may have done its work, so it is run again only when the task says that this is harmless,
    whatever ``on`` says; such re-runs are counted apart from the retries, and are bounded, because a task
    may be what takes its host down. A cancelled task is never tried again.
    """
    if not outcomes:
        return False
    state = outcomes[-1]
    before = outcomes[:-1]
    if state == "lost":
        return idempotent and before.count("lost") < max(max_retries, LOST_RERUNS)
    retries_used = len(before) - before.count("lost")
    return state in _RETRYABLE and state in on and retries_used < max_retries
