from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.backoff import delay_s, may_retry

POLICIES = ["none", "fixed", "linear", "exponential"]
MIDDLE = 0.5
seconds = st.floats(min_value=0, max_value=1e9, allow_nan=False)
fractions = st.floats(min_value=0, max_value=1, exclude_max=True)


@pytest.mark.parametrize(
    ("policy_name", "expected_s"),
    [
        ("none", [0, 0, 0, 0]),
        ("fixed", [30, 30, 30, 30]),
        ("linear", [30, 60, 90, 120]),
        ("exponential", [30, 60, 120, 240]),
    ],
)
def test_policies_grow_by_their_name(policy_name: str, expected_s: list[float]) -> None:
    """Without spread, the first four delays are what each policy's name says."""
    delays_s = [delay_s(policy_name, 30, 3600, number, MIDDLE) for number in (1, 2, 3, 4)]
    assert delays_s == pytest.approx(expected_s)


def test_jitter_spreads_a_tenth_either_way() -> None:
    """The random fraction moves the delay between 90 % and 110 %."""
    assert delay_s("fixed", 100, 3600, 1, 0.0) == pytest.approx(90)
    assert delay_s("fixed", 100, 3600, 1, 0.999999) == pytest.approx(110, abs=0.001)


def test_delays_at_the_limit_still_differ() -> None:
    """Tasks that all reached the longest delay do not come back at the same moment."""
    at_limit_s = [delay_s("exponential", 30, 3600, 50, jitter / 10) for jitter in range(10)]
    assert len(set(at_limit_s)) == 10
    assert min(at_limit_s) == pytest.approx(3240)


def test_unknown_policy_is_named() -> None:
    """A misspelt policy is an error that lists the right ones."""
    with pytest.raises(ValueError, match="'expo' is not one of none, fixed, linear, exponential"):
        delay_s("expo", 1, 2, 1, MIDDLE)


@given(
    st.sampled_from(POLICIES),
    seconds,
    seconds,
    st.one_of(st.integers(-5, 50), st.integers(10**3, 10**400)),
    fractions,
)
def test_delay_is_never_above_its_limit(
    policy_name: str, initial_s: float, max_s: float, retry_number: int, jitter: float
) -> None:
    """Whatever the numbers, also absurd ones, a delay lies between 0 and the limit, and is repeatable."""
    first_s = delay_s(policy_name, initial_s, max_s, retry_number, jitter)
    assert 0 <= first_s <= max_s
    assert first_s == delay_s(policy_name, initial_s, max_s, retry_number, jitter)


@given(st.sampled_from(POLICIES), seconds, seconds, st.integers(1, 2000), fractions)
def test_delay_never_shrinks_with_the_retries(
    policy_name: str, initial_s: float, max_s: float, retry_number: int, jitter: float
) -> None:
    """With the same random fraction, a later retry never waits less."""
    earlier_s = delay_s(policy_name, initial_s, max_s, retry_number, jitter)
    assert earlier_s <= delay_s(policy_name, initial_s, max_s, retry_number + 1, jitter)


DEFAULT_ON = ("failed", "timed_out")


@pytest.mark.parametrize(
    ("outcomes", "max_retries", "expected"),
    [
        ([], 3, False),
        (["failed"], 0, False),
        (["failed"], 1, True),
        (["failed", "timed_out"], 1, False),
        (["failed", "lost", "failed"], 2, True),
        (["succeeded"], 3, False),
        (["cancelled"], 3, False),
    ],
)
def test_retries_are_counted(outcomes: list[str], max_retries: int, expected: bool) -> None:  # noqa: FBT001
    """A task is tried again as its policy says; lost attempts count apart."""
    assert may_retry(outcomes, DEFAULT_ON, max_retries, idempotent=True) is expected


def test_outcome_not_named_is_final() -> None:
    """A task that retries on `timed_out` only does not retry when it fails."""
    assert not may_retry(["failed"], ("timed_out",), 3, idempotent=False)


def test_cancelled_is_final_even_when_named() -> None:
    """Nobody's cancel is undone by a retry policy."""
    assert not may_retry(["cancelled"], ("cancelled", "failed"), 3, idempotent=True)


def test_lost_is_run_again_only_when_idempotent() -> None:
    """A lost attempt may have done its work: only the task can say that twice is harmless (I2)."""
    assert may_retry(["lost"], DEFAULT_ON, 0, idempotent=True)
    assert not may_retry(["lost"], (*DEFAULT_ON, "lost"), 5, idempotent=False)


def test_lost_reruns_are_bounded() -> None:
    """A task that takes its host down each time is given up after three more tries, or its own retries."""
    assert may_retry(["lost"] * 3, DEFAULT_ON, 0, idempotent=True)
    assert not may_retry(["lost"] * 4, DEFAULT_ON, 0, idempotent=True)
    assert may_retry(["lost"] * 5, DEFAULT_ON, 5, idempotent=True)
    assert not may_retry(["lost"] * 6, DEFAULT_ON, 5, idempotent=True)


@given(st.lists(st.sampled_from(["failed", "timed_out", "lost"])), st.integers(0, 5), st.booleans())
def test_every_task_comes_to_an_end(draws: list[str], max_retries: int, idempotent: bool) -> None:  # noqa: FBT001
    """However its attempts end, their number is bounded by the policy and the re-runs of lost ones."""
    outcomes: list[str] = []
    for state in draws:
        outcomes.append(state)
        if not may_retry(outcomes, DEFAULT_ON, max_retries, idempotent=idempotent):
            break
    assert len(outcomes) <= 1 + max_retries + max(max_retries, 3)
