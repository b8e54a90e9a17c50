"""The Consensus Score: how far answers that were given independently agree, over discrete claims.

C = 100 · Σ wᵢaᵢ / Σ wᵢ over the items that two model families answered. aᵢ is the share of agreeing pairs of
raters, a pair across families weighing 1 and one within a family 0.25: copies of a model repeat one
another's mistakes. Without two families there is no score at all. An abstention is no disagreement: it lowers
the coverage, which stands beside the score.

A closed answer is a string. A set of commands is a frozenset of (program, effect, target), and two sets
agree as far as they overlap (Jaccard).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

ACROSS: Final = 1.0
WITHIN: Final = 0.25
"""Weight of a pair of raters of two families, and of one."""

ONE_FAMILY: Final = "one family"
NO_ITEMS: Final = "no questions"
NOTHING_SHARED: Final = "no question answered by two families"

Command = tuple[str, str, str]
"""Program, effect, target."""
Vote = str | frozenset[Command]


@dataclass(frozen=True, slots=True)
class Item:
    """One keyed question and what each rater that was asked answered.

    Args:
        votes: rater → its answer; None abstains. Who was not asked is not in it.
        weight: at least 0, finite.
    """

    key: str
    votes: Mapping[str, Vote | None]
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Position:
    """One answer, and who gave it."""

    answer: str
    raters: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Agreement:
    """How one item was answered.

    Args:
        share: of agreeing pairs, 0 to 1; None when fewer than two families answered.
        leading: the answer with most families behind it; None when two are level or nobody answered.
        positions: the strongest first; more than one is dissent.
        abstained: who was asked and gave no answer.
    """

    key: str
    weight: float
    share: float | None
    asked: int
    answered: int
    leading: str | None
    positions: tuple[Position, ...]
    abstained: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Consensus:
    """The score and what it rests on.

    Args:
        percent: 0 to 100; None when there is nothing to compare, and `reason` says why.
        coverage_percent: 0 to 100: share of the answers asked for that were given and compared, by weight.
        answered: 0 to 1: share of the answers asked for that were given; None when none was asked for.
        families: that gave an answer, sorted.
    """

    percent: float | None
    coverage_percent: float
    answered: float | None
    families: tuple[str, ...]
    agreements: tuple[Agreement, ...]
    reason: str | None = None

    @property
    def dissent(self) -> tuple[Agreement, ...]:
        """Return the items on which raters differ."""
        return tuple(each for each in self.agreements if len(each.positions) > 1)

    def __str__(self) -> str:
        """Return it as a person reads it: `85% (coverage 90%)`, `n/a (one family)`."""
        if self.percent is None:
            return f"n/a ({self.reason})"
        return f"{self.percent:.0f}% (coverage {self.coverage_percent:.0f}%)"


def consensus(items: Sequence[Item], families: Mapping[str, str]) -> Consensus:
    """Compute the Consensus Score.

    Args:
        items: one for each key.
        families: rater → model family, for every rater that was asked.

    Raises:
        ValueError: a key stands twice, a weight is no number from 0 up, or a rater has no family.
    """
    _check(items, families)
    agreements = tuple(_agreement(item, families) for item in items)
    weight = math.fsum(item.weight for item in items if item.votes)
    compared = [each for each in agreements if each.share is not None and each.weight > 0]
    seen = {families[rater] for item in items for rater, vote in item.votes.items() if vote is not None}
    return Consensus(
        percent=_percent(compared),
        coverage_percent=100 * _share_given(compared, weight),
        answered=_share_given(agreements, weight) if weight else None,
        families=tuple(sorted(seen)),
        agreements=agreements,
        reason=None if compared else _why_null(weight, seen, families),
    )


def _check(items: Sequence[Item], families: Mapping[str, str]) -> None:
    keys: set[str] = set()
    for item in items:
        if item.key in keys:
            raise ValueError(f"the key {item.key!r} stands twice")
        keys.add(item.key)
        if not (math.isfinite(item.weight) and item.weight >= 0):
            raise ValueError(f"the weight of {item.key!r} is {item.weight}, not a number from 0 up")
        if unknown := sorted(item.votes.keys() - families.keys()):
            raise ValueError(f"the family of {unknown[0]!r}, who was asked {item.key!r}, is not known")


def _percent(compared: Iterable[Agreement]) -> float | None:
    compared = list(compared)
    if not compared:
        return None
    total = math.fsum(each.weight for each in compared)
    # a share is at most 1, but a quotient of rounded sums may be a hair more
    return 100 * min(1.0, math.fsum(each.weight * (each.share or 0.0) for each in compared) / total)


def _share_given(agreements: Iterable[Agreement], weight: float) -> float:
    if not weight:
        return 0.0
    given = math.fsum(each.weight * each.answered / each.asked for each in agreements if each.asked)
    return min(1.0, given / weight)


def _why_null(weight: float, seen: set[str], families: Mapping[str, str]) -> str:
    if not weight:
        return NO_ITEMS
    if len(seen) == 1 or (not seen and len(set(families.values())) <= 1):
        return ONE_FAMILY
    return NOTHING_SHARED


def _agreement(item: Item, families: Mapping[str, str]) -> Agreement:
    given = {rater: vote for rater, vote in sorted(item.votes.items()) if vote is not None}
    positions = _positions(given, families)
    return Agreement(
        key=item.key,
        weight=item.weight,
        share=_pairwise(given, families),
        asked=len(item.votes),
        answered=len(given),
        leading=_leading(positions, families),
        positions=positions,
        abstained=tuple(sorted(item.votes.keys() - given.keys())),
    )


def _pairwise(given: Mapping[str, Vote], families: Mapping[str, str]) -> float | None:
    if len({families[rater] for rater in given}) < 2:  # noqa: PLR2004 - two families
        return None
    agreed, total = [], []
    for one, other in combinations(given, 2):
        weight = ACROSS if families[one] != families[other] else WITHIN
        agreed.append(weight * _alike(given[one], given[other]))
        total.append(weight)
    return math.fsum(agreed) / math.fsum(total)


def _alike(one: Vote, other: Vote) -> float:
    if isinstance(one, frozenset) and isinstance(other, frozenset):
        union = one | other
        return len(one & other) / len(union) if union else 1.0
    return float(one == other)


def _positions(given: Mapping[str, Vote], families: Mapping[str, str]) -> tuple[Position, ...]:
    by_answer: dict[Vote, list[str]] = {}
    for rater, vote in given.items():
        by_answer.setdefault(vote, []).append(rater)
    found = [Position(_shown(vote), tuple(raters)) for vote, raters in by_answer.items()]
    return tuple(sorted(found, key=lambda each: (-_support(each.raters, families), each.answer)))


def _support(raters: Sequence[str], families: Mapping[str, str]) -> float:
    """Return how much stands behind an answer: each family once, its further raters a quarter each."""
    distinct = len({families[rater] for rater in raters})
    return ACROSS * distinct + WITHIN * (len(raters) - distinct)


def _leading(positions: Sequence[Position], families: Mapping[str, str]) -> str | None:
    if not positions:
        return None
    strengths = [_support(each.raters, families) for each in positions[:2]]
    return None if len(strengths) > 1 and strengths[0] == strengths[1] else positions[0].answer


def _shown(vote: Vote) -> str:
    if isinstance(vote, str):
        return vote
    return "; ".join(" ".join(command) for command in sorted(vote)) or "(no command)"
