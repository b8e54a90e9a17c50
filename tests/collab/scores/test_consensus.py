from __future__ import annotations

from dataclasses import replace
from itertools import combinations, permutations
from typing import TYPE_CHECKING

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from agent.collab.scores import Item, consensus

if TYPE_CHECKING:
    from agent.collab.scores.consensus import Command, Vote

RATERS = ["analyst", "executor", "innovator", "scout", "critic"]
FAMILIES = st.fixed_dictionaries({name: st.sampled_from(["qwen", "gemini", "claude"]) for name in RATERS})
COMMANDS: list[Command] = [("systemctl", "write", "nginx"), ("df", "read", "/"), ("rm", "delete", "/tmp/x")]
CLOSED = st.sampled_from(["yes", "no", "unclear"])
SETS = st.frozensets(st.sampled_from(COMMANDS))
WEIGHTS = st.one_of(st.just(1.0), st.floats(0.01, 10))


@st.composite
def items(draw: st.DrawFn) -> list[Item]:
    keys = draw(st.lists(st.sampled_from("abcdef"), unique=True, max_size=5))
    result = []
    for key in keys:
        answers: st.SearchStrategy[Vote] = draw(st.sampled_from([CLOSED, SETS]))
        votes = draw(st.dictionaries(st.sampled_from(RATERS), st.none() | answers, max_size=5))
        result.append(Item(key, votes, draw(WEIGHTS)))
    return result


QWEN_GEMINI = {"analyst": "qwen", "innovator": "qwen", "executor": "gemini"}


def one(weight: float = 1.0, /, **votes: str | None) -> Item:
    return Item("cause", votes, weight)


def test_the_formula_by_hand() -> None:
    """Pairs across families weigh 1, within one 0.25; items weigh what the plan says."""
    asked = [
        Item("cause", {"analyst": "disk", "innovator": "cpu", "executor": "disk"}, 3),
        Item("urgent", {"analyst": "yes", "innovator": "yes", "executor": "no"}, 1),
    ]
    found = consensus(asked, QWEN_GEMINI)
    cause, urgent = 1 / 2.25, 0.25 / 2.25
    assert found.percent == pytest.approx(100 * (3 * cause + urgent) / 4)
    assert (found.coverage_percent, found.answered) == (100, 1)
    assert [each.key for each in found.dissent] == ["cause", "urgent"]
    assert found.agreements[0].leading == "disk"
    assert str(found) == "36% (coverage 100%)"


def test_a_single_answer_is_never_consensus() -> None:
    """One rater agrees with nobody."""
    found = consensus([one(analyst="disk", executor=None)], QWEN_GEMINI)
    assert (found.percent, str(found)) == (None, "n/a (one family)")


def test_copies_of_one_model_are_no_consensus() -> None:
    """However many raters of one family agree, there is no score."""
    families = dict.fromkeys(RATERS, "qwen")
    found = consensus([one(**dict.fromkeys(RATERS, "disk"))], families)
    assert (found.percent, str(found)) == (None, "n/a (one family)")
    assert (found.coverage_percent, found.answered) == (0, 1)


def test_families_that_answer_different_questions_are_no_consensus() -> None:
    """Nothing was answered twice, so nothing can be compared."""
    asked = [Item("a", {"analyst": "x", "executor": None}), Item("b", {"analyst": None, "executor": "x"})]
    found = consensus(asked, QWEN_GEMINI)
    assert (found.percent, str(found)) == (None, "n/a (no question answered by two families)")
    assert str(consensus([], QWEN_GEMINI)) == "n/a (no questions)"


def test_commands_agree_as_far_as_they_overlap() -> None:
    """Three commands in all, one in common: a third."""
    votes = {"analyst": frozenset(COMMANDS[:2]), "executor": frozenset(COMMANDS[1:])}
    found = consensus([Item("commands", votes)], QWEN_GEMINI)
    assert found.percent == pytest.approx(100 / 3)
    assert found.dissent[0].positions[0].answer == "df read /; rm delete /tmp/x"


def test_proposing_nothing_is_an_answer() -> None:
    """Two that would run nothing agree; one that would and one that would not do not."""
    nothing: frozenset[Command] = frozenset()
    assert consensus([Item("c", {"analyst": nothing, "executor": nothing})], QWEN_GEMINI).percent == 100
    some = {"analyst": nothing, "executor": frozenset(COMMANDS[:1])}
    assert consensus([Item("c", some)], QWEN_GEMINI).percent == 0


def test_the_leading_answer_has_most_families() -> None:
    """Two of one family do not outvote two families; a level vote leads nowhere."""
    families = {"a": "qwen", "b": "qwen", "c": "qwen", "d": "gemini", "e": "claude"}
    votes = {"a": "x", "b": "x", "c": "x", "d": "y", "e": "y"}
    assert consensus([Item("k", votes)], families).agreements[0].leading == "y"
    level = consensus([Item("k", {"a": "x", "d": "y"})], families)
    assert level.agreements[0].leading is None


