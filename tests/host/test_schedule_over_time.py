"""Many passes: nobody starves, and the work of a pass does not grow with the number of waiting tasks."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.host.schedule import Limits, Running, Waiting, WaitingIndex, plan

if TYPE_CHECKING:
    from collections.abc import Callable

NOW_S = 1_790_000_000.0
HOUR_S = 3600.0
STEP_S = 30.0


def shell_task(task_id: str, **fields: Any) -> Waiting:
    return Waiting(**{"task_id": task_id, "tool": "shell", "submitted_at_s": NOW_S, **fields})


def seconds_until_started(
    watched: Waiting, limits: Limits, stream: list[tuple[int, int, float]], patience_s: float
) -> float:
    """Drop one more task of the stream at every step, over and over, and the watched one among them.

    The stream has (weight, priority, seconds it runs).
    """
    index = WaitingIndex()
    busy: dict[str, tuple[Running, float]] = {}
    step = -10
    while step < 0 or watched.task_id in index:
        now_s = NOW_S + step * STEP_S
        assert now_s <= NOW_S + patience_s, "starved"
        weight, priority, _ = stream[step % len(stream)]
        index.insert(shell_task(f"s{step}", weight=weight, priority=priority, submitted_at_s=now_s))
        if step == -1:
            index.insert(watched)
        for task_id in [task_id for task_id, (_, end_s) in busy.items() if end_s <= now_s]:
            del busy[task_id]
        decided = plan(index, limits, [running for running, _ in busy.values()], {}.get, now_s)
        for launch in decided.launches:
            task = index.get(launch.task_id)
            assert task is not None
            runs_s = 0.0 if task is watched else stream[int(task.task_id[1:]) % len(stream)][2]
            running = Running(task_id=task.task_id, tool=task.tool, group=task.group, weight=task.weight)
            busy[task.task_id] = (running, now_s + runs_s)
            index.remove(task.task_id)
        step += 1
    return (step - 1) * STEP_S


def test_a_low_task_overtakes_a_stream_of_high_ones() -> None:
    """Twenty points are worth two hours: high tasks that come later than that stand behind an old low one."""
    high = [(1, 20, 60.0)]  # twice what one slot can do, so four hours for two hours' worth of them
    waited_s = seconds_until_started(shell_task("low", priority=0), Limits(slots=1), high, 24 * HOUR_S)
    assert 4 * HOUR_S <= waited_s <= 4.2 * HOUR_S


@pytest.mark.parametrize("limits", [Limits(slots=3), Limits(slots=9, tool_slots={"shell": 3})])
def test_a_heavy_task_starts_among_many_light_ones(limits: Limits) -> None:
    """A task that needs every slot starts, though the light ones never leave them all free."""
    light = [(1, 10, 70.0), (1, 0, 80.0)]
    waited_s = seconds_until_started(shell_task("heavy", weight=3), limits, light, 24 * HOUR_S)
    assert 600 < waited_s <= 600 + 2 * STEP_S + 80


streams = st.lists(
    st.tuples(st.integers(1, 3), st.sampled_from([0, 10, 20, 30]), st.floats(1, 400)), min_size=1, max_size=5
)


@settings(max_examples=20, deadline=None)
@given(streams, st.integers(1, 3), st.sampled_from([0, 10, 30]))
def test_nothing_starves(stream: list[tuple[int, int, float]], weight: int, priority: int) -> None:
    """Under any steady stream, every task starts once those ahead of it could have run one after the other.

    Ahead are those of its first three hours (thirty points), however far the stream exceeds the slots.
    """
    ahead = 3 * HOUR_S / STEP_S + 10
    patience_s = 600 + (ahead + 2) * (400 + STEP_S)
    watched = shell_task("watched", weight=weight, priority=priority)
    assert seconds_until_started(watched, Limits(slots=3), stream, patience_s) <= patience_s


def calls_made(action: Callable[[], object]) -> int:
    """How many functions are called, of Python and of C: a measure of work that no busy machine changes."""
    count = 0

    def on_event(_frame: object, event: str, _arg: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(on_event)
    try:
        action()
    finally:
        sys.setprofile(before)
    return count


def one_pass(index: WaitingIndex, known: dict[str, str], **limits: Any) -> list[str]:
    decided = plan(index, Limits(**{"slots": 4, **limits}), (), known.get, NOW_S)
    for launch in decided.launches:
        index.remove(launch.task_id)
    return [launch.task_id for launch in decided.launches]


def backlog(size: int) -> WaitingIndex:
    """Tasks of three tools, four priorities; some in a group, some for later, some held."""
    return WaitingIndex(
        shell_task(
            f"t{number:06d}",
            tool=("shell", "qwen", "gemini")[number % 3],
            group="gpu" if number % 5 == 0 else None,
            priority=(0, 10, 20, 30)[number * 7919 % 4],
            submitted_at_s=NOW_S - number % 977,
            not_before_s=NOW_S + number + 1 if number % 11 == 0 else None,
            held=number % 13 == 0,
        )
        for number in range(size)
    )


def test_a_pass_costs_the_same_with_100_000_waiting() -> None:
    """Ten thousand or a hundred thousand: a pass that starts four looks at about as many."""
    costs = []
    for size in (1_000, 100_000):
        index = backlog(size)
        one_pass(index, {}, tool_slots={"gemini": 0})
        costs.append(calls_made(lambda index=index: one_pass(index, {}, tool_slots={"gemini": 0})))
    assert costs[1] <= 2 * costs[0]


def test_a_full_agent_looks_at_nothing() -> None:
    """While all slots are busy, a pass over a hundred thousand waiting tasks is a handful of calls."""
    index = backlog(100_000)
    one_pass(index, {}, slots=0)
    assert calls_made(lambda: one_pass(index, {}, slots=0)) < 200


def test_taking_in_tasks_costs_in_proportion() -> None:
    """Ten times the tasks cost ten times the work to take in."""
    costs = [calls_made(lambda size=size: one_pass(backlog(size), {})) for size in (2_000, 20_000)]
    assert costs[1] <= 12 * costs[0]


def run_all(tasks: list[Waiting]) -> int:
    """Drop all, then start, succeed and touch until nothing is left; returns how many were started."""
    index = WaitingIndex(tasks)
    known: dict[str, str] = {}
    while len(index):
        launched = one_pass(index, known)
        assert launched
        for task_id in launched:
            known[task_id] = "succeeded"
            index.touch(task_id)
    return len(known)


def chain(size: int) -> list[Waiting]:
    """Each depends on the one before, dropped last first."""
    return [
        shell_task(f"t{number}", dependencies=(f"t{number - 1}",) if number else ())
        for number in reversed(range(size))
    ]


def fan(size: int) -> list[Waiting]:
    """One depends on all others, and all others on the first."""
    parts = tuple(f"t{number:06d}" for number in range(1, size))
    return [
        shell_task("t000000"),
        *(shell_task(part, dependencies=("t000000",)) for part in parts),
        shell_task("whole", dependencies=parts),
    ]


@pytest.mark.parametrize("shape", [chain, fan])
def test_dependencies_cost_in_proportion(shape: Callable[[int], list[Waiting]]) -> None:
    """A long chain, and a task that waits for all others, cost in proportion to their length."""
    costs = [calls_made(lambda size=size: run_all(shape(size))) for size in (500, 5_000)]
    assert costs[1] <= 12 * costs[0]


def test_a_ring_of_100_000_is_refused_at_once() -> None:
    """A cycle may be as long as it likes: one pass names every member, at a cost in proportion."""
    costs = []
    for size in (10_000, 100_000):
        ring = [shell_task(f"t{number}", dependencies=(f"t{(number + 1) % size}",)) for number in range(size)]
        index = WaitingIndex(ring)
        costs.append(calls_made(lambda index=index: one_pass(index, {})))
        assert len(index.over()) == size
    assert costs[1] <= 12 * costs[0]


def test_tasks_taken_out_leave_nothing_behind() -> None:
    """After a hundred thousand tasks were removed, the heaps have been swept."""
    index = backlog(20_000)
    one_pass(index, {})
    for number in range(20_000):
        index.remove(f"t{number:06d}")
    heaps = [index._due, index._deadlines, *index.lanes().values()]
    assert len(index) == 0
    assert sum(len(heap._entries) for heap in heaps) < 1_000
    assert not index._dependants
