"""A few of the pipeline's faults: nothing recorded is asked for again, nothing approved runs twice."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest
from faults import pipeline

if TYPE_CHECKING:
    from faults.conftest import Play

KILLS, ERRORS = 2, 2


@pytest.mark.timeout(400)
def test_fails_at_some_steps_and_goes_on(play: Play) -> None:
    """Killed, or its disk failing, a run comes to one whole report by the product's own means."""
    trace = play(pipeline.TRACE)
    assert trace["violations"] == [], trace["tail"]
    cases = pipeline.cases({"pipeline": trace["injected"]}, 0)
    draw = random.Random(4)  # noqa: S311 - draws cases, not keys
    for kills, number in ((True, KILLS), (False, ERRORS)):
        some = [case for case in cases if case["faults"][0][3].startswith("kill") == kills]
        for case in draw.sample(some, number):
            answer = play(case)
            assert answer["violations"] == [], f"{case}\n{answer['tail']}"
