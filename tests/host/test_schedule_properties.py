"""The plan against a plain model that looks at everything, and what must hold over many passes."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from agent.host.schedule import (
    HEAD_RESERVE_S,
    Closed,
    Limits,
    Plan,
    Running,
    Settle,
    Waiting,
    WaitingIndex,
    plan,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from random import Random

NOW_S = 1_790_000_000.0
IDS = [f"t{number}" for number in range(8)]
STATES = ["succeeded", "failed", "cancelled", "running", "waiting_input", "deferred"]

times = st.sampled_from([NOW_S + offset_s for offset_s in (-4000, -601, -10, 0, 10, 700, 4000)])
waiting_tasks = st.builds(
    Waiting,
    task_id=st.sampled_from(IDS),
    tool=st.sampled_from(["shell", "qwen", "gemini"]),
    submitted_at_s=times,
    group=st.sampled_from([None, None, "gpu", "night"]),
    weight=st.integers(1, 4),
    priority=st.sampled_from([0, 10, 20, 30, -7, -1000, 1000]),
    dependencies=st.lists(st.sampled_from([*IDS, "done", "broken", "busy"]), max_size=2).map(tuple),
    not_before_s=st.none() | times,
    expires_at_s=st.none() | times,
    host=st.sampled_from([None, None, "alpha", "beta"]),
    labels=st.lists(st.sampled_from(["red", "blue", "idle"]), max_size=2).map(tuple),
    held=st.sampled_from([False, False, False, True]),
    retrying=st.sampled_from([False, False, False, True]),
)
free_tasks = st.builds(
    lambda task: replace(task, dependencies=(), not_before_s=None, expires_at_s=None, held=False),
    waiting_tasks,
)
running_tasks = st.builds(
    Running,
    task_id=st.sampled_from(["r1", "r2", "r3"]),
    tool=st.sampled_from(["shell", "qwen", "gemini"]),
    group=st.sampled_from([None, "gpu"]),
    weight=st.integers(1, 2),
    occupies_slot=st.booleans(),
)
slot_counts = st.integers(0, 5)
closed_work = st.builds(
    Closed,
    until_s=times,
    words=st.just("used up"),
    tool=st.sampled_from([None, "shell", "qwen"]),
    label=st.sampled_from(["red", "blue", None]),
)
all_limits = st.builds(
    Limits,
    slots=slot_counts,
    tool_slots=st.dictionaries(st.sampled_from(["shell", "qwen"]), slot_counts),
    group_slots=st.dictionaries(st.sampled_from(["gpu", "night"]), slot_counts),
    paused=st.sampled_from([False, False, False, True]),
    paused_tools=st.frozensets(st.sampled_from(["qwen"])),
    paused_groups=st.frozensets(st.sampled_from(["night"])),
    parked_tools=st.just({}) | st.dictionaries(st.sampled_from(["gemini", "qwen"]), times, max_size=1),
    closed=st.just(()) | st.lists(closed_work, max_size=2).map(tuple),
    hosts=st.just(frozenset({"alpha"})),
)
known_states = st.dictionaries(st.sampled_from([*IDS, "broken", "busy"]), st.sampled_from(STATES)).map(
    lambda drawn: {"done": "succeeded", "broken": "failed", "busy": "running", **drawn}
)


def by_id(tasks: Iterable[Waiting]) -> list[Waiting]:
    return list({task.task_id: task for task in tasks}.values())


def everything(decided: Plan, tasks: Iterable[Waiting]) -> dict[str, object]:
    return {task.task_id: decided.decision(task.task_id) for task in tasks}


def room_used(tasks: Iterable[Waiting | Running]) -> Counter[tuple[str, str | None]]:
    used: Counter[tuple[str, str | None]] = Counter()
    for task in tasks:
        used[("all", None)] += task.weight
        used[("tool", task.tool)] += task.weight
        used[("group", task.group)] += task.weight
    return used


def room_there(limits: Limits, key: tuple[str, str | None]) -> float:
    kind, name = key
    if kind == "all":
        return limits.slots
    slots = limits.tool_slots if kind == "tool" else limits.group_slots
    return slots.get(name or "", float("inf"))


def is_stopped(task: Waiting, limits: Limits) -> bool:
    elsewhere = task.host is not None and task.host not in limits.hosts
    paused = task.tool in limits.paused_tools or task.group in limits.paused_groups
    return limits.paused or paused or elsewhere


def is_closed(task: Waiting, limits: Limits, now_s: float) -> bool:
    return limits.parked_tools.get(task.tool, 0) > now_s or any(
        closed.until_s > now_s
        and (closed.tool is None or closed.tool == task.tool)
        and (closed.label is None or closed.label in task.labels)
        for closed in limits.closed
    )


def model_launches(
    tasks: Sequence[Waiting], limits: Limits, busy: Sequence[Running], known: dict[str, str], now_s: float
) -> list[str]:
    """The rules as they are told to people, one task after the other, for tasks without cycles."""
    used = room_used(task for task in busy if task.occupies_slot)
    kept: set[tuple[str, str | None]] = set()
    launches = []
    for task in sorted(tasks, key=lambda task: (task.order_key, task.task_id)):
        if task.not_before_s is not None and task.not_before_s > now_s:
            continue
        if not task.retrying:
            expired = task.expires_at_s is not None and task.expires_at_s <= now_s
            unmet = any(known.get(dependency) != "succeeded" for dependency in task.dependencies)
            if task.held or expired or unmet:
                continue
        if is_stopped(task, limits) or is_closed(task, limits, now_s):
            continue
        keys = list(room_used([task]))
        if any(task.weight > room_there(limits, key) for key in keys) or kept.intersection(keys):
            continue
        lacking = [key for key in keys if used[key] + task.weight > room_there(limits, key)]
        if not lacking:
            launches.append(task.task_id)
            used += room_used([task])
        elif now_s - max(task.submitted_at_s, task.not_before_s or 0) > HEAD_RESERVE_S:
            kept.update(lacking)
    return launches


@given(st.lists(waiting_tasks, max_size=12), all_limits, st.lists(running_tasks, max_size=3), known_states)
def test_the_plan_is_what_the_rules_say(
    drawn: list[Waiting], limits: Limits, busy: list[Running], known: dict[str, str]
) -> None:
    """Looking at little finds the same launches, in the same order, as looking at everything."""
    tasks = by_id(drawn)
    decided = plan(WaitingIndex(tasks), limits, busy, known.get, NOW_S)
    launches = [launch.task_id for launch in decided.launches]
    ended = {end.task_id for end in decided.ends if not isinstance(end, Settle)}
    acyclic = [task for task in tasks if task.task_id not in ended]
    assert launches == model_launches(acyclic, limits, busy, known, NOW_S)


@given(st.lists(free_tasks, max_size=12), all_limits, st.lists(running_tasks, max_size=3))
def test_no_limit_is_ever_exceeded(drawn: list[Waiting], limits: Limits, busy: list[Running]) -> None:
    """What starts fits beside what runs: in all, per tool and per group, weights counted."""
    index = WaitingIndex(by_id(drawn))
    decided = plan(index, limits, busy, {}.get, NOW_S)
    started = [task for launch in decided.launches if (task := index.get(launch.task_id))]
    before = room_used(task for task in busy if task.occupies_slot)
    added = room_used(started)
    assert all(before[key] + added[key] <= room_there(limits, key) for key in added)


@given(st.lists(free_tasks, max_size=12), all_limits)
def test_within_a_tool_and_group_the_line_is_kept(drawn: list[Waiting], limits: Limits) -> None:
    """Of tasks that differ only in their place in line, none starts before one ahead of it."""
    tasks = [replace(task, weight=1, host=None, labels=()) for task in by_id(drawn)]
    decided = plan(WaitingIndex(tasks), limits, (), {}.get, NOW_S)
    launches = {launch.task_id for launch in decided.launches}
    for task in tasks:
        for other in tasks:
            ahead = (task.order_key, task.task_id) < (other.order_key, other.task_id)
            if task.lane == other.lane and ahead and other.task_id in launches:
                assert task.task_id in launches


@given(
    st.lists(waiting_tasks, max_size=12),
    all_limits,
    st.lists(running_tasks, max_size=3),
    known_states,
    st.randoms(use_true_random=False),
)
def test_the_order_of_the_input_does_not_matter(
    drawn: list[Waiting], limits: Limits, busy: list[Running], known: dict[str, str], random: Random
) -> None:
    """However the folder is listed, and however often it is asked, the decisions and reasons are the same."""
    tasks = by_id(drawn)
    index = WaitingIndex(tasks)
    first = plan(index, limits, busy, known.get, NOW_S)
    expected = everything(first, tasks)
    again = plan(index, limits, busy, known.get, NOW_S)
    random.shuffle(tasks)
    random.shuffle(busy)
    other = plan(WaitingIndex(tasks), limits, busy, known.get, NOW_S)
    assert everything(again, tasks) == everything(other, tasks) == expected
    assert (again.ends, again.launches) == (other.ends, other.launches) == (first.ends, first.launches)
    assert again.next_due_s == other.next_due_s == first.next_due_s


@given(st.lists(waiting_tasks, max_size=12), all_limits, known_states)
def test_nothing_changes_before_the_next_due_time(
    drawn: list[Waiting], limits: Limits, known: dict[str, str]
) -> None:
    """Until `next_due_s` nothing starts or ends because time alone passed."""
    tasks = by_id(drawn)
    index = WaitingIndex(tasks)
    decided = plan(index, limits, (), known.get, NOW_S)
    if decided.next_due_s is not None:
        assert decided.next_due_s > NOW_S
    for launch in decided.launches:
        index.remove(launch.task_id)
        known[launch.task_id] = "running"
    busy = [
        Running(task_id=task.task_id, tool=task.tool, group=task.group, weight=task.weight)
        for task in tasks
        if task.task_id not in index
    ]
    for end in decided.ends:
        index.remove(end.task_id)
        if isinstance(end, Settle):
            known[end.task_id] = end.state
    settled = plan(index, limits, busy, known.get, NOW_S)
    later_s = NOW_S + 99_999 if settled.next_due_s is None else settled.next_due_s - 0.001
    later = plan(index, limits, busy, known.get, later_s)
    if not settled.ends:
        assert later.ends == ()
    assert set(later.launches) <= set(settled.launches)


class IndexHistory(RuleBasedStateMachine):
    """Whatever happened to an index, it decides as a new one made of the same tasks does."""

    def __init__(self) -> None:
        super().__init__()
        self.index = WaitingIndex()
        self.tasks: dict[str, Waiting] = {}
        self.known: dict[str, str] = {"done": "succeeded"}
        self.now_s = NOW_S
        self.closed: tuple[Closed, ...] = ()

    @rule(task=waiting_tasks)
    def insert(self, task: Waiting) -> None:
        self.tasks[task.task_id] = task
        self.index.insert(task)

    @rule(task_id=st.sampled_from(IDS))
    def remove(self, task_id: str) -> None:
        self.tasks.pop(task_id, None)
        self.index.remove(task_id)

    @rule(
        task_id=st.sampled_from([*IDS, "done", "broken", "busy"]), state=st.none() | st.sampled_from(STATES)
    )
    def change_state(self, task_id: str, state: str | None) -> None:
        self.known.pop(task_id, None)
        if state is not None:
            self.known[task_id] = state
        self.index.touch(task_id)

    @rule(offset_s=st.sampled_from([-700, 1, 15, 650, 5000]))
    def move_the_clock(self, offset_s: float) -> None:
        self.now_s += offset_s

    @rule(limits=all_limits)
    def act(self, limits: Limits) -> None:
        decided = plan(self.index, limits, (), self.known.get, self.now_s)
        for end in decided.ends:
            self.remove(end.task_id)
            if isinstance(end, Settle):
                self.known[end.task_id] = end.state
        for launch in decided.launches:
            self.remove(launch.task_id)
            self.known[launch.task_id] = "running"

    @rule(labels=st.frozensets(st.sampled_from(["red", "blue"])))
    def use_budgets_up(self, labels: frozenset[str]) -> None:
        self.closed = tuple(
            Closed(until_s=self.now_s + 900, words="used up", label=label) for label in sorted(labels)
        )

    @invariant()
    def decides_as_a_new_index(self) -> None:
        hosts = frozenset({"alpha"})
        limits = Limits(slots=3, tool_slots={"shell": 2}, hosts=hosts, closed=self.closed)
        old = plan(self.index, limits, (), self.known.get, self.now_s)
        new = plan(WaitingIndex(self.tasks.values()), limits, (), self.known.get, self.now_s)
        assert everything(old, self.tasks.values()) == everything(new, self.tasks.values())
        assert (old.ends, old.launches) == (new.ends, new.launches)
        assert old.next_due_s is None or old.next_due_s > self.now_s
        if new.next_due_s is not None:
            assert old.next_due_s is not None
            assert old.next_due_s <= new.next_due_s


IndexHistory.TestCase.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
TestIndexHistory = IndexHistory.TestCase
