"""Which host a task of `fleet/any/` goes to: a pure decision over what the last collection showed.

A task goes where it is expected to start first, and a host is given only what it can soon run: so much that
its slots do not stand empty until the next round, and no more, because what was sent to a host cannot be
taken back from one that went dark. The rest stays with the collector, where a better host may turn up.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

WAITING_PER_SLOT: Final = 1
"""So much as its slots hold may wait on a host beside what runs there."""
UNKNOWN_DURATION_S: Final = 600.0
"""What a task without `estimated_duration` is taken to last."""
POINT_S: Final = 360.0
"""Ten points of priority are worth an hour of waiting, as on a host."""
NAMES_SHOWN: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A task that looks for a host.

    Args:
        labels: only words that some host of the fleet has choose a host; the others are the task's own.
        not_on: hosts that had it and gave it back: under the same id they would take it for a repetition.
    """

    task_id: str
    tool: str
    submitted_at_s: float
    priority: int = 10
    weight: int = 1
    duration_s: float | None = None
    labels: frozenset[str] = frozenset()
    host: str | None = None
    not_on: frozenset[str] = frozenset()

    @property
    def order_key(self) -> tuple[float, str]:
        """Its place in line, smallest first."""
        return self.submitted_at_s - self.priority * POINT_S, self.task_id

    @property
    def work_s(self) -> float:
        """How long it keeps one slot busy."""
        return self.weight * (UNKNOWN_DURATION_S if self.duration_s is None else self.duration_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Capacity:
    """One host as the last collection showed it.

    Args:
        name: in the fleet.
        aliases: other names by which a task may ask for it: its host name, its agents' names.
        tools: what it has; None when nobody knows.
        problem: why nothing is to be sent there now; None when it may.
        taken: slots that are taken by what it has, or will have.
        backlog_s: seconds of work for one slot that it has, or will have.
    """

    name: str
    slots: int
    aliases: frozenset[str] = frozenset()
    labels: frozenset[str] = frozenset()
    tools: frozenset[str] | None = None
    problem: str | None = None
    taken: int = 0
    backlog_s: float = 0.0


@dataclass(slots=True)
class _Filling:
    """A host while tasks are given to it."""

    host: Capacity
    taken: int = field(init=False)
    backlog_s: float = field(init=False)

    def __post_init__(self) -> None:
        self.taken, self.backlog_s = self.host.taken, self.host.backlog_s

    @property
    def has_room(self) -> bool:
        return self.taken < self.host.slots * (1 + WAITING_PER_SLOT)

    def start_s(self, task: Wanted) -> tuple[float, float, str]:
        """Return when it would start there, then how full the host is, to spread what starts at once."""
        free = self.taken + task.weight <= self.host.slots
        waits_s = 0.0 if free else self.backlog_s / self.host.slots
        return waits_s, self.taken / self.host.slots, self.host.name

    def give(self, task: Wanted) -> None:
        self.taken += task.weight
        self.backlog_s += task.work_s


@dataclass(frozen=True, slots=True)
class Routes:
    """The decision: where tasks go, and why the others stay."""

    to: Mapping[str, str]
    why: Mapping[str, str]


def route(tasks: Iterable[Wanted], hosts: Sequence[Capacity]) -> Routes:
    """Choose a host for each task, as far as there is room."""
    filling = [_Filling(host) for host in hosts]
    words = frozenset(label for host in hosts for label in host.labels)
    to: dict[str, str] = {}
    why: dict[str, str] = {}
    suited: dict[tuple[object, ...], list[_Filling]] = {}
    stuck: dict[tuple[object, ...], str] = {}
    for task in sorted(tasks, key=lambda task: task.order_key):
        kind = (task.tool, task.labels & words, task.host, task.not_on)
        if kind not in stuck:
            if kind not in suited:
                suited[kind] = [one for one in filling if _misfit(task, one.host, words) is None]
            best = min(
                (one for one in suited[kind] if _open(one)), key=lambda h: h.start_s(task), default=None
            )
            if best is not None:
                best.give(task)
                to[task.task_id] = best.host.name
                continue
            stuck[kind] = _why(task, hosts, suited[kind], words)
        why[task.task_id] = stuck[kind]
    return Routes(to, why)


def _open(one: _Filling) -> bool:
    return one.host.problem is None and one.has_room


def _misfit(task: Wanted, host: Capacity, words: frozenset[str]) -> str | None:
    """Say what about a host will never do for a task; None when it will do."""
    if task.host is not None and task.host not in {host.name} | host.aliases:
        return f"is not the host {task.host}"
    if host.name in task.not_on:
        return "had this task and gave it back"
    if missing := sorted(task.labels & words - host.labels):
        return f"lacks the label {missing[0]}"
    if host.tools is not None and task.tool not in host.tools:
        return f"lacks the tool {task.tool}"
    return None


def _why(task: Wanted, hosts: Sequence[Capacity], suited: list[_Filling], words: frozenset[str]) -> str:
    if not hosts:
        return "the fleet has no host: `aispool fleet add NAME` adds one"
    if not suited:
        problems = [f"{host.name} {_misfit(task, host, words)}" for host in hosts]
        return f"no host of the fleet will do: {_some(problems)}"
    problems = [f"{one.host.name} {one.host.problem or 'is busy'}" for one in suited]
    return f"waits for a host: {_some(problems)}"


def _some(problems: list[str]) -> str:
    more = len(problems) - NAMES_SHOWN
    return "; ".join(problems[:NAMES_SHOWN]) + (f"; and {more} more" if more > 0 else "")
