"""What is measured of a set of cases: how well a score tells good outcomes from bad, and how true it is."""
# ruff: noqa: S311 - cases are drawn, not keys

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent.collab.scores import Calibrator, confidence
from agent.collab.scores.measures import area_under_risk, auroc, base_rate, brier, ece

if TYPE_CHECKING:
    from collections.abc import Sequence

    from collab.scores.evaluation.case import Case

    from agent.collab.scores.calibration import Outcome
    from agent.collab.scores.measures import Point


@dataclass(frozen=True, slots=True)
class Row:
    """One set of cases; shares 0 to 1, None where there is nothing to measure.

    Args:
        scored: share of the cases that had a consensus.
        auroc_covered: of consensus times coverage; no consensus is 0.
        aurc: area under the risk-coverage curve; lower is better, the base rate's risk is what chance gives.
    """

    cases: int
    scored: float
    good: float | None
    consensus: float | None
    coverage: float
    auroc_consensus: float | None
    auroc_covered: float | None
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


def _covered(case: Case) -> float:
    return (case.consensus.percent or 0.0) * case.consensus.coverage_percent


def confidence_points(cases: Sequence[Case]) -> list[Point]:
    """Return raw Confidence and outcome."""
    return [(case.raw, case.good) for case in cases]


def validator_points(cases: Sequence[Case]) -> list[Point]:
    """Return what the validator alone would say, and the outcome."""
    return [(case.validator, case.good) for case in cases]


def judge(cases: Sequence[Case]) -> Row:
    """Measure one set of cases."""
    consensus, raw, validator = consensus_points(cases), confidence_points(cases), validator_points(cases)
    good = base_rate(raw)
    return Row(
        cases=len(cases),
        scored=len(consensus) / len(cases),
        good=good,
        consensus=math.fsum(score for score, _ in consensus) / len(consensus) if consensus else None,
        coverage=math.fsum(case.consensus.coverage_percent for case in cases) / (100 * len(cases)),
        auroc_consensus=auroc(consensus),
        auroc_covered=auroc([(_covered(case), case.good) for case in cases]),
        auroc_confidence=auroc(raw),
        auroc_validator=auroc(validator),
        ece_raw=ece(raw),
        brier_raw=brier(raw),
        brier_base=None if good is None else good * (1 - good),
        aurc_consensus=area_under_risk(consensus),
        aurc_confidence=area_under_risk(raw),
        aurc_validator=area_under_risk(validator),
    )


@dataclass(frozen=True, slots=True)
class Calibrated:
    """Calibration with so many labels, judged on cases that it has not seen.

    Args:
        ece, brier, auroc: mean over the draws of labelled cases.
        ece_worst: the 90th percentile of the draws.
        ece_open: of the cases whose safety gate is not shut: a shut gate shows 0 whatever the outcome.
        floor: the ECE of a perfect score on as many cases: what the measure itself adds by chance.
    """

    labels: int
    method: str
    ece: float
    ece_worst: float
    ece_open: float
    floor: float
    brier: float
    auroc: float


def calibrated(
    labelled: Sequence[Case], unseen: Sequence[Case], labels: int, draws: int, seed: int
) -> Calibrated:
    """Calibrate on draws of labelled cases, and judge on the unseen ones."""
    source = random.Random(seed)
    known = outcomes(labelled)
    rows, method = [], ""
    for _ in range(draws):
        calibrator = Calibrator.fit(source.sample(known, labels))
        told = shown(calibrator, unseen)
        perfect = [(score, source.random() < score) for score, _ in told]
        rows.append(
            (ece(told), ece(shown(calibrator, opened(unseen))), ece(perfect), brier(told), auroc(told))
        )
        method = calibrator.method or "none"
    all_ece, open_ece, floor, briers, aurocs = (
        [value or 0.0 for value in column] for column in zip(*rows, strict=True)
    )
    return Calibrated(
        labels=labels,
        method=method,
        ece=_mean(all_ece),
        ece_worst=sorted(all_ece)[math.ceil(0.9 * draws) - 1],
        ece_open=_mean(open_ece),
        floor=_mean(floor),
        brier=_mean(briers),
        auroc=_mean(aurocs),
    )


def outcomes(cases: Sequence[Case]) -> list[Outcome]:
    """Return what calibration is made from."""
    return [outcome for case in cases if (outcome := case.outcome()) is not None]


def opened(cases: Sequence[Case]) -> list[Case]:
    """Return the cases whose safety gate is not shut."""
    return [case for case in cases if case.outcome() is not None]


def shown(calibrator: Calibrator, cases: Sequence[Case]) -> list[Point]:
    """Return the Confidence that the product shows, and the outcomes."""
    percents = [(confidence(case.factors, calibrator).percent, case.good) for case in cases]
    return [(percent / 100, good) for percent, good in percents if percent is not None]


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
