"""What starts now, what ends unstarted, and why the rest waits: decided from what is on disk, without I/O.

A pass takes the ready tasks in line order and starts each that has room. A tool or group without room,
paused, rate limited, over its budget, or of another host hides nobody behind it. Work per pass grows with
what is started and with the number of different lanes (tool, group, weight, host, labels that a limit
names), not with the number of waiting tasks.

Heavy tasks: smaller ones behind may pass a task that lacks room, but once it could have started
`HEAD_RESERVE_S` ago, what it lacks (the agent's slots, its tool's or its group's) is kept free of
everything behind it until it fits. As only finitely many tasks are ever ahead of it and every running task
ends, it starts.
"""

from __future__ import annotations

from dataclasses import dataclass
from heapq import heapify, heappop, heapreplace
from typing import TYPE_CHECKING

from agent.host.room import Closed, Limits, Room, Running
from agent.host.waiting import FAILED_STATES, Refuse, Settle, StateOf, Wait, Waiting, waits
from agent.host.waiting_index import WaitingIndex

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = [
    "FAILED_STATES",
    "HEAD_RESERVE_S",
    "Closed",
    "Launch",
    "Limits",
    "Plan",
    "Refuse",
    "Running",
    "Settle",
    "Wait",
    "Waiting",
    "WaitingIndex",
    "plan",
]

HEAD_RESERVE_S = 600.0


@dataclass(frozen=True, slots=True)
class Launch:
    """Start it now."""

    task_id: str


Decision = Launch | Wait | Settle | Refuse


@dataclass(frozen=True, slots=True)
class Plan:
    """The decisions of one pass. Those to wait are worded on request: there may be a hundred thousand.

    It looks into the index it was made from, so `decision` speaks until the index changes again.
    """

    ends: tuple[Settle | Refuse, ...]
    launches: tuple[Launch, ...]
    next_due_s: float | None
    index: WaitingIndex
    limits: Limits
    room: Room
    known: StateOf
    now_s: float

    def decision(self, task_id: str) -> Decision:
        """What this pass decided about one waiting task, with the reason.

        Raises:
            KeyError: no such task waits.
        """
        task = self.index.get(task_id)
        if task is None:
            raise KeyError(task_id)
        if Launch(task_id) in self.launches:
            return Launch(task_id)
        if self.limits.no_claims:
            return self._unclaimed(task, self.limits.no_claims)
        if decision := self.index.standing(task, self.now_s, self.known):
            return decision
        lane = self.index.lane_of(task)
        obstacle = self.limits.obstacle(lane) or self.room.shortage(lane, task_id)
        return waits(task, obstacle or "its turn comes in the next pass")

    def _unclaimed(self, task: Waiting, words: str) -> Wait:
        """While nothing is claimed, a task that would end waits too; another keeps its own reason."""
        decision = self.index.standing(task, self.now_s, self.known)
        return decision if isinstance(decision, Wait) else waits(task, words)


def plan(
    index: WaitingIndex, limits: Limits, running: Iterable[Running], known: StateOf, now_s: float
) -> Plan:
    """Decide what to do now; the same tasks, limits, states and time always give the same decisions.

    Args:
        index: every waiting task; only its own arrangement is brought up to date.
        limits: what this agent may start.
        running: what it has started and not settled, of all states.
        known: the state of a task that has a session or a result; None for any other id.
        now_s: unix time.
    """
    limits = limits.at(now_s)
    index.tell_apart(limits.labels)
    index.review(now_s, known)
    room = Room(limits, running)
    ends: tuple[Settle | Refuse, ...] = ()
    launches: tuple[Launch, ...] = ()
    if not limits.no_claims:
        ends = tuple(index.over())
        launches = tuple(_launches(index, limits, room, known, now_s))
    due_s = min((t for t in (index.next_due_s(), limits.next_opening_s) if t is not None), default=None)
    return Plan(ends, launches, due_s, index, limits, room, known, now_s)


def _launches(
    index: WaitingIndex, limits: Limits, room: Room, known: StateOf, now_s: float
) -> Iterator[Launch]:
    """Merge the lanes in line order, leaving a lane once its first task finds no room."""
    if limits.paused:
        return
    lines = {
        lane: heap.in_order()
        for lane, heap in index.lanes().items()
        if not (room.is_closed_to(lane) or limits.obstacle(lane))
    }
    heads = [(*next(line), lane) for lane, line in lines.items()]
    heapify(heads)
    while heads:
        _, task_id, lane = heads[0]
        task = index.get(task_id)
        if room.is_closed_to(lane) or room.is_kept_from(lane):
            heappop(heads)
            continue
        if task and not index.standing(task, now_s, known):  # a dependency may have been taken back
            if lacking := room.lacks(lane):
                if task.waited_s(now_s) > HEAD_RESERVE_S:
                    room.keep(lacking, task_id, lane.weight)
                heappop(heads)
                continue
            room.take(lane)
            yield Launch(task_id)
        following = next(lines[lane], None)
        if following is None:
            heappop(heads)
        else:
            heapreplace(heads, (*following, lane))
