from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from agent.collab.scores.measures import area_under_risk, auroc, base_rate, bins, brier, ece, risk_coverage

POINTS = st.lists(
    st.tuples(st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.5, 0.75, 1.0]), st.booleans()), max_size=60
)


@given(POINTS)
def test_auroc_is_the_share_of_ordered_pairs(points: list[tuple[float, bool]]) -> None:
    """By its definition: every good outcome against every bad one."""
    good = [score for score, outcome in points if outcome]
    bad = [score for score, outcome in points if not outcome]
    if not good or not bad:
        assert auroc(points) is None
        return
    pairs = [1.0 if g > b else 0.5 if g == b else 0.0 for g in good for b in bad]
    assert auroc(points) == pytest.approx(sum(pairs) / len(pairs))


@given(POINTS)
def test_auroc_turned_round(points: list[tuple[float, bool]]) -> None:
    """The complement of the outcomes, or of the scores, is the complement."""
    found = auroc(points)
    assume(found is not None)
    assert auroc([(1 - score, good) for score, good in points]) == pytest.approx(1 - (found or 0))


@given(POINTS, st.integers(1, 12))
def test_bins_hold_everything_once(points: list[tuple[float, bool]], count: int) -> None:
    """Equal mass as far as ties allow; nothing is lost, and no two bins overlap."""
    found = bins(points, count)
    assert sum(each.count for each in found) == len(points)
    assert len(found) <= count
    assert [each.score for each in found] == sorted({each.score for each in found})


def test_bins_of_distinct_scores_are_equal() -> None:
    """A hundred scores in ten bins: ten each."""
    assert [each.count for each in bins([(at / 100, True) for at in range(100)])] == [10] * 10


def test_known_values() -> None:
    """Worked by hand."""
    points = [(0.9, True), (0.8, True), (0.7, False), (0.1, False)]
    assert base_rate(points) == 0.5
    assert auroc(points) == 1.0
    assert brier(points) == pytest.approx((0.01 + 0.04 + 0.49 + 0.01) / 4)
    assert ece(points, 2) == pytest.approx((2 * abs(0.85 - 1) + 2 * abs(0.4 - 0)) / 4)
    assert risk_coverage(points) == [(0.25, 0.0), (0.5, 0.0), (0.75, 1 / 3), (1.0, 0.5)]
    assert area_under_risk(points) == pytest.approx((0 + 0 + 1 / 3 + 0.5) / 4)


def test_nothing_measured_is_unknown() -> None:
    """No outcome, no number."""
    assert [f([]) for f in (base_rate, auroc, brier, ece, area_under_risk)] == [None] * 5
    assert risk_coverage([]) == []


@given(POINTS)
def test_ranges(points: list[tuple[float, bool]]) -> None:
    """Every measure lies between 0 and 1; the risk of taking everything is that of the base rate."""
    assume(points)
    for measure in (base_rate, brier, ece, area_under_risk):
        value = measure(points)
        assert value is not None
        assert 0 <= value <= 1
    coverage, risk = risk_coverage(points)[-1]
    assert coverage == 1
    assert risk == pytest.approx(1 - (base_rate(points) or 0))
