from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.collab.scores.calibration import Calibrator, Line, Outcome, fit_isotonic, fit_line
from agent.collab.scores.measures import ece

ROOT = st.floats(0, 1)
OUTCOMES = st.lists(st.builds(Outcome, ROOT, st.booleans(), st.booleans()), min_size=50, max_size=120)


def drawn(count: int, seed: int = 7, asking: float = 0.0, cost: float = 1.0) -> list[Outcome]:
    """Overconfident roots: of those at 0.8 far fewer are good; of those that ask fewer still, by `cost`."""
    source = random.Random(seed)  # noqa: S311 - no secret
    drawn = [(source.random(), source.random() < asking) for _ in range(count)]
    return [Outcome(root, asks, source.random() < root**3 * (cost if asks else 1.0)) for root, asks in drawn]


def told(calibrator: Calibrator, outcomes: list[Outcome]) -> list[tuple[float, bool]]:
    return [(calibrator.probability(each.root, asks=each.asks), each.good) for each in outcomes]


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


@pytest.mark.parametrize("times", [1, 25])
@given(outcomes=OUTCOMES, one=ROOT, other=ROOT)
def test_it_never_falls(times: int, outcomes: list[Outcome], one: float, other: float) -> None:
    """A better root never shows a lower probability, asking never a higher one; nothing is certain."""
    calibrator = Calibrator.fit(outcomes * times)
    low, high = sorted((one, other))
    assert calibrator.probability(low) <= calibrator.probability(high) + 1e-12
    assert calibrator.probability(low, asks=True) <= calibrator.probability(low) + 1e-12
    assert calibrator.probability(low, asks=True) > 0
    assert calibrator.probability(high) < 1


@given(st.lists(st.tuples(ROOT, st.booleans()), min_size=1, max_size=60), ROOT, ROOT)
def test_isotonic_never_falls(points: list[tuple[float, bool]], one: float, other: float) -> None:
    """The same of the other method alone, on any outcomes."""
    calibrator = Calibrator("isotonic", len(points), Line(1, 0, 0), fit_isotonic(points))
    low, high = sorted((one, other))
    assert 0 < calibrator.probability(low) <= calibrator.probability(high) + 1e-12
    assert calibrator.probability(high) < 1


@given(OUTCOMES)
def test_the_line_is_the_most_likely(outcomes: list[Outcome]) -> None:
    """No step in any direction makes the smoothed likelihood better, the signs of a and c held."""
    line = fit_line(outcomes)
    good = sum(each.good for each in outcomes)
    high, low = (good + 1) / (good + 2), 1 / (len(outcomes) - good + 2)

    def loss(da: float, db: float, dc: float) -> float:
        moved, total = Line(line.a + da, line.b + db, line.c + dc), 0.0
        for each in outcomes:
            p = 1 / (1 + math.exp(-moved.at(each.root, asks=each.asks)))
            target = high if each.good else low
            total -= target * math.log(p) + (1 - target) * math.log(1 - p)
        return total

    steps = [(da, db, dc) for da in (0.01, 0, -0.01) for db in (0.01, 0, -0.01) for dc in (0.01, 0, -0.01)]
    allowed = [(da, db, dc) for da, db, dc in steps if line.a + da >= 0 >= line.c + dc]
    assert line.a >= 0 >= line.c
    assert min(loss(*step) for step in allowed) >= loss(0, 0, 0) - 1e-7


def test_isotonic_by_hand() -> None:
    """Violators are pooled: 0.2 good and 0.4 bad stand for one half together."""
    curve = fit_isotonic([(0.1, False), (0.2, True), (0.4, False), (0.9, True)])
    assert [probability for _, probability in curve] == [1 / 6, 0.5, 5 / 6]
    assert [x for x, _ in curve] == pytest.approx([0.1, 0.3, 0.9])
    calibrator = Calibrator("isotonic", 4, Line(1, 0, 0), curve)
    assert calibrator.probability(0.0) == 1 / 6
    assert calibrator.probability(0.6) == pytest.approx((0.5 + 5 / 6) / 2)


@pytest.mark.parametrize("outcome", [True, False])
def test_outcomes_that_are_all_alike(outcome: bool) -> None:  # noqa: FBT001
    """A hundred good ones make it likely, never certain."""
    probability = Calibrator.fit([Outcome(0.5, asks=False, good=outcome)] * 100).probability(0.5)
    assert (0.95 < probability < 1) if outcome else (0 < probability < 0.05)


def test_scores_that_mislead_are_not_turned_round() -> None:
    """Where higher scores went with worse outcomes, all get the base rate."""
    calibrator = Calibrator.fit([Outcome(each.root, each.asks, not each.good) for each in drawn(400)])
    assert calibrator.probability(0.1) == pytest.approx(calibrator.probability(0.9))


@pytest.mark.parametrize(("cost", "expected"), [(1.0, 1.0), (0.5, 0.5)])
def test_what_asking_is_worth_is_learned(cost: float, expected: float) -> None:
    """Runs that ask a person are discounted as far as they turned out worse, not by half on principle."""
    calibrator = Calibrator.fit(drawn(4000, asking=0.3, cost=cost))
    found = calibrator.probability(0.8, asks=True) / calibrator.probability(0.8)
    assert found == pytest.approx(expected, abs=0.12)


@pytest.mark.parametrize(("count", "most"), [(200, 0.06), (2000, 0.03)])
def test_calibration_calibrates(count: int, most: float) -> None:
    """On outcomes it has not seen, the error is small where the raw score's is not."""
    calibrator = Calibrator.fit(drawn(count, asking=0.2, cost=0.7))
    unseen = drawn(20_000, seed=8, asking=0.2, cost=0.7)
    assert (ece([(each.root, each.good) for each in unseen]) or 0) > 0.2
    assert (ece(told(calibrator, unseen)) or 1) < most
