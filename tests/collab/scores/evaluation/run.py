"""Scores simulated raters and scikit-learn's digits, and writes tests/collab/scores/REPORT.md and its plots.

1 when a goal of parameters.toml is missed, which the report says as well.
"""
# ruff: noqa: T201 - a program that talks to people

from __future__ import annotations

import sys
import time
from dataclasses import replace

from collab.scores.evaluation import digits, parameters, report, simulate
from collab.scores.evaluation.judge import Row, calibrated, confidence_points, consensus_points, judge
from sklearn.metrics import brier_score_loss, roc_auc_score

from agent.collab.scores.measures import auroc, brier


def main() -> int:
    """Measure everything, write the report, and tell whether the goals are met."""
    began = time.monotonic()
    given = parameters.load()
    simulated = _simulated(given)
    print(f"simulated raters: {time.monotonic() - began:.0f} s", flush=True)
    voted = _digits(given)
    print(f"digits: {time.monotonic() - began:.0f} s", flush=True)
    missed = report.write(given, simulated, voted)
    print(f"{report.FILE}: {'; '.join(missed) or 'all goals are met'}")
    return 1 if missed else 0


def _simulated(given: parameters.Parameters) -> report.Simulated:
    sweep = [(swept, judge(simulate.cases(swept.setting, given.cases, given.seed))) for swept in given.sweep]
    base = simulate.cases(given.base, given.test_cases, given.seed + 1)
    _agrees_with_scikit_learn(base)
    labelled = simulate.cases(given.base, 2 * max(given.labels), given.seed + 2)
    conformed = [
        s.setting for s in given.sweep if s.parameter == "conformity" and s.value == report.CONFORMED
    ]
    conform = simulate.cases(conformed[0], given.test_cases, given.seed + 1)
    return report.Simulated(
        sweep=sweep,
        base=judge(base),
        base_cases=base,
        conform=judge(conform),
        conform_cases=conform,
        labelled=labelled,
        calibrated=[calibrated(labelled, base, n, given.draws, given.seed + n) for n in given.labels],
        shifted=calibrated(labelled, conform, 1000, given.draws, given.seed),
    )


def _digits(given: parameters.Parameters) -> report.Voted:
    settings = given.digits
    repeats = [digits.repeat(settings, given.seed + number) for number in range(settings.repeats)]
    sets = {
        name: [digits.cases(settings, votes, families) for votes in repeats]
        for name, families in settings.raters.items()
    }
    base = settings.raters[settings.base]
    conform: list[tuple[float, Row]] = []
    for share in settings.conformity:
        pooled = [case for votes in repeats for case in digits.cases(settings, votes, base, share)]
        conform.append((share, judge(pooled)))
    abstention: list[tuple[float, Row]] = []
    for below in settings.abstention:
        # as far between chance and certainty: 0.1 to 1 for a digit, 0.5 to 1 for yes and no
        closed = 0.5 + 0.5 * max(0.0, below - 0.1) / 0.9
        swept = replace(settings, abstain_below=below, abstain_below_closed=closed)
        pooled = [case for votes in repeats for case in digits.cases(swept, votes, base)]
        abstention.append((below, judge(pooled)))
    pooled = [case for cases in sets[settings.base] for case in cases]
    _agrees_with_scikit_learn(pooled)
    return report.Voted(
        rows={name: judge([case for cases in each for case in cases]) for name, each in sets.items()},
        conform=conform,
        abstention=abstention,
        cases=pooled,
        calibrated=[report.held_out(sets[settings.base], labels, given.seed) for labels in settings.labels],
    )


def _agrees_with_scikit_learn(cases: list[report.Case]) -> None:
    """Fail when our measures and scikit-learn's differ: then nothing here could be believed."""
    for points in (consensus_points(cases), confidence_points(cases)):
        good, scores = [outcome for _, outcome in points], [score for score, _ in points]
        ours, theirs = auroc(points), roc_auc_score(good, scores)
        if ours is None or abs(ours - theirs) > 1e-9:
            raise ArithmeticError(f"AUROC: {ours} here, {theirs} by scikit-learn")
        ours, theirs = brier(points), brier_score_loss(good, scores)
        if ours is None or abs(ours - theirs) > 1e-9:
            raise ArithmeticError(f"Brier: {ours} here, {theirs} by scikit-learn")


if __name__ == "__main__":
    sys.exit(main())
