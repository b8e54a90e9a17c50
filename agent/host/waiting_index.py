"""Every waiting task of one agent, so arranged that a pass looks at no more than it must.

Ready tasks stand in lanes: in one lane tool, group, weight and host are the same, and so are the labels
that a limit names, so when the first has no room the others have none either, and the lane is left at once.
The rest are reached by what they wait for:
a time (two heaps) or a task (the dependants of an id). A task is looked at when it is put in, when its time
comes and when a task it depends on has changed, and never merely because a pass is made.

Which task stands where follows from the tasks, the known states and the clock alone; what happened before
is only why there is little to do. The agent calls `touch` when a result appears or goes, and `touch_all`
after any doubt.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.graph import cycles
from agent.host.keyed_heap import KeyedHeap
from agent.host.waiting import FAILED_STATES, Lane, Refuse, Settle, StateOf, Wait, Waiting, standing

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class WaitingIndex:
    """The waiting tasks by id, by place in line, by time and by dependency."""

    def __init__(self, tasks: Iterable[Waiting] = ()) -> None:
        self._tasks: dict[str, Waiting] = {}
        self._lanes: dict[Lane, KeyedHeap] = {}
        self._due = KeyedHeap()
        self._deadlines = KeyedHeap()
        self._dependants: dict[str, set[str]] = {}
        self._cycles: dict[str, tuple[str, ...]] = {}
        self._over: dict[str, Settle | Refuse] = {}
        self._new: set[str] = set()
        self._touched: set[str] = set()
        self._labels: frozenset[str] = frozenset()
        self._reviewed_s = float("-inf")
        for task in tasks:
            self.insert(task)

    def __len__(self) -> int:
        return len(self._tasks)

    def __iter__(self) -> Iterator[Waiting]:
        return iter(self._tasks.values())

    def __contains__(self, task_id: str) -> bool:
        return task_id in self._tasks

    def get(self, task_id: str) -> Waiting | None:
        """The waiting task of that id."""
        return self._tasks.get(task_id)

    def insert(self, task: Waiting) -> None:
        """Put a task in, in place of the one with its id; nothing happens when it is there as it is."""
        if self._tasks.get(task.task_id) == task:
            return
        self.remove(task.task_id)
        self._tasks[task.task_id] = task
        for dependency in _edges(task):
            self._dependants.setdefault(dependency, set()).add(task.task_id)
        self._new.add(task.task_id)

    def remove(self, task_id: str) -> None:
        """Take a task out, if it is there: it was launched, ended, refused, or its file is gone."""
        task = self._tasks.pop(task_id, None)
        if task is None:
            return
        self._leave_lane(task)
        for heap in (self._due, self._deadlines):
            heap.discard(task_id)
        for dependency in _edges(task):
            if dependants := self._dependants.get(dependency):
                dependants.discard(task_id)
                if not dependants:
                    del self._dependants[dependency]
        self._new.discard(task_id)
        self._over.pop(task_id, None)
        self._touched.add(task_id)
        if task_id in self._cycles:  # the others may be free of it now
            self._new.update(other for other in self._cycles if other in self._tasks)
            self._cycles.clear()

    def touch(self, task_id: str) -> None:
        """The state of ``task_id`` changed: look again at those that depend on it."""
        self._touched.add(task_id)

    def touch_all(self) -> None:
        """Look again at everything, as after a scan that followed a doubt."""
        self._new.update(self._tasks)

    def state_of(self, known: StateOf, task_id: str) -> str | None:
        """The state of any task: what ``known`` says, else how it waits here."""
        state = known(task_id)
        task = None if state else self._tasks.get(task_id)
        if task is None:
            return state
        if task.retrying:
            return "deferred"
        if task.held:
            return "held"
        return "blocked" if _is_blocked(task, known) else "queued"

    def standing(self, task: Waiting, now_s: float, known: StateOf) -> Refuse | Settle | Wait | None:
        """What keeps a task from starting, apart from its turn and room; None when nothing does."""
        if cycle := self._cycles.get(task.task_id):
            return Refuse(task.task_id, cycle)
        return standing(task, now_s, lambda task_id: self.state_of(known, task_id))

    def review(self, now_s: float, known: StateOf) -> None:
        """Place every task that is new, whose time has come, or whose dependencies changed."""
        if now_s < self._reviewed_s:  # the clock was set back: what was due may not be
            self.touch_all()
        self._reviewed_s = now_s
        look = self._new | self._over.keys()
        look.update(self._due.pop_until(now_s))
        look.update(self._deadlines.pop_until(now_s))
        look.update(self._moved_by_dependencies(known))
        suspects = [task_id for task_id in self._new if task_id in self._dependants]
        found = cycles(suspects, self._waiting_dependencies)
        self._cycles.update(found)
        look.update(found)
        self._new.clear()
        self._touched.clear()
        for task_id in look:
            if task := self._tasks.get(task_id):
                self._place(task, now_s, known)

    def over(self) -> list[Settle | Refuse]:
        """Of the tasks that can never start, as of the last review: how each ends, in line order."""
        return sorted(self._over.values(), key=lambda end: (self._tasks[end.task_id].order_key, end.task_id))

    def tell_apart(self, labels: frozenset[str]) -> None:
        """Let lanes differ by these labels and no others; work is done only when they are new."""
        if labels == self._labels:
            return
        self._labels = labels
        ready = [entry for heap in self._lanes.values() for entry in heap.in_order()]
        self._lanes = {}
        for key, task_id in ready:
            self._lanes.setdefault(self.lane_of(self._tasks[task_id]), KeyedHeap()).add(task_id, key)

    def lane_of(self, task: Waiting) -> Lane:
        """The lane in which a task stands, or would stand if it were ready."""
        named = self._labels.intersection(task.labels) if self._labels else ()
        return task.lane._replace(labels=tuple(sorted(named))) if named else task.lane

    def lanes(self) -> dict[Lane, KeyedHeap]:
        """The ready tasks, as of the last review."""
        return self._lanes

    def next_due_s(self) -> float | None:
        """When time alone next changes a decision: the first `not_before` or `expires_at` to come."""
        times = (self._due.first_key(), self._deadlines.first_key())
        return min((time_s for time_s in times if time_s is not None), default=None)

    def _place(self, task: Waiting, now_s: float, known: StateOf) -> None:
        self._over.pop(task.task_id, None)
        decision = self.standing(task, now_s, known)
        if task.not_before_s is not None and task.not_before_s > now_s:
            self._due.add(task.task_id, task.not_before_s)
        if task.expires_at_s is not None and task.expires_at_s > now_s and not task.retrying:
            self._deadlines.add(task.task_id, task.expires_at_s)
        if decision is None:
            self._lanes.setdefault(self.lane_of(task), KeyedHeap()).add(task.task_id, task.order_key)
            return
        self._leave_lane(task)
        if not isinstance(decision, Wait):
            self._over[task.task_id] = decision

    def _leave_lane(self, task: Waiting) -> None:
        name = self.lane_of(task)
        if lane := self._lanes.get(name):
            lane.discard(task.task_id)
            if not lane:
                del self._lanes[name]

    def _moved_by_dependencies(self, known: StateOf) -> Iterator[str]:
        for touched in self._touched:
            failed = known(touched) in FAILED_STATES
            for task_id in self._dependants.get(touched, ()):
                if failed or not _is_blocked(self._tasks[task_id], known):
                    yield task_id

    def _waiting_dependencies(self, task_id: str) -> list[str]:
        return [dependency for dependency in _edges(self._tasks[task_id]) if dependency in self._tasks]


def _edges(task: Waiting) -> tuple[str, ...]:
    return () if task.retrying else task.dependencies


def _is_blocked(task: Waiting, known: StateOf) -> bool:
    """Last dependency first: they mostly succeed in order, so the first look mostly tells."""
    return any(not task.is_met_by(known(dependency)) for dependency in reversed(task.dependencies))
