"""A few of the fleet's faults: nothing is lost, repeated or torn, whichever side dies."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest
from faults import fleet

if TYPE_CHECKING:
    from faults.conftest import Play

pytestmark = pytest.mark.skipif(fleet.missing() is not None, reason=str(fleet.missing()))
NUMBERS = {"collector": 2, "rsync": 1, "host-rsync": 1}


@pytest.mark.timeout(400)
def test_either_side_fails_at_some_steps(play: Play) -> None:
    """Collector, its programs and the host's: each call may be the last, and the next rounds mend it."""
    trace = play(fleet.TRACE)
    assert trace["violations"] == [], trace["tail"]
    cases = fleet.cases({"fleet": trace["injected"]}, 0)
    draw = random.Random(3)  # noqa: S311 - draws cases, not keys
    for role, number in NUMBERS.items():
        for case in draw.sample([c for c in cases if c["faults"][0][0] == role], number):
            answer = play(case)
            assert answer["violations"] == [], f"{case}\n{answer['tail']}"
