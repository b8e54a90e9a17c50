"""From a raw score to a probability: Platt scaling from 50 labelled outcomes, isotonic regression from 1,000.

What is scaled is the root r of Confidence, beside the gate that asks a person: what that gate is worth is
learned, since halving a score says nothing about how often such runs turn out well. Platt scaling fits
1 / (1 + exp(-(a·r + b + c·asks))) by Newton's method, with the smoothed targets of Platt (1999) and the
safeguards of Lin, Lin and Weng (2007). Isotonic regression then pools adjacent violators along a·r + c·asks,
and goes straight from the middle of one pool to the next. a is never negative and c never positive: a better
score is never shown as a lower probability.
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
_RIDGE: Final = 1e-9
_SMALLEST_STEP: Final = 1e-10
_GRADIENT: Final = 1e-7


@dataclass(frozen=True, slots=True)
class Outcome:
    """One labelled run.

    Args:
        root: the root of its Confidence, 0 to 1.
        asks: a command of it asked a person.
    """

    root: float
    asks: bool
    good: bool


@dataclass(frozen=True, slots=True)
class Line:
    """a·root + b + c·asks, in log odds."""

    a: float
    b: float
    c: float

    def at(self, root: float, *, asks: bool) -> float:
        """Return its height."""
        return self.a * root + self.b + self.c * asks


@dataclass(frozen=True, slots=True)
class Calibrator:
    """What makes probabilities of scores.

    Args:
        method: None while too few outcomes are known.
        labels: how many were known.
        curve: of `isotonic`: points (height of the line, probability) that rise.
    """

    method: Literal["platt", "isotonic"] | None
    labels: int
    line: Line | None = None
    curve: tuple[tuple[float, float], ...] = ()

    @classmethod
    def fit(cls, outcomes: Sequence[Outcome]) -> Calibrator:
        """Make the calibrator that so many outcomes allow."""
        count = len(outcomes)
        if count < PLATT_FROM:
            return cls(None, count)
        line = fit_line(outcomes)
        if count < ISOTONIC_FROM:
            return cls("platt", count, line)
        heights = [(line.at(each.root, asks=each.asks), each.good) for each in outcomes]
        return cls("isotonic", count, line, fit_isotonic(heights))

    def probability(self, root: float, *, asks: bool = False) -> float:
        """Return the probability that such a run turns out good.

        Raises:
            ValueError: too few outcomes are known to say so.
        """
        if self.line is None:
            raise ValueError(f"{self.labels} labelled outcomes are known, {PLATT_FROM} are needed")
        height = self.line.at(root, asks=asks)
        return _between(self.curve, height) if self.curve else _sigmoid(height)


def _sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))


def fit_line(outcomes: Sequence[Outcome]) -> Line:
    """Return the most likely line that keeps the signs: where the outcomes say otherwise, a or c is 0."""
    good = sum(each.good for each in outcomes)
    high, low = (good + 1) / (good + 2), 1 / (len(outcomes) - good + 2)
    points = [(each.root, float(each.asks), high if each.good else low) for each in outcomes]
    fits = [_newton(points, free) for free in ((0, 1, 2), (0, 1), (1, 2), (1,))]
    # the problem is convex: the best of those that keep the signs is the best there is
    _, best = min((loss, line) for loss, line in fits if line[0] >= 0 >= line[2])
    return Line(*best)


_Points = list[tuple[float, float, float]]
"""Root, asks, target."""


def _newton(points: _Points, free: tuple[int, ...]) -> tuple[float, tuple[float, float, float]]:
    """Return the least loss and where it is, the coefficients that are not free staying 0."""
    mean = math.fsum(target for _, _, target in points) / len(points)
    line = (0.0, math.log(mean / (1 - mean)), 0.0)
    loss = _loss(points, line)
    for _ in range(_STEPS):
        gradient, hessian = _derivatives(points, line)
        if all(abs(gradient[i]) < _GRADIENT for i in free):
            break
        step = _solved([[hessian[i][j] for j in free] for i in free], [-gradient[i] for i in free])
        slope = sum(gradient[i] * by for i, by in zip(free, step, strict=True))
        size = 1.0
        while size >= _SMALLEST_STEP:
            moved = list(line)
            for i, by in zip(free, step, strict=True):
                moved[i] += size * by
            tried = (moved[0], moved[1], moved[2])
            if (new := _loss(points, tried)) < loss + 1e-4 * size * slope:
                line, loss = tried, new
                break
            size /= 2
        else:
            break  # no step makes it better: this is the least as far as floats can tell
    return loss, line


def _derivatives(points: _Points, line: tuple[float, float, float]) -> tuple[list[float], list[list[float]]]:
    gradient = [0.0, 0.0, 0.0]
    r_r = r_1 = r_q = q_1 = one = 0.0
    for root, asks, target in points:
        p = _sigmoid(line[0] * root + line[1] + line[2] * asks)
        error, curvature = p - target, p * (1 - p)
        gradient[0] += error * root
        gradient[1] += error
        gradient[2] += error * asks
        r_r += curvature * root * root
        r_1 += curvature * root
        r_q += curvature * root * asks
        q_1 += curvature * asks  # asks is 0 or 1, so asks² is the same
        one += curvature
    return gradient, [
        [r_r + _RIDGE, r_1, r_q],
        [r_1, one + _RIDGE, q_1],
        [r_q, q_1, q_1 + _RIDGE],
    ]


def _solved(matrix: list[list[float]], right: list[float]) -> list[float]:
    """Solve a small positive definite system."""
    rows = [[*row, value] for row, value in zip(matrix, right, strict=True)]
    for at, pivot in enumerate(rows):
        for row in rows[at + 1 :]:
            factor = row[at] / pivot[at]
            row[at:] = [value - factor * above for value, above in zip(row[at:], pivot[at:], strict=True)]
    result: list[float] = []
    for at in reversed(range(len(rows))):
        known = sum(rows[at][-2 - n] * value for n, value in enumerate(result))
        result.append((rows[at][-1] - known) / rows[at][at])
    return result[::-1]


def _loss(points: _Points, line: tuple[float, float, float]) -> float:
    total = 0.0
    for root, asks, target in points:
        x = line[0] * root + line[1] + line[2] * asks
        # log(1 + exp(-|x|)) does not overflow
        total += math.log1p(math.exp(-abs(x))) + max(x, 0.0) - target * x
    return total


def fit_isotonic(points: Sequence[tuple[float, bool]]) -> tuple[tuple[float, float], ...]:
    """Return rising points (x, probability) for (x, good); no n outcomes claim more than n can show."""
    pools: list[list[float]] = []  # sum of x, good, count
    for x, good, count in _tallies(points):
        pools.append([x * count, good, count])
        while len(pools) > 1 and pools[-2][1] * pools[-1][2] >= pools[-1][1] * pools[-2][2]:
            last = pools.pop()
            pools[-1] = [one + other for one, other in zip(pools[-1], last, strict=True)]
    edge = 1 / (len(points) + 2)
    return tuple((x / count, min(max(good / count, edge), 1 - edge)) for x, good, count in pools)


def _tallies(points: Sequence[tuple[float, bool]]) -> list[tuple[float, int, int]]:
    tallies: dict[float, list[int]] = {}
    for x, good in points:
        tally = tallies.setdefault(x, [0, 0])
        tally[0] += good
        tally[1] += 1
    return [(x, good, count) for x, (good, count) in sorted(tallies.items())]


def _between(curve: Sequence[tuple[float, float]], x: float) -> float:
    at = bisect_right(curve, (x, math.inf))
    if at == 0:
        return curve[0][1]
    if at == len(curve):
        return curve[-1][1]
    (x0, y0), (x1, y1) = curve[at - 1], curve[at]
    return y0 + (y1 - y0) * (x - x0) / (x1 - x0)
