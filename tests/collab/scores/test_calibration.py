from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.collab.scores.calibration import Calibrator, fit_isotonic, fit_platt
from agent.collab.scores.measures import ece

RAW = st.floats(0, 1)
OUTCOMES = st.lists(st.tuples(RAW, st.booleans()), min_size=50, max_size=120)


def drawn(count: int, seed: int = 7) -> list[tuple[float, bool]]:
    """Overconfident scores: of those at 0.8, far fewer than 80 % are good."""
    source = random.Random(seed)  # noqa: S311 - no secret
    scores = [source.random() for _ in range(count)]
    return [(score, source.random() < score**3) for score in scores]


@pytest.mark.parametrize(
    ("count", "method"), [(0, None), (49, None), (50, "platt"), (999, "platt"), (1000, "isotonic")]
)
def test_the_method_follows_the_number_of_outcomes(count: int, method: str | None) -> None:
    """None below 50, Platt up to 1,000, isotonic from there."""
    calibrator = Calibrator.fit(drawn(count))
    assert (calibrator.method, calibrator.labels) == (method, count)


def test_too_few_outcomes_say_nothing() -> None:
    """There is no probability to be had of them."""
    with pytest.raises(ValueError, match="50 are needed"):
        Calibrator.fit(drawn(49)).probability(0.5)


@given(OUTCOMES, RAW, RAW)
def test_platt_never_falls(outcomes: list[tuple[float, bool]], one: float, other: float) -> None:
    """A higher raw score is never shown as a lower probability, and certainty is never claimed."""
    calibrator = Calibrator.fit(outcomes)
    low, high = sorted((one, other))
    assert 0 < calibrator.probability(low) <= calibrator.probability(high) + 1e-12
    assert calibrator.probability(high) < 1


@given(st.lists(st.tuples(RAW, st.booleans()), min_size=1, max_size=60), RAW, RAW)
def test_isotonic_never_falls(outcomes: list[tuple[float, bool]], one: float, other: float) -> None:
    """The same of the other method, on any outcomes."""
    calibrator = Calibrator("isotonic", len(outcomes), fit_isotonic(outcomes))
    low, high = sorted((one, other))
    assert 0 < calibrator.probability(low) <= calibrator.probability(high) + 1e-12
    assert calibrator.probability(high) < 1


@given(OUTCOMES)
def test_platt_is_at_its_minimum(outcomes: list[tuple[float, bool]]) -> None:
    """No step in any direction makes the smoothed likelihood better, or the slope is held at 0."""
    a, b = fit_platt(outcomes)
    good = sum(o for _, o in outcomes)
    high, low = (good + 1) / (good + 2), 1 / (len(outcomes) - good + 2)

    def loss(a: float, b: float) -> float:
        total = 0.0
        for raw, outcome in outcomes:
            p = 1 / (1 + math.exp(-(a * raw + b)))
            target = high if outcome else low
            total -= target * math.log(p) + (1 - target) * math.log(1 - p)
        return total

    at = loss(a, b)
    steps = [(0.0, 0.01), (0.0, -0.01), (0.01, 0.0), (0.01, -0.005)] + ([(-0.01, 0.0)] if a else [])
    assert all(loss(a + da, b + db) >= at - 1e-7 for da, db in steps)


def test_isotonic_by_hand() -> None:
    """Violators are pooled: 0.2 good and 0.4 bad stand for one half together."""
    curve = fit_isotonic([(0.1, False), (0.2, True), (0.4, False), (0.9, True)])
    assert [probability for _, probability in curve] == [1 / 6, 0.5, 5 / 6]
    assert [raw for raw, _ in curve] == pytest.approx([0.1, 0.3, 0.9])
    calibrator = Calibrator("isotonic", 4, curve)
    assert calibrator.probability(0.0) == 1 / 6
    assert calibrator.probability(0.6) == pytest.approx((0.5 + 5 / 6) / 2)


@pytest.mark.parametrize("outcome", [True, False])
def test_outcomes_that_are_all_alike(outcome: bool) -> None:  # noqa: FBT001
    """A hundred good ones make it likely, never certain."""
    calibrator = Calibrator.fit([(0.5, outcome)] * 100)
    probability = calibrator.probability(0.5)
    assert (0.95 < probability < 1) if outcome else (0 < probability < 0.05)


def test_scores_that_mislead_are_not_turned_round() -> None:
    """Where higher scores went with worse outcomes, all get the base rate."""
    calibrator = Calibrator.fit([(score, not good) for score, good in drawn(400)])
    assert calibrator.probability(0.1) == pytest.approx(calibrator.probability(0.9))


@pytest.mark.parametrize(("count", "most"), [(200, 0.06), (2000, 0.03)])
def test_calibration_calibrates(count: int, most: float) -> None:
    """On outcomes it has not seen, the error is small where the raw score's is not."""
    calibrator = Calibrator.fit(drawn(count))
    unseen = drawn(20_000, seed=8)
    assert (ece(unseen) or 0) > 0.2
    assert (ece([(calibrator.probability(raw), good) for raw, good in unseen]) or 1) < most
