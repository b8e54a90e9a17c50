"""How good a score is, measured against known outcomes: AUROC, ECE, Brier score, risk-coverage.

A point is (score, good). AUROC asks only for the order of the scores; ECE and Brier take them as
probabilities, 0 to 1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

BINS: Final = 10

Point = tuple[float, bool]


def base_rate(points: Sequence[Point]) -> float | None:
    """Return the share of good outcomes; None without points."""
    return sum(good for _, good in points) / len(points) if points else None


def auroc(points: Sequence[Point]) -> float | None:
    """Return the probability that a good outcome scores above a bad one, a tie counting half.

    It is the Mann-Whitney statistic over mean ranks; None when all outcomes are alike.
    """
    good = sum(outcome for _, outcome in points)
    bad = len(points) - good
    if not good or not bad:
        return None
    rank_sum, rank = 0.0, 0
    for group in _ties(points):
        rank_sum += sum(outcome for _, outcome in group) * (rank + (len(group) + 1) / 2)
        rank += len(group)
    return (rank_sum - good * (good + 1) / 2) / (good * bad)


def _ties(points: Sequence[Point]) -> list[list[Point]]:
    groups: list[list[Point]] = []
    for point in sorted(points, key=lambda each: each[0]):
        if groups and groups[-1][0][0] == point[0]:
            groups[-1].append(point)
        else:
            groups.append([point])
    return groups


def brier(points: Sequence[Point]) -> float | None:
    """Return the mean squared distance between probability and outcome; None without points."""
    return math.fsum((score - good) ** 2 for score, good in points) / len(points) if points else None


@dataclass(frozen=True, slots=True)
class Bin:
    """Points of neighbouring scores: how many, their mean score, and the share of good ones."""

    count: int
    score: float
    good: float


def bins(points: Sequence[Point], count: int = BINS) -> list[Bin]:
    """Sort the points into bins that hold equally many; equal scores share a bin."""
    result, held = list[Bin](), list[Point]()
    groups = _ties(points)
    for position, group in enumerate(groups):
        held += group
        filled = sum(each.count for each in result) + len(held)
        # full when its right edge reaches the next multiple of the mass
        if filled * count >= len(points) * (len(result) + 1) or position == len(groups) - 1:
            mean = math.fsum(score for score, _ in held) / len(held)
            result.append(Bin(len(held), mean, sum(good for _, good in held) / len(held)))
            held = []
    return result


def ece(points: Sequence[Point], count: int = BINS) -> float | None:
    """Return the expected calibration error over bins of equal mass; None without points."""
    if not points:
        return None
    return math.fsum(each.count * abs(each.score - each.good) for each in bins(points, count)) / len(points)


def risk_coverage(points: Sequence[Point]) -> list[tuple[float, float]]:
    """Return (coverage, risk): of the best-scored share of results, the share that is bad.

    Equal scores are taken together: nobody could choose between them.
    """
    curve, taken, bad = [], 0, 0
    for group in reversed(_ties(points)):
        taken += len(group)
        bad += sum(not good for _, good in group)
        curve.append((taken / len(points), bad / taken))
    return curve


def area_under_risk(points: Sequence[Point]) -> float | None:
    """Return the area under the risk-coverage curve: the mean risk over all shares; None without points."""
    if not points:
        return None
    area, before = 0.0, 0.0
    for coverage, risk in risk_coverage(points):
        area += (coverage - before) * risk
        before = coverage
    return area
