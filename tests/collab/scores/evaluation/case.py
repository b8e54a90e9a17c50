"""One case, whoever answered it: the answers as the product scores them, and whether the outcome was good."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent.collab.scores.calibration import Outcome
from agent.collab.scores.confidence import ASKS, UNSAFE

if TYPE_CHECKING:
    from agent.collab.scores import Consensus, Factors


@dataclass(frozen=True, slots=True)
class Case:
    """What the product would have had of a run, and how the run turned out.

    Args:
        validator: the share of the validator's checks that passed: the score of the validator alone.
    """

    consensus: Consensus
    factors: Factors
    raw: float
    validator: float
    good: bool

    def outcome(self) -> Outcome | None:
        """Return it as a label would keep it; None where the gate is shut."""
        root = self.factors.root()
        if root is None or self.factors.safety == UNSAFE:
            return None
        return Outcome(root, self.factors.safety == ASKS, self.good)


def conforming(answers: list[str | None], draws: list[float], conformity: float) -> list[str | None]:
    """Return what raters say that saw the first answer: each repeats it where its draw lies below."""
    first = next((answer for answer in answers if answer is not None), None)
    return [
        first if position and draw < conformity else answer
        for position, (answer, draw) in enumerate(zip(answers, draws, strict=True))
    ]
