from __future__ import annotations

from typing import Any

import pytest

from agent.host.schedule import (
    Launch,
    Limits,
    Plan,
    Refuse,
    Waiting,
    WaitingIndex,
    plan,
)

NOW_S = 1_790_000_000.0


def task(task_id: str, **fields: Any) -> Waiting:
    return Waiting(**{"task_id": task_id, "tool": "shell", "submitted_at_s": NOW_S, **fields})


def decide(*tasks: Waiting) -> Plan:
    return plan(WaitingIndex(tasks), Limits(slots=2), (), {}.get, NOW_S)


def launched(decided: Plan) -> list[str]:
    return [launch.task_id for launch in decided.launches]


def reason(decided: Plan, task_id: str) -> str:
    decision = decided.decision(task_id)
    assert not isinstance(decision, Launch)
    return decision.reason


def test_a_cycle_is_refused_with_every_id_in_order() -> None:
    """All members are refused, each with the whole way round."""
    tasks = [task("a", dependencies=("b",)), task("b", dependencies=("c",)), task("c", dependencies=("a",))]
    decided = decide(*tasks, task("after", dependencies=("a",)))
    cycle = ("a", "b", "c")
    assert decided.ends == (Refuse("a", cycle), Refuse("b", cycle), Refuse("c", cycle))
    assert reason(decided, "b").startswith("dependency cycle: a → b → c → a; ")
    assert reason(decided, "after") == "blocked: waits for a (blocked)"


def test_those_behind_a_refused_cycle_wait_for_unknown_ids() -> None:
    """A refused task never became one: those that depend on it are told that the id is unknown."""
    index = WaitingIndex([task("a", dependencies=("a",)), task("after", dependencies=("a",))])
    for end in plan(index, Limits(slots=1), (), {}.get, NOW_S).ends:
        index.remove(end.task_id)
    decided = plan(index, Limits(slots=1), (), {}.get, NOW_S)
    assert decided.ends == ()
    assert reason(decided, "after").startswith("blocked: no task with id a is known")


def test_an_edit_breaks_a_cycle() -> None:
    """Before it is refused, a cycle that is edited away lets all its tasks run."""
    index = WaitingIndex([task("a", dependencies=("b",)), task("b", dependencies=("a",))])
    plan(index, Limits(slots=1), (), {}.get, NOW_S)
    index.insert(task("b"))
    decided = plan(index, Limits(slots=1), (), {}.get, NOW_S)
    assert (decided.ends, launched(decided)) == ((), ["b"])


def test_a_cycle_that_closes_later_names_those_that_waited() -> None:
    """The task that closes the ring is refused, and so are those that were already in line."""
    index = WaitingIndex([task("a", dependencies=("b",))])
    assert plan(index, Limits(slots=1), (), {}.get, NOW_S).ends == ()
    index.insert(task("b", dependencies=("a",)))
    cycle = ("a", "b")
    assert plan(index, Limits(slots=1), (), {}.get, NOW_S).ends == (Refuse("a", cycle), Refuse("b", cycle))


def test_an_edit_breaks_no_other_cycle() -> None:
    """Two rings: editing one away leaves the other refused."""
    rings = [("a", "b"), ("b", "a"), ("c", "d"), ("d", "c")]
    index = WaitingIndex(task(task_id, dependencies=(dependency,)) for task_id, dependency in rings)
    plan(index, Limits(slots=1), (), {}.get, NOW_S)
    index.insert(task("b"))
    decided = plan(index, Limits(slots=1), (), {}.get, NOW_S)
    assert [end.task_id for end in decided.ends] == ["c", "d"]


def test_a_long_cycle_is_shortened_in_the_sentence_only() -> None:
    """Beyond a hundred ids, the sentence says how many it leaves out."""
    refused = Refuse("t0000", tuple(f"t{number:04d}" for number in range(150)))
    assert "t0049 → (50 more) → t0100" in refused.reason


def test_a_plan_does_not_take_tasks_out() -> None:
    """Until the caller removes what it launched, the next plan decides the same."""
    index = WaitingIndex([task("a"), task("b")])
    first, second = (plan(index, Limits(slots=1), (), {}.get, NOW_S) for _ in range(2))
    assert launched(first) == launched(second) == ["a"]
    index.remove("a")
    assert launched(plan(index, Limits(slots=1), (), {}.get, NOW_S)) == ["b"]


def test_an_edited_task_takes_its_new_place() -> None:
    """A file that is edited while it waits counts as it is now."""
    index = WaitingIndex([task("a"), task("b")])
    plan(index, Limits(slots=1), (), {}.get, NOW_S)
    index.insert(task("b", priority=20))
    assert launched(plan(index, Limits(slots=1), (), {}.get, NOW_S)) == ["b"]
    assert len(index) == 2
    assert "a" in index
    assert {waiting.task_id for waiting in index} == {"a", "b"}


def test_asking_for_a_task_that_does_not_wait_is_an_error() -> None:
    """There is no decision about a task that is not in line."""
    with pytest.raises(KeyError):
        decide().decision("nobody")


def test_touch_all_needs_no_hints() -> None:
    """After a doubt, everything is looked at again without being told what changed."""
    known: dict[str, str] = {}
    index = WaitingIndex([task("a", dependencies=("b",))])
    plan(index, Limits(slots=1), (), known.get, NOW_S)
    known["b"] = "succeeded"
    index.touch_all()
    assert launched(plan(index, Limits(slots=1), (), known.get, NOW_S)) == ["a"]
