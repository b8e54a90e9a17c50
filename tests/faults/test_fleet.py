"""A few of the collector's faults: nothing is lost, repeated or torn, and the next rounds mend the rest."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest
from faults import fleet

if TYPE_CHECKING:
    from faults.conftest import Play


@pytest.mark.timeout(400)
def test_the_collector_fails_at_some_steps(play: Play) -> None:
    cases = fleet.cases(None, 0)
    for case in random.Random(3).sample(cases, 3):  # noqa: S311 - draws cases, not keys
        answer = play(case)
        assert answer["violations"] == [], f"{case}\n{answer['tail']}"
