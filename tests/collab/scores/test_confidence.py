from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from agent.collab.scores import (
    Calibrator,
    Factors,
    confidence,
    found_share,
    passed_share,
    safety_factor,
)
from agent.collab.scores.calibration import Outcome

SHARE = st.floats(0, 1)
NAMES = ("checks", "answered", "evidence", "consensus")
FACTORS = st.builds(
    Factors,
    **dict.fromkeys(NAMES, st.none() | SHARE),
    safety=st.sampled_from([0.0, 0.5, 1.0]),
)


def test_the_formula_by_hand() -> None:
    """The gate times the fourth root of the product."""
    found = confidence(Factors(0.9, 1.0, 0.8, 0.7, 1.0))
    assert found.raw == pytest.approx((0.9 * 0.8 * 0.7) ** 0.25)
    assert (str(found), found.calibrated, found.method) == ("84% (uncalibrated)", False, None)
    assert confidence(Factors(0.9, 1.0, 0.8, 0.7, 0.5)).raw == pytest.approx((found.raw or 0) / 2)


def test_a_missing_factor_drops_out_of_the_root() -> None:
    """With one family there is no consensus: the third root of three factors."""
    found = confidence(Factors(0.9, 1.0, 0.8, None))
    assert found.raw == pytest.approx((0.9 * 0.8) ** (1 / 3))
    assert found.factors.missing() == ("consensus",)
    assert confidence(Factors(None, None, None, 0.4)).raw == pytest.approx(0.4)


def test_nothing_known_is_no_confidence() -> None:
    """Neither 0 nor 100: none."""
    found = confidence(Factors(None, None, None, None))
    assert (found.percent, found.raw, str(found)) == (None, None, "n/a (nothing to judge by)")


@given(FACTORS)
def test_bounds(factors: Factors) -> None:
    """It lies between the least and the greatest of its factors, as far as the gate lets it."""
    raw = confidence(factors).raw
    known = [value for name in NAMES if (value := getattr(factors, name)) is not None]
    assert (raw is None) == (not known)
    if raw is not None:
        assert min(known) * factors.safety - 1e-9 <= raw <= max(known) * factors.safety + 1e-9


@given(FACTORS, st.sampled_from(NAMES), SHARE)
def test_a_better_factor_never_lowers_it(factors: Factors, name: str, value: float) -> None:
    """Monotonic in each factor, the gate included."""
    was = getattr(factors, name)
    assume(was is not None)
    better = replace(factors, **{name: max(was, value)})
    before, after = confidence(factors).raw, confidence(better).raw
    assert before is not None
    assert after is not None
    assert after >= before - 1e-12
    assert confidence(replace(factors, safety=0.0)).raw == 0
    assert (confidence(replace(factors, safety=1.0)).raw or 0) >= before


@given(st.permutations([0.2, 0.5, 0.9, 1.0]))
def test_symmetry(values: list[float]) -> None:
    """No factor weighs more than another."""
    assert confidence(Factors(*values)).raw == pytest.approx((0.2 * 0.5 * 0.9) ** 0.25)


@pytest.mark.parametrize("factors", [Factors(1.5, 1, 1, 1), Factors(1, -0.1, 1, 1), Factors(1, 1, 1, 1, 0.7)])
def test_factors_out_of_range_are_refused(factors: Factors) -> None:
    """85 for 0.85 is a mistake, not certainty."""
    with pytest.raises(ValueError, match="must"):
        confidence(factors)


def test_the_gate_takes_the_strictest_decision() -> None:
    """One command denied, and the whole is not trusted."""
    assert safety_factor([]) == 1
    assert safety_factor(["allow", "allow"]) == 1
    assert safety_factor(["allow", "ask"]) == 0.5
    assert safety_factor(["ask", "deny", "allow"]) == 0
    with pytest.raises(ValueError, match="no decision"):
        safety_factor(["maybe"])


def test_shares() -> None:
    """Nothing checked and nothing quoted is unknown, not zero."""
    assert passed_share([]) is None
    assert passed_share([True, False, True, True]) == 0.75
    assert found_share([], {}) is None


TEXTS = {"load": "load average: 5.71, 4.02\nup 3 days\n12%\n", "disk": "/dev/sda1  98% /var\n"}


@pytest.mark.parametrize(
    ("source", "quote", "is_found"),
    [
        ("load", "load average: 5.71", True),
        ("load", "  load average: 5.71\n", True),
        ("load", "Load average: 5.71", False),
        ("disk", "load average: 5.71", False),
        ("net", "load average: 5.71", False),
        ("load", "12%", True),
        ("load", "5.71", False),
        ("disk", "98%", False),
        ("load", "", False),
        ("load", "   ", False),
        ("load", "4.02\nup 3 days", True),
    ],
)
def test_a_quote_is_found_verbatim_where_it_is_said_to_be(source: str, quote: str, is_found: bool) -> None:  # noqa: FBT001
    """Other words, another file, or a snippet that stands everywhere: not found."""
    assert found_share([(source, quote)], TEXTS) == float(is_found)


def test_it_is_uncalibrated_below_fifty_outcomes() -> None:
    """Fifty labelled outcomes make the difference, and the number of them is told."""
    outcomes = [Outcome(0.9, asks=False, good=True), Outcome(0.3, asks=True, good=False)] * 25
    factors = Factors(0.8, 0.8, 0.8, 0.8)
    before = confidence(factors, Calibrator.fit(outcomes[:49]))
    assert (before.calibrated, before.labels, str(before)) == (False, 49, "80% (uncalibrated)")
    after = confidence(factors, Calibrator.fit(outcomes))
    assert (after.calibrated, after.labels, after.method) == (True, 50, "platt")
    assert "uncalibrated" not in str(after)
    assert after.raw == before.raw


def test_a_shut_gate_is_zero_whatever_was_labelled() -> None:
    """A denied command is not outweighed by good experience; asking is what experience says."""
    calibrator = Calibrator.fit([Outcome(0.8, asks=asks, good=True) for asks in (True, False)] * 50)
    shut = confidence(Factors(0.8, 0.8, 0.8, 0.8, 0.0), calibrator)
    assert (shut.percent, shut.calibrated, str(shut)) == (0, False, "0% (a command was denied)")
    asks = confidence(Factors(0.8, 0.8, 0.8, 0.8, 0.5), calibrator)
    assert asks.raw == pytest.approx(0.4)
    assert (asks.percent or 0) > 90
