"""The report: every number that was measured, the goals, and what speaks against the scores."""
# ruff: noqa: E501, RUF001, S311 - lines of Markdown with their signs; cases are drawn, not keys

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from collab.scores.evaluation import plots
from collab.scores.evaluation.case import Case
from collab.scores.evaluation.judge import (
    Calibrated,
    Row,
    confidence_points,
    consensus_points,
    outcomes,
    shown,
    validator_points,
)

from agent.collab.scores import Calibrator
from agent.collab.scores.measures import auroc, brier, ece

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from collab.scores.evaluation.parameters import Parameters, Swept

    from agent.collab.scores.measures import Point

__all__ = ["CONFORMED", "FILE", "Case", "HeldOut", "Simulated", "Voted", "held_out", "write"]

FILE = Path(__file__).parents[1] / "REPORT.md"
CONFORMED = 0.85
"""Share of answers that repeat the first one when models debate (arXiv 2605.00914)."""
GOAL_LABELS = 1000


@dataclass(frozen=True, slots=True)
class Simulated:
    """What was measured of simulated raters."""

    sweep: Sequence[tuple[Swept, Row]]
    base: Row
    base_cases: Sequence[Case]
    conform: Row
    conform_cases: Sequence[Case]
    labelled: Sequence[Case]
    calibrated: Sequence[Calibrated]
    shifted: Calibrated


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Calibration on some images of each repeat, judged on all others.

    Args:
        pooled: the held-out probabilities of all repeats, each made by its own repeat's calibrator.
        ece: of those; `ece_each` is the mean over the repeats, which has few images in a bin.
        ece_raw: of the same images before calibration.
    """

    labels: int
    method: str
    pooled: Sequence[Point]
    ece: float
    ece_each: float
    floor_each: float
    ece_raw: float
    brier: float


@dataclass(frozen=True, slots=True)
class Voted:
    """What was measured of the digits."""

    rows: dict[str, Row]
    conform: Sequence[tuple[float, Row]]
    abstention: Sequence[tuple[float, Row]]
    cases: Sequence[Case]
    calibrated: Sequence[HeldOut]


def held_out(repeats: Sequence[Sequence[Case]], labels: int, seed: int) -> HeldOut:
    """Calibrate within each repeat, and judge on what it left out."""
    source = random.Random(seed)
    pooled: list[Point] = []
    raw: list[Point] = []
    each: list[float] = []
    floors: list[float] = []
    method = ""
    for cases in repeats:
        shuffled = source.sample(cases, len(cases))
        calibrator = Calibrator.fit(outcomes(shuffled[:labels]))
        told = shown(calibrator, shuffled[labels:])
        pooled += told
        raw += confidence_points(shuffled[labels:])
        each.append(ece(told) or 0.0)
        floors.append(ece([(score, source.random() < score) for score, _ in told]) or 0.0)
        method = calibrator.method or "none"
    mean = sum(each) / len(each)
    floor = sum(floors) / len(floors)
    return HeldOut(
        labels, method, pooled, ece(pooled) or 0.0, mean, floor, ece(raw) or 0.0, brier(pooled) or 0.0
    )


def write(given: Parameters, simulated: Simulated, voted: Voted) -> list[str]:
    """Write the report and its plots; return the goals that are missed."""
    _plots(simulated, voted)
    goals = _goals(given, simulated)
    missed = [what for what, _, is_met in goals if not is_met]
    FILE.write_text(
        "\n".join([*_head(goals), *_simulation(given, simulated), *_digits(given, voted), *_limits()])
    )
    return missed


def _goals(given: Parameters, simulated: Simulated) -> list[tuple[str, str, bool]]:
    at_goal = next(each for each in simulated.calibrated if each.labels == GOAL_LABELS)
    reached = simulated.base.auroc_consensus or 0.0
    return [
        (
            f"AUROC of consensus against correctness, independent raters, at least {given.auroc_goal}",
            f"{reached:.3f}",
            reached >= given.auroc_goal,
        ),
        (
            f"ECE of confidence after calibration ({GOAL_LABELS} labels), at most {given.ece_goal}",
            f"{at_goal.ece:.3f}",
            at_goal.ece <= given.ece_goal,
        ),
    ]


def _head(goals: Sequence[tuple[str, str, bool]]) -> Iterator[str]:
    yield from (
        "# How good the scores are",
        "",
        "Written by `scripts/evaluate-scores`; what it assumes stands in `evaluation/parameters.toml`, which was",
        "fixed before anything was scored. All scores are computed by the product's own code.",
        "",
        "- **AUROC**: the probability that a good outcome scores above a bad one; 0.5 is chance.",
        "- **ECE**: the expected calibration error, 10 bins of equal mass; 0 is perfect.",
        "- **Brier**: the mean squared error; lower is better, and the base rate alone has `Brier (base rate)`.",
        "- **AURC**: the area under the risk-coverage curve; lower is better, chance has `1 - good`.",
        "",
        "| goal | measured | |",
        "| --- | --- | --- |",
    )
    for what, measured, is_met in goals:
        yield f"| {what} | {measured} | {'met' if is_met else '**missed**'} |"
    yield ""


def _simulation(given: Parameters, simulated: Simulated) -> Iterator[str]:
    base, conform = simulated.base, simulated.conform
    yield from (
        "## Simulated raters",
        "",
        f"Setting `base`: three raters of three families that answer independently, {given.test_cases:,} cases.",
        "",
        "| | base | raters that saw the first answer (conformity 0.85) |",
        "| --- | --- | --- |",
        f"| good outcomes | {_share(base.good)} | {_share(conform.good)} |",
        f"| mean consensus | {_share(base.consensus)} | {_share(conform.consensus)} |",
        f"| AUROC consensus | {_number(base.auroc_consensus)} | {_number(conform.auroc_consensus)} |",
        f"| AUROC confidence | {_number(base.auroc_confidence)} | {_number(conform.auroc_confidence)} |",
        f"| AUROC validator alone | {_number(base.auroc_validator)} | {_number(conform.auroc_validator)} |",
        f"| AURC consensus | {_number(base.aurc_consensus)} | {_number(conform.aurc_consensus)} |",
        f"| AURC confidence | {_number(base.aurc_confidence)} | {_number(conform.aurc_confidence)} |",
        f"| AURC validator alone | {_number(base.aurc_validator)} | {_number(conform.aurc_validator)} |",
        f"| ECE raw confidence | {_number(base.ece_raw)} | {_number(conform.ece_raw)} |",
        f"| Brier raw confidence | {_number(base.brier_raw)} | {_number(conform.brier_raw)} |",
        f"| Brier (base rate) | {_number(base.brier_base)} | {_number(conform.brier_base)} |",
        "",
        _drop(base, conform),
        "",
        "![risk and coverage](plots/simulated-risk.svg) ![conformity](plots/simulated-conformity.svg)",
        "",
        "### Calibration",
        "",
        f"Judged on {given.test_cases:,} cases that it has not seen; mean of {given.draws} draws of labels. The",
        "floor is the ECE of a perfect score on as many cases.",
        "",
        "| labels | method | ECE | 90th percentile | gate not shut | floor | Brier | AUROC |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    )
    for each in simulated.calibrated:
        yield (
            f"| {each.labels} | {each.method} | {each.ece:.3f} | {each.ece_worst:.3f} | {each.ece_open:.3f} "
            f"| {each.floor:.3f} | {each.brier:.3f} | {each.auroc:.3f} |"
        )
    yield from (
        "",
        f"Calibrated on independent raters and used on conforming ones, the ECE is {simulated.shifted.ece:.3f}: a",
        "calibration holds only for runs that are made in the same way as the labelled ones.",
        "",
        "![reliability](plots/simulated-reliability.svg)",
        "",
        "### The whole sweep",
        "",
        f"Each parameter alone, the others at base; {given.cases:,} cases each.",
        "",
        *_table_head("parameter", "value"),
    )
    for swept, row in simulated.sweep:
        value = " ".join(swept.value) if isinstance(swept.value, list) else swept.value
        yield f"| {swept.parameter} | {value} {_cells(row)}"
    yield ""


def _drop(base: Row, conform: Row) -> str:
    return (
        f"When raters conform, consensus rises from {_share(base.consensus)} to {_share(conform.consensus)} while "
        f"its AUROC falls from {_number(base.auroc_consensus)} to {_number(conform.auroc_consensus)}: agreement "
        "among those who saw one another's answers is no evidence. That is why answers are frozen before anybody "
        "sees another's."
    )


def _table_head(*first: str) -> list[str]:
    names = [
        *first,
        *("scored", "good", "consensus", "coverage", "AUROC consensus"),
        *("AUROC consensus × coverage", "AUROC confidence"),
        *("AUROC validator", "AURC consensus", "AURC confidence", "AURC validator", "ECE raw"),
    ]
    return [f"| {' | '.join(names)} |", f"|{' --- |' * len(names)}"]


def _cells(row: Row) -> str:
    shares = (row.scored, row.good, row.consensus, row.coverage)
    numbers = (
        *(row.auroc_consensus, row.auroc_covered, row.auroc_confidence, row.auroc_validator),
        *(row.aurc_consensus, row.aurc_confidence, row.aurc_validator, row.ece_raw),
    )
    return f"| {' | '.join([*map(_share, shares), *map(_number, numbers)])} |"


def _digits(given: Parameters, voted: Voted) -> Iterator[str]:
    settings = given.digits
    yield from (
        "## scikit-learn's digits, voted on by model families",
        "",
        f"{settings.repeats} repeats; each rater learns from {settings.train} images and answers four keyed questions",
        f"(which digit, even, over four, a closed loop) for the others, {len(voted.cases):,} answers in all. The",
        f"validator is of another family ({settings.validator}). Images are not quoted, so the evidence factor",
        "drops out.",
        "",
        *_table_head("raters"),
    )
    for name, row in voted.rows.items():
        yield f"| {name}: {', '.join(settings.raters[name])} {_cells(row)}"
    yield from (
        "",
        "Raters of one family have no consensus, whatever they agree on; confidence goes on without it.",
        "",
        "Classifiers that learned from the same images err on the same ones, so they are less independent than the",
        "simulated raters of `base`; and they abstain on what is hard, which is no disagreement: consensus without",
        "its coverage then tells least of all. Consensus is shown with its coverage, and Confidence counts both.",
        "",
        "### When raters abstain",
        "",
        "Added after the first scoring. `abstain below` is how sure a rater must be of the digit.",
        "",
        *_table_head("abstain below"),
    )
    for below, row in voted.abstention:
        yield f"| {below} {_cells(row)}"
    yield from (
        "",
        "### When raters see the first answer",
        "",
        *_table_head("conformity"),
    )
    for share, row in voted.conform:
        yield f"| {share} {_cells(row)}"
    yield from (
        "",
        "![risk and coverage](plots/digits-risk.svg) ![conformity](plots/digits-conformity.svg)",
        "",
        "### Calibration",
        "",
        "Within each repeat, on so many images, judged on all others. Pooled over the repeats; `each` is the mean of",
        "the single repeats, whose few images in a bin give even a perfect score the ECE of `floor`.",
        "",
        "| labels | method | ECE raw | ECE | each | floor | Brier | AUROC |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    )
    for each in voted.calibrated:
        yield (
            f"| {each.labels} | {each.method} | {each.ece_raw:.3f} | {each.ece:.3f} | {each.ece_each:.3f} "
            f"| {each.floor_each:.3f} | {each.brier:.3f} | {_number(auroc(each.pooled))} |"
        )
    yield from ("", "![reliability](plots/digits-reliability.svg)", "")


def _limits() -> Iterator[str]:
    yield from (
        "## What was changed after the first scoring",
        "",
        "- Calibration. The first scoring scaled raw Confidence itself, and missed the goal: ECE 0.204 with 500 labels",
        "  (Platt), 0.082 with 1,000 (isotonic). A command that asks a person halves the raw score, whatever the answers",
        "  are worth, so that no rising curve fits. Since then the root of Confidence is scaled, and what the asking gate",
        "  is worth is learned beside it. A shut gate (a command was denied) stays 0, and costs some calibration: the",
        "  column `gate not shut` is without those cases. The parameters are those of the first scoring.",
        "- `AUROC consensus × coverage` and the table on abstentions were added.",
        "- The kernel family of the digits takes its probabilities from CalibratedClassifierCV, since scikit-learn",
        "  deprecates `SVC(probability=True)`.",
        "",
        "## What this does not show",
        "",
        "- Simulated raters are what their parameters make them. Consensus tells least when raters have seen one",
        "  another's answers; it also loses where they abstain on half of the items, copy within a family, share a lure,",
        "  or where all cases are equally hard (rows `conformity`, `abstain`, `family_copy`, `lure`, `case_spread`).",
        "- Raw Confidence can tell less than consensus alone: the safety gate and the evidence say little about",
        "  correctness in these settings. Calibrated Confidence makes up for most of it.",
        "- Classifiers of images are real raters with real, correlated mistakes; they are not language models.",
        "- No labelled runs of language models were available. On a workspace's own runs `aispool collab metrics`",
        "  shows the same measures, from the outcomes that its people have labelled.",
        "",
    )


def _plots(simulated: Simulated, voted: Voted) -> None:
    for name, cases in (("simulated", simulated.base_cases), ("digits", voted.cases)):
        title = {"simulated": "Simulated, independent raters", "digits": "Digits, three families"}[name]
        curves = {
            "consensus": consensus_points(cases),
            "confidence": confidence_points(cases),
            "validator alone": validator_points(cases),
        }
        plots.risk(f"{name}-risk", title, curves)
    unseen = confidence_points(simulated.base_cases)
    told = shown(Calibrator.fit(outcomes(simulated.labelled)[:GOAL_LABELS]), simulated.base_cases)
    plots.reliability(
        "simulated-reliability", "Simulated raters, confidence", {"raw": unseen, "1,000 labels": told}
    )
    by_labels: dict[str, Sequence[Point]] = {"raw": confidence_points(voted.cases)}
    by_labels |= {f"{each.labels} labels": each.pooled for each in voted.calibrated}
    plots.reliability("digits-reliability", "Digits, confidence", by_labels)
    swept = [(s.value, row) for s, row in simulated.sweep if s.parameter == "conformity"]
    for name, rows in (("simulated", swept), ("digits", voted.conform)):
        plots.lines(
            f"{name}-conformity",
            "When raters see the first answer",
            "share of answers that repeat it",
            [float(str(share)) for share, _ in rows],
            {
                "mean consensus": [row.consensus for _, row in rows],
                "AUROC of consensus": [row.auroc_consensus for _, row in rows],
                "good outcomes": [row.good for _, row in rows],
            },
        )


def _number(value: float | None) -> str:
    return "n/a" if value is None else f"{value:.3f}"


def _share(value: float | None) -> str:
    return "n/a" if value is None else f"{100 * value:.0f}%"
