from __future__ import annotations

from typing import Any

import pytest

from agent.host.schedule import (
    Launch,
    Limits,
    Plan,
    Running,
    Settle,
    Wait,
    Waiting,
    WaitingIndex,
    plan,
)

NOW_S = 1_790_000_000.0
NOON_S = 1_790_078_400.0  # 2026-09-22T12:00:00Z


def task(task_id: str, **fields: Any) -> Waiting:
    return Waiting(**{"task_id": task_id, "tool": "shell", "submitted_at_s": NOW_S, **fields})


def decide(*tasks: Waiting, known: dict[str, str] | None = None) -> Plan:
    return plan(WaitingIndex(tasks), Limits(slots=2), (), (known or {}).get, NOW_S)


def launched(decided: Plan) -> list[str]:
    return [launch.task_id for launch in decided.launches]


def reason(decided: Plan, task_id: str) -> str:
    decision = decided.decision(task_id)
    assert not isinstance(decision, Launch)
    return decision.reason


def test_not_before_waits_and_wakes() -> None:
    """A task with `not_before` starts at that second, and the plan says when to look again."""
    index = WaitingIndex([task("a", not_before_s=NOON_S)])
    early = plan(index, Limits(slots=1), (), {}.get, NOON_S - 1)
    assert early.decision("a") == Wait("a", "queued", "queued: not before 2026-09-22T12:00:00Z")
    assert early.next_due_s == NOON_S
    due = plan(index, Limits(slots=1), (), {}.get, NOON_S)
    assert launched(due) == ["a"]
    assert due.next_due_s is None


@pytest.mark.parametrize(
    "how", [{}, {"held": True}, {"dependencies": ("nobody",)}, {"not_before_s": NOON_S + 9}]
)
def test_whatever_has_not_started_expires(how: dict[str, Any]) -> None:
    """`expires_at` ends a task that still waits, for whatever reason it waits."""
    index = WaitingIndex([task("a", expires_at_s=NOON_S, **how)])
    limits = Limits(slots=1, paused=True)
    assert plan(index, limits, (), {}.get, NOON_S - 1).next_due_s == NOON_S
    expired = plan(index, limits, (), {}.get, NOON_S)
    assert expired.ends == (Settle("a", "expired", "not started before 2026-09-22T12:00:00Z (expires_at)"),)


def test_a_next_attempt_waits_as_deferred_and_never_expires() -> None:
    """A retry waits for its time and for room only, in state deferred."""
    again = task("a", retrying=True, not_before_s=NOON_S, expires_at_s=NOON_S - 1, dependencies=("gone",))
    index = WaitingIndex([again])
    early = plan(index, Limits(slots=1), (), {}.get, NOON_S - 9)
    assert early.next_due_s == NOON_S
    assert early.decision("a") == Wait(
        "a", "deferred", "deferred: next attempt not before 2026-09-22T12:00:00Z"
    )
    full = plan(index, Limits(slots=1), (Running(task_id="x", tool="shell"),), {}.get, NOON_S)
    assert full.decision("a") == Wait("a", "deferred", "deferred: the only slot is busy")
    assert launched(plan(index, Limits(slots=1), (), {}.get, NOON_S)) == ["a"]


def test_a_clock_set_back_is_believed() -> None:
    """When the clock jumps back, a task that was due waits again, and an expired one lives again."""
    index = WaitingIndex([task("a", not_before_s=NOON_S), task("b", expires_at_s=NOON_S + 9, held=True)])
    plan(index, Limits(slots=1), (), {}.get, NOON_S + 9)
    back = plan(index, Limits(slots=1), (), {}.get, NOW_S)
    assert (back.ends, back.launches, back.next_due_s) == ((), (), NOON_S)
    assert reason(back, "a") == "queued: not before 2026-09-22T12:00:00Z"
    assert reason(back, "b").startswith("held: ")


def test_a_held_task_waits() -> None:
    """On hold means on hold, and says how to release it."""
    decided = decide(task("a", held=True))
    assert decided.decision("a") == Wait("a", "held", "held: move it from tasks/held to tasks to release it")


def test_a_dependency_is_waited_for_by_name() -> None:
    """A blocked task names what it waits for and how that stands."""
    decided = decide(task("a", dependencies=("build-1",)), known={"build-1": "running"})
    assert decided.decision("a") == Wait("a", "blocked", "blocked: waits for build-1 (running)")