@pytest.mark.parametrize("weight", [-1.0, float("nan"), float("inf")])
def test_a_weight_that_is_none_is_refused(weight: float) -> None:
    """So that no score is computed from it."""
    with pytest.raises(ValueError, match="weight"):
        consensus([one(weight, analyst="x")], QWEN_GEMINI)


def test_unclear_input_is_refused() -> None:
    """A key that stands twice and a rater without a family are the caller's mistakes."""
    with pytest.raises(ValueError, match="stands twice"):
        consensus([one(), one()], QWEN_GEMINI)
    with pytest.raises(ValueError, match="family of 'nobody'"):
        consensus([one(nobody="x")], QWEN_GEMINI)


@given(items(), FAMILIES)
def test_bounds(asked: list[Item], families: dict[str, str]) -> None:
    """All numbers lie in their ranges, and there is a score exactly when two families met on an item."""
    found = consensus(asked, families)
    met = any(len({families[r] for r, vote in item.votes.items() if vote is not None}) > 1 for item in asked)
    assert (found.percent is not None) == met
    assert found.percent is None or 0 <= found.percent <= 100
    assert 0 <= found.coverage_percent <= 100
    assert found.answered is None or found.coverage_percent <= 100 * found.answered + 1e-9
    assert (found.reason is None) == met


@given(items(), FAMILIES)
def test_symmetry(asked: list[Item], families: dict[str, str]) -> None:
    """Neither the order of items or raters nor the names of raters, families or answers matter."""
    found = consensus(asked, families)
    renamed = {name: f"r{position}" for position, name in enumerate(reversed(RATERS))}
    shuffled = [
        replace(
            item, votes={renamed[r]: _other_words(vote) for r, vote in reversed(list(item.votes.items()))}
        )
        for item in reversed(asked)
    ]
    again = consensus(shuffled, {renamed[name]: f"family {family}" for name, family in families.items()})
    assert again.percent == pytest.approx(found.percent)
    assert again.coverage_percent == pytest.approx(found.coverage_percent)


def _other_words(vote: Vote | None) -> Vote | None:
    if isinstance(vote, frozenset):
        return frozenset((program.upper(), effect, target) for program, effect, target in vote)
    return None if vote is None else f"answer {vote}"


@given(items(), FAMILIES, st.data())
def test_an_abstention_lowers_the_coverage_only(
    asked: list[Item], families: dict[str, str], data: st.DataObject
) -> None:
    """A further rater that abstains changes no agreement."""
    assume(asked)
    at = data.draw(st.integers(0, len(asked) - 1))
    item = asked[at]
    assume(item.votes)
    abstains = replace(item, votes={**item.votes, "newcomer": None})
    before = consensus(asked, families)
    after = consensus([*asked[:at], abstains, *asked[at + 1 :]], {**families, "newcomer": "grok"})
    assert after.percent == before.percent
    assert after.coverage_percent <= before.coverage_percent + 1e-9
    gave = next(each.answered for each in before.agreements if each.key == item.key)
    assert not gave or (after.answered or 0) < (before.answered or 0)


@given(items(), FAMILIES, st.data())
def test_coming_round_to_the_others_never_lowers_it(
    asked: list[Item], families: dict[str, str], data: st.DataObject
) -> None:
    """Monotonic: when all others agree on an item, joining them raises the score or leaves it."""
    assume(asked)
    at = data.draw(st.integers(0, len(asked) - 1))
    rater = data.draw(st.sampled_from(RATERS))
    others = dict.fromkeys([name for name in RATERS if name != rater], "yes")
    apart = [*asked[:at], replace(asked[at], votes={**others, rater: "no"}), *asked[at + 1 :]]
    joined = [*asked[:at], replace(asked[at], votes={**others, rater: "yes"}), *asked[at + 1 :]]
    before, after = consensus(apart, families), consensus(joined, families)
    if before.percent is not None:
        assert after.percent is not None
        assert after.percent >= before.percent - 1e-9


@given(FAMILIES, st.lists(CLOSED, min_size=5, max_size=5))
def test_every_pair_counts(families: dict[str, str], answers: list[str]) -> None:
    """The share is that of agreeing pairs, counted one by one."""
    votes = dict(zip(RATERS, answers, strict=True))
    pairs = [
        (1.0 if families[a] != families[b] else 0.25, votes[a] == votes[b])
        for a, b in combinations(RATERS, 2)
    ]
    found = consensus([one(**votes)], families)
    assume(found.percent is not None)
    expected = sum(w for w, same in pairs if same) / sum(w for w, _ in pairs)
    assert found.percent == pytest.approx(100 * expected)


def test_unanimity_is_all_and_disagreement_is_nothing() -> None:
    """The ends of the scale are reached, by every order of raters."""
    for names in permutations(["analyst", "executor"]):
        assert consensus([one(**dict.fromkeys(names, "x"))], QWEN_GEMINI).percent == 100
        assert consensus([one(**dict(zip(names, "xy", strict=True)))], QWEN_GEMINI).percent == 0
