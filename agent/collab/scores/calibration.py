"""From a raw score to a probability: Platt scaling from 50 labelled outcomes, isotonic regression from 1,000.

Platt scaling fits 1 / (1 + exp(-(a·raw + b))) by Newton's method with the smoothed targets of Platt (1999)
and the safeguards of Lin, Lin and Weng (2007). Isotonic regression pools adjacent violators and goes straight
from the middle of one pool to the next. Both never fall: a higher raw score is never shown as a lower
probability.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Sequence

PLATT_FROM: Final = 50
ISOTONIC_FROM: Final = 1000
"""Labelled outcomes from which on each method is used."""

_STEPS: Final = 100
_RIDGE: Final = 1e-12
_SMALLEST_STEP: Final = 1e-10
_GRADIENT: Final = 1e-9


@dataclass(frozen=True, slots=True)
class Calibrator:
    """A curve from raw scores to probabilities.

    Args:
        method: None while too few outcomes are known.
        labels: how many were known.
        curve: for `platt`, one pair (a, b); for `isotonic`, points (raw, probability) that rise.
    """

    method: Literal["platt", "isotonic"] | None
    labels: int
    curve: tuple[tuple[float, float], ...] = ()

    @classmethod
    def fit(cls, outcomes: Sequence[tuple[float, bool]]) -> Calibrator:
        """Make the calibrator that so many outcomes allow.

        Args:
            outcomes: raw score (0 to 1), and whether the result was good.
        """
        count = len(outcomes)
        if count < PLATT_FROM:
            return cls(None, count)
        if count < ISOTONIC_FROM:
            return cls("platt", count, (fit_platt(outcomes),))
        return cls("isotonic", count, fit_isotonic(outcomes))

    def probability(self, raw: float) -> float:
        """Return the probability that a result of this raw score is good.

        Raises:
            ValueError: too few outcomes are known to say so.
        """
        if self.method is None:
            raise ValueError(f"{self.labels} labelled outcomes are known, {PLATT_FROM} are needed")
        if self.method == "platt":
            ((a, b),) = self.curve
            return _sigmoid(a * raw + b)
        return _between(self.curve, raw)


def _sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))


def fit_platt(outcomes: Sequence[tuple[float, bool]]) -> tuple[float, float]:
    """Return a and b; a is 0 when higher scores did not go with better outcomes."""
    good = sum(outcome for _, outcome in outcomes)
    bad = len(outcomes) - good
    high, low = (good + 1) / (good + 2), 1 / (bad + 2)
    points = [(raw, high if outcome else low) for raw, outcome in outcomes]
    a, b = _newton(points, 0.0, math.log((good + 1) / (bad + 1)))
    if a >= 0:
        return a, b
    mean = math.fsum(target for _, target in points) / len(points)
    return 0.0, math.log(mean / (1 - mean))


def _newton(points: Sequence[tuple[float, float]], a: float, b: float) -> tuple[float, float]:
    loss = _loss(points, a, b)
    for _ in range(_STEPS):
        g_a = g_b = h_ab = 0.0
        h_aa = h_bb = _RIDGE
        for raw, target in points:
            p = _sigmoid(a * raw + b)
            error, curvature = p - target, p * (1 - p)
            g_a += error * raw
            g_b += error
            h_aa += curvature * raw * raw
            h_bb += curvature
            h_ab += curvature * raw
        if abs(g_a) < _GRADIENT and abs(g_b) < _GRADIENT:
            break
        determinant = h_aa * h_bb - h_ab * h_ab
        d_a = -(h_bb * g_a - h_ab * g_b) / determinant
        d_b = -(h_aa * g_b - h_ab * g_a) / determinant
        slope, step = g_a * d_a + g_b * d_b, 1.0
        while step >= _SMALLEST_STEP:
            tried = _loss(points, a + step * d_a, b + step * d_b)
            if tried < loss + 1e-4 * step * slope:
                a, b, loss = a + step * d_a, b + step * d_b, tried
                break
            step /= 2
        else:
            break  # no step improves it: this is the minimum as far as floats can tell
    return a, b


def _loss(points: Sequence[tuple[float, float]], a: float, b: float) -> float:
    total = 0.0
    for raw, target in points:
        x = a * raw + b
        # log(1 + exp(-|x|)) does not overflow
        total += (
            math.log1p(math.exp(-abs(x))) + (1 - target) * x
            if x >= 0
            else (math.log1p(math.exp(x)) - target * x)
        )
    return total


def fit_isotonic(outcomes: Sequence[tuple[float, bool]]) -> tuple[tuple[float, float], ...]:
    """Return rising points (raw, probability); no pool of n outcomes claims more than n can show."""
    pools: list[list[float]] = []  # sum of raw, good, count
    for raw, good, count in _by_raw(outcomes):
        pools.append([raw * count, good, count])
        while len(pools) > 1 and pools[-2][1] * pools[-1][2] >= pools[-1][1] * pools[-2][2]:
            last = pools.pop()
            pools[-1] = [one + other for one, other in zip(pools[-1], last, strict=True)]
    edge = 1 / (len(outcomes) + 2)
    return tuple((raw / count, min(max(good / count, edge), 1 - edge)) for raw, good, count in pools)


def _by_raw(outcomes: Sequence[tuple[float, bool]]) -> list[tuple[float, int, int]]:
    tallies: dict[float, list[int]] = {}
    for raw, good in outcomes:
        tally = tallies.setdefault(raw, [0, 0])
        tally[0] += good
        tally[1] += 1
    return [(raw, good, count) for raw, (good, count) in sorted(tallies.items())]


def _between(curve: Sequence[tuple[float, float]], raw: float) -> float:
    at = bisect_right(curve, (raw, math.inf))
    if at == 0:
        return curve[0][1]
    if at == len(curve):
        return curve[-1][1]
    (x0, y0), (x1, y1) = curve[at - 1], curve[at]
    return y0 + (y1 - y0) * (raw - x0) / (x1 - x0)
