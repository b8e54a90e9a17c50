"""Simulated raters: parameters.toml says how they answer, the product's own code scores them."""
# ruff: noqa: S311 - cases are drawn, not keys

from __future__ import annotations

import math
import random
from typing import TYPE_CHECKING

from collab.scores.evaluation.case import Case, conforming

from agent.collab.scores import Factors, Item, confidence, consensus, passed_share, safety_factor

if TYPE_CHECKING:
    from collab.scores.evaluation.parameters import Setting

RIGHT = "0"
LURE = "1"


def cases(setting: Setting, count: int, seed: int) -> list[Case]:
    """Draw so many cases; the same seed draws the same hardness, answers and verdicts."""
    source = random.Random(seed)
    return [_case(setting, source) for _ in range(count)]


def _case(setting: Setting, source: random.Random) -> Case:
    raters = {f"r{number}": family for number, family in enumerate(setting.families)}
    hardness = source.gauss(0, setting.case_spread)
    items = []
    for number in range(setting.items):
        hard = hardness + source.gauss(0, setting.item_spread)
        answers = _answers(setting, hard, source)
        items.append(Item(f"q{number}", dict(zip(raters, answers, strict=True))))
    found = consensus(items, raters)
    right = sum(each.leading == RIGHT for each in found.agreements) / setting.items
    validator = _validator(setting, items, source)
    factors = Factors(
        checks=validator,
        answered=found.answered,
        evidence=_evidence(setting, items, source),
        consensus=None if found.percent is None else found.percent / 100,
        safety=_safety(setting, source),
    )
    raw = confidence(factors).raw
    assert raw is not None
    return Case(found, factors, raw, validator, right >= setting.good_from)


def _answers(setting: Setting, hard: float, source: random.Random) -> list[str | None]:
    answers: list[str | None] = []
    by_family: dict[str, str | None] = {}
    for family in setting.families:
        own = _own_answer(setting, hard, source)
        copies = source.random() < setting.family_copy
        answer = by_family[family] if copies and family in by_family else own
        by_family.setdefault(family, answer)
        answers.append(answer)
    draws = [source.random() for _ in answers]
    return conforming(answers, draws, setting.conformity)


def _own_answer(setting: Setting, hard: float, source: random.Random) -> str | None:
    abstains = source.random() < setting.abstain
    guess = 1 / setting.answers
    knows = guess + (1 - guess) / (1 + math.exp(hard - setting.skill))
    draw, lured, wrong = source.random(), source.random(), source.randrange(1, setting.answers)
    if abstains:
        return None
    if draw < knows:
        return RIGHT
    return LURE if lured < setting.lure else str(wrong)


def _validator(setting: Setting, items: list[Item], source: random.Random) -> float:
    verdicts: list[bool] = []
    for rater in items[0].votes:
        share = sum(item.votes[rater] == RIGHT for item in items) / len(items)
        passes = setting.pass_right if share >= setting.good_from else setting.pass_wrong
        verdicts += [source.random() < passes for _ in range(setting.checks)]
    return passed_share(verdicts) or 0.0


def _evidence(setting: Setting, items: list[Item], source: random.Random) -> float | None:
    found = [
        source.random() < (setting.found_right if vote == RIGHT else setting.found_wrong)
        for item in items
        for vote in item.votes.values()
        if vote is not None
    ]
    return passed_share(found)


def _safety(setting: Setting, source: random.Random) -> float:
    draw = source.random()
    if draw < setting.denied:
        return safety_factor(["deny"])
    return safety_factor(["ask"] if draw < setting.denied + setting.asks else [])
