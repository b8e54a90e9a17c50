"""What is measured of a set of cases: how well a score tells good outcomes from bad, and how true it is."""
# ruff: noqa: S311 - cases are drawn, not keys

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent.collab.scores import Calibrator
from agent.collab.scores.measures import area_under_risk, auroc, base_rate, brier, ece

if TYPE_CHECKING:
    from collections.abc import Sequence

    from collab.scores.evaluation.case import Case

    from agent.collab.scores.measures import Point


@dataclass(frozen=True, slots=True)
class Row:
    """One set of cases; shares 0 to 1, None where there is nothing to measure.

    Args:
        scored: share of the cases that had a consensus.
        aurc: area under the risk-coverage curve; lower is better, the base rate's risk is what chance gives.
    """

    cases: int
    scored: float
    good: float | None
    consensus: float | None
    coverage: float
    auroc_consensus: float | None
    auroc_confidence: float | None
    auroc_validator: float | None
    ece_raw: float | None
    brier_raw: float | None
    brier_base: float | None
    aurc_consensus: float | None
    aurc_confidence: float | None
    aurc_validator: float | None


def consensus_points(cases: Sequence[Case]) -> list[Point]:
    """Return consensus and outcome of the cases that had a consensus."""
    return [(c.consensus.percent / 100, c.good) for c in cases if c.consensus.percent is not None]


def confidence_points(cases: Sequence[Case]) -> list[Point]:
    """Return raw Confidence and outcome."""
    return [(case.raw, case.good) for case in cases]


def validator_points(cases: Sequence[Case]) -> list[Point]:
    """Return what the validator alone would say, and the outcome."""
    return [(case.validator, case.good) for case in cases]


def judge(cases: Sequence[Case]) -> Row:
    """Measure one set of cases."""
    consensus, confidence, validator = (
        consensus_points(cases),
        confidence_points(cases),
        validator_points(cases),
    )
    good = base_rate(confidence)
    return Row(
        cases=len(cases),
        scored=len(consensus) / len(cases),
        good=good,
        consensus=math.fsum(score for score, _ in consensus) / len(consensus) if consensus else None,
        coverage=math.fsum(case.consensus.coverage_percent for case in cases) / (100 * len(cases)),
        auroc_consensus=auroc(consensus),
        auroc_confidence=auroc(confidence),
        auroc_validator=auroc(validator),
        ece_raw=ece(confidence),
        brier_raw=brier(confidence),
        brier_base=None if good is None else good * (1 - good),
        aurc_consensus=area_under_risk(consensus),
        aurc_confidence=area_under_risk(confidence),
        aurc_validator=area_under_risk(validator),
    )


@dataclass(frozen=True, slots=True)
class Calibrated:
    """Calibration with so many labels, judged on cases that it has not seen.

    Args:
        ece, brier: mean over the draws of labelled cases.
        ece_worst: the 90th percentile of the draws.
        floor: the ECE of a perfect score on as many cases: what the measure itself adds by chance.
    """

    labels: int
    method: str
    ece: float
    ece_worst: float
    brier: float
    floor: float


def calibrated(
    labelled: Sequence[Point], unseen: Sequence[Point], labels: int, draws: int, seed: int
) -> Calibrated:
    """Calibrate on draws of labelled cases, and judge on the unseen ones."""
    source = random.Random(seed)
    errors, briers, floors, method = [], [], [], ""
    for _ in range(draws):
        calibrator = Calibrator.fit(source.sample(labelled, labels))
        told = through(calibrator, unseen)
        errors.append(ece(told) or 0.0)
        briers.append(brier(told) or 0.0)
        floors.append(ece([(score, source.random() < score) for score, _ in told]) or 0.0)
        method = calibrator.method or "none"
    ordered = sorted(errors)
    return Calibrated(
        labels=labels,
        method=method,
        ece=sum(errors) / draws,
        ece_worst=ordered[min(draws - 1, math.ceil(0.9 * draws) - 1)],
        brier=sum(briers) / draws,
        floor=sum(floors) / draws,
    )


def through(calibrator: Calibrator, points: Sequence[Point]) -> list[Point]:
    """Return the calibrated probabilities and the outcomes."""
    return [(calibrator.probability(score), good) for score, good in points]
