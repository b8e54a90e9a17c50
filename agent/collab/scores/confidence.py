"""The Confidence Score: how far the outcome of a run can be trusted.

raw = s · (v·k·e·c)^¼. A factor that is not known (no quotes, one family, no validator) drops out of the
product and of its root: it is neither held against the result nor counted for it. Shown as "uncalibrated"
until enough labelled outcomes are known (`calibration`). Where a command was denied the gate is shut: that
is 0, whatever was labelled.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agent.collab.scores.calibration import Calibrator

SAFE, ASKS, UNSAFE = 1.0, 0.5, 0.0
_SAFETY: Final = {"allow": SAFE, "ask": ASKS, "deny": UNSAFE}


@dataclass(frozen=True, slots=True)
class Factors:
    """What Confidence is made of; each 0 to 1, None when it is not known.

    Args:
        checks: v, the share of the validator's binary checks that passed.
        answered: k, the share of the answers asked for that were given.
        evidence: e, the share of the quoted evidence that stands verbatim in the collected files.
        consensus: c, the Consensus Score as a share.
        safety: s, the deterministic gate: 1 safe, 0.5 a command asks a person, 0 a command was denied.
    """

    checks: float | None
    answered: float | None
    evidence: float | None
    consensus: float | None
    safety: float = SAFE

    def root(self) -> float | None:
        """Return (v·k·e·c)^¼ over the factors that are known; None when none is."""
        known = [f for f in (self.checks, self.answered, self.evidence, self.consensus) if f is not None]
        return math.prod(known) ** (1 / len(known)) if known else None

    def raw(self) -> float | None:
        """Return s · (v·k·e·c)^¼ over the factors that are known; None when none is."""
        root = self.root()
        return None if root is None else self.safety * root

    def missing(self) -> tuple[str, ...]:
        """Return the names of the factors that dropped out."""
        named = {
            "checks": self.checks,
            "answered": self.answered,
            "evidence": self.evidence,
            "consensus": self.consensus,
        }
        return tuple(name for name, value in named.items() if value is None)


@dataclass(frozen=True, slots=True)
class Confidence:
    """The score as it is shown.

    Args:
        percent: 0 to 100; calibrated when `calibrated` says so; None when no factor is known.
        raw: 0 to 1, before calibration.
        method: what calibrated it.
        labels: how many labelled outcomes were known.
    """

    percent: float | None
    raw: float | None
    calibrated: bool
    method: Literal["platt", "isotonic"] | None
    labels: int
    factors: Factors

    def __str__(self) -> str:
        """Return it as a person reads it: `72% (uncalibrated)`, `64%`, `n/a (nothing to judge by)`."""
        if self.percent is None:
            return "n/a (nothing to judge by)"
        if self.factors.safety == UNSAFE:
            return "0% (a command was denied)"
        return f"{self.percent:.0f}%" if self.calibrated else f"{self.percent:.0f}% (uncalibrated)"


def confidence(factors: Factors, calibrator: Calibrator | None = None) -> Confidence:
    """Compute the Confidence Score.

    Args:
        factors: each 0 to 1, or None.
        calibrator: made from the labelled outcomes; without one the raw score is shown, uncalibrated.

    Raises:
        ValueError: a factor is out of its range.
    """
    _check(factors)
    root, raw = factors.root(), factors.raw()
    labels = calibrator.labels if calibrator else 0
    shut = factors.safety == UNSAFE
    if root is None or shut or calibrator is None or calibrator.method is None:
        return Confidence(None if raw is None else 100 * raw, raw, False, None, labels, factors)
    return Confidence(
        percent=100 * calibrator.probability(root, asks=factors.safety == ASKS),
        raw=raw,
        calibrated=True,
        method=calibrator.method,
        labels=labels,
        factors=factors,
    )


def _check(factors: Factors) -> None:
    for name in Factors.__dataclass_fields__:
        value = getattr(factors, name)
        if value is not None and not 0 <= value <= 1:
            raise ValueError(f"the factor {name} is {value}: it must lie between 0 and 1")
    if factors.safety not in _SAFETY.values():
        raise ValueError(f"the safety gate is {factors.safety}: it must be 0, 0.5 or 1")


def safety_factor(decisions: Iterable[str]) -> float:
    """Return s for what the policy decided about the proposed commands (allow, ask or deny).

    Raises:
        ValueError: a decision is none of the three.
    """
    lowest = SAFE
    for decision in decisions:
        if decision not in _SAFETY:
            raise ValueError(f"{decision!r} is no decision: allow, ask or deny")
        lowest = min(lowest, _SAFETY[decision])
    return lowest


def passed_share(checks: Iterable[bool]) -> float | None:
    """Return v: the share of binary checks that passed; None when none was made."""
    results = list(checks)
    return sum(results) / len(results) if results else None
