"""The goals on simulated raters, on fewer cases than `scripts/evaluate-scores` takes; see REPORT.md."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

import pytest
from collab.scores.evaluation import parameters, simulate
from collab.scores.evaluation.judge import judge, outcomes, shown

from agent.collab.scores import Calibrator
from agent.collab.scores.measures import ece

if TYPE_CHECKING:
    from collab.scores.evaluation.case import Case

GIVEN = parameters.load()


@cache
def base(count: int, seed: int) -> list[Case]:
    return simulate.cases(GIVEN.base, count, seed)


def test_consensus_tells_good_from_bad_where_raters_are_independent() -> None:
    """The first goal."""
    assert (judge(base(2000, 1)).auroc_consensus or 0) >= GIVEN.auroc_goal


def test_consensus_among_conforming_raters_rises_and_tells_less() -> None:
    """What showing answers to the others costs."""
    conform = judge(simulate.cases(replace(GIVEN.base, conformity=0.85), 2000, 1))
    independent = judge(base(2000, 1))
    assert (conform.consensus or 0) > (independent.consensus or 0) + 0.15
    assert (conform.auroc_consensus or 1) < (independent.auroc_consensus or 0) - 0.15


def test_raters_who_all_repeat_the_first_agree_and_tell_nothing() -> None:
    """The end of that scale: full consensus, and chance."""
    all_conform = judge(simulate.cases(replace(GIVEN.base, conformity=1.0), 500, 1))
    assert all_conform.consensus == pytest.approx(1)
    assert all_conform.auroc_consensus == pytest.approx(0.5)


def test_one_family_has_no_consensus() -> None:
    """Whatever its raters say; confidence goes on without it."""
    found = judge(simulate.cases(replace(GIVEN.base, families=("a", "a", "a")), 200, 1))
    assert (found.scored, found.consensus, found.auroc_consensus) == (0, None, None)
    assert found.auroc_confidence is not None


def test_calibrated_confidence_is_true() -> None:
    """The second goal, with some room for fewer cases."""
    labelled, unseen = outcomes(base(2000, 2))[:1000], base(4000, 3)
    assert (judge(unseen).ece_raw or 0) > 0.1
    assert (ece(shown(Calibrator.fit(labelled), unseen)) or 1) <= GIVEN.ece_goal + 0.015
