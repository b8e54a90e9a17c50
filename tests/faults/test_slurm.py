"""A few faults around Slurm: each task runs once, whoever dies."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest
from faults import slurm

if TYPE_CHECKING:
    from faults.conftest import Play

pytestmark = pytest.mark.skipif(slurm.missing() is not None, reason=str(slurm.missing()))
NUMBER = 3


@pytest.mark.timeout(400)
def test_agent_killed_around_slurm(play: Play) -> None:
    """A new agent adopts, settles or cancels what the killed one had handed over."""
    trace = play(slurm.TRACE)
    assert trace["violations"] == [], trace["tail"]
    cases = [case for case in slurm.cases({"slurm": trace["injected"]}, 0) if "faults" in case]
    for case in random.Random(5).sample(cases, NUMBER):  # noqa: S311 - draws cases, not keys
        answer = play(case)
        assert answer["violations"] == [], f"{case}\n{answer['tail']}"


@pytest.mark.timeout(200)
@pytest.mark.parametrize("victim", ["node and job", "wrapper"])
def test_part_of_the_cluster_dies(play: Play, victim: str) -> None:
    """What ran there is lost, or goes on; it is not run twice."""
    answer = play({"group": "slurm", "scenario": "slurm", "victim": victim, "idempotent": False})
    assert answer["violations"] == [], answer["tail"]
