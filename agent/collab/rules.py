"""When a plain question is handed over to the pipeline, and of which kind it is: by stated patterns alone.

No model is asked: the same question always comes to the same answer, and the rule that fired is named.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from agent.collab.definitions import RuleDefinition
    from agent.collab.roles import Roles

_WORD: Final = re.compile(r"\w+")
GENERAL: Final = "general"


@dataclass(frozen=True, slots=True)
class HandOver:
    """What the rules say of one question.

    Args:
        rule: the first that fired; None when the question stays with the plain chat.
        stays_by: the rule by which it stays there; None when no rule fired at all, or it is handed over.
        words: what of the question each rule looked at and found, for people: rule → why.
        type: the kind of question that it would be.
    """

    rule: str | None
    stays_by: str | None
    words: tuple[tuple[str, str], ...]
    type: str


def normal(text: str) -> str:
    """Return a text in small letters without accents, its spaces single, as the patterns want it."""
    plain = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    return " ".join(plain.casefold().split())


def hand_over(text: str, roles: Roles) -> HandOver:
    """Say whether a question goes to the pipeline, by which rule, and why."""
    plain = normal(text)
    looked = tuple((name, *_fires(rule, plain)) for name, rule in roles.rules.items())
    fired = next((name for name, fires, _ in looked if fires), None)
    stays = fired is not None and roles.rules[fired].stays
    return HandOver(
        rule=None if stays else fired,
        stays_by=fired if stays else None,
        words=tuple((name, why) for name, _, why in looked),
        type=type_of(text, roles),
    )


def type_of(text: str, roles: Roles) -> str:
    """Return the kind of a question: the first whose pattern it has; `general` when there is none."""
    plain = normal(text)
    for name, kind in roles.types.items():
        if any(_compiled(pattern).search(plain) for pattern in kind.any):
            return name
    return GENERAL


def _fires(rule: RuleDefinition, plain: str) -> tuple[bool, str]:
    if not rule.enabled:
        return False, "it is switched off"
    count = len(_WORD.findall(plain))
    if count < rule.min_words:
        return False, f"{count} words, it wants {rule.min_words}"
    for pattern in rule.unless:
        if match := _compiled(pattern).search(plain):
            return False, f"not for questions with {match[0]!r}"
    found = [match[0] for pattern in rule.any if (match := _compiled(pattern).search(plain))]
    if rule.any and not found:
        return False, "it found none of its words"
    for pattern in rule.all:
        match = _compiled(pattern).search(plain)
        if match is None:
            return False, f"it found {', '.join(map(repr, found)) or 'nothing'}, and wants more"
        found.append(match[0])
    return True, f"it found {', '.join(map(repr, found))}" if found else f"{count} words"


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)