def test_waiting_dependencies_say_how_they_wait() -> None:
    """The state of a dependency that has not started comes from the line itself."""
    tasks = [
        task("held", held=True),
        task("next", not_before_s=NOON_S),
        task("behind", dependencies=("next",)),
        task("a", dependencies=("held", "next", "behind", "run", "run2")),
    ]
    decided = decide(*tasks, known={"run": "waiting_input", "run2": "running"})
    assert (
        reason(decided, "a") == "blocked: waits for held (held), next (queued), behind (blocked) and 2 more"
    )


def test_an_unknown_dependency_is_said_to_be_unknown() -> None:
    """An id that nobody knows may be misspelt: it comes before what is merely slow."""
    decided = decide(task("a", dependencies=("run", "build-9")), known={"run": "running"})
    expected = "blocked: no task with id build-9 is known; it starts when one appears and succeeds"
    assert reason(decided, "a") == expected


def test_succeeded_dependencies_let_it_start() -> None:
    """When the last dependency succeeds and the index is touched, the task starts."""
    known = {"b1": "succeeded", "b2": "running"}
    index = WaitingIndex([task("a", dependencies=("b1", "b2"))])
    assert launched(plan(index, Limits(slots=1), (), known.get, NOW_S)) == []
    known["b2"] = "succeeded"
    index.touch("b2")
    assert launched(plan(index, Limits(slots=1), (), known.get, NOW_S)) == ["a"]


@pytest.mark.parametrize(
    "state", ["failed", "timed_out", "cancelled", "lost", "dependency_failed", "expired"]
)
def test_a_failed_dependency_ends_the_task(state: str) -> None:
    """Every end but success fails those that depend on it, whatever else they wait for."""
    index = WaitingIndex([task("a", dependencies=("slow", "b"))])
    known = {"slow": "running"}
    plan(index, Limits(slots=1), (), known.get, NOW_S)
    known["b"] = state
    index.touch("b")
    ended = plan(index, Limits(slots=1), (), known.get, NOW_S)
    assert ended.ends == (Settle("a", "dependency_failed", f"dependency b did not succeed: {state}"),)
    assert ended.decision("a") == ended.ends[0]


def test_a_failure_that_is_run_again_ends_nobody() -> None:
    """When the failed dependency runs again before its dependants were settled, they wait for it."""
    known = {"b": "failed"}
    index = WaitingIndex([task("a", dependencies=("b",))])
    assert plan(index, Limits(slots=1), (), known.get, NOW_S).ends
    known["b"] = "running"
    assert plan(index, Limits(slots=1), (), known.get, NOW_S).ends == ()


def test_failure_travels_along_a_chain() -> None:
    """Each pass settles the next of a chain, until nothing is left of it."""
    known = {"t0": "failed"}
    index = WaitingIndex(task(f"t{number}", dependencies=(f"t{number - 1}",)) for number in range(1, 5))
    order = []
    while len(index):
        (end,) = plan(index, Limits(slots=1), (), known.get, NOW_S).ends
        assert isinstance(end, Settle)
        known[end.task_id] = end.state
        index.remove(end.task_id)
        order.append(end.task_id)
    assert order == ["t1", "t2", "t3", "t4"]


def test_holding_outlives_a_failed_dependency() -> None:
    """A held task is not ended by its dependency: it may be run again meanwhile."""
    known = {"b": "failed"}
    index = WaitingIndex([task("a", held=True, dependencies=("b",))])
    assert plan(index, Limits(slots=1), (), known.get, NOW_S).ends == ()
    known["b"] = "succeeded"
    index.insert(task("a", dependencies=("b",)))
    assert launched(plan(index, Limits(slots=1), (), known.get, NOW_S)) == ["a"]


def test_a_dependency_that_runs_again_blocks_again() -> None:
    """Even when nobody touched the index, a task never starts on a success that was taken back."""
    known = {"b": "succeeded"}
    index = WaitingIndex([task("a", dependencies=("b",))])
    plan(index, Limits(slots=1, paused=True), (), known.get, NOW_S)
    known["b"] = "running"
    assert launched(plan(index, Limits(slots=1), (), known.get, NOW_S)) == []
    known["b"] = "succeeded"
    index.touch("b")
    assert launched(plan(index, Limits(slots=1), (), known.get, NOW_S)) == ["a"]
