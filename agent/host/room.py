"""The room that running tasks leave: slots of this agent or of its cluster, per tool and per group.

A task of weight w takes w of each. Room only shrinks during a pass, so what did not fit once need not be
asked again.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple

from agent.host.waiting import Lane, utc

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A started task; one that waits for a person or for its next attempt occupies no slot."""

    task_id: str
    tool: str
    group: str | None = None
    weight: int = 1
    occupies_slot: bool = True
    on_cluster: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Closed:
    """Work that does not start before a time: of a tool, with a label, of both, or all when it names none.

    Args:
        until_s: unix time.
        words: why, and until when.
    """

    until_s: float
    words: str
    tool: str | None = None
    label: str | None = None

    def covers(self, lane: Lane) -> bool:
        """Whether a task of this lane is such work."""
        return self.tool in {None, lane.tool} and (self.label is None or self.label in lane.labels)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What this agent may start now.

    Args:
        cluster_slots: tasks, by weight, that may be with the cluster at once, waiting there or running.
        slotless_tools: tools whose tasks take none of this agent's slots: they wait for tasks that need one.
        parked_tools: tool → unix time before which no task of it starts, since its provider said so.
        closed: budgets that are used up.
        claim_blocked: a sentence when nothing may be claimed at all.
        cluster_blocked: a sentence when nothing may be claimed for the cluster.
    """

    slots: int
    cluster_slots: int = 1
    tool_slots: Mapping[str, int] = field(default_factory=dict)
    group_slots: Mapping[str, int] = field(default_factory=dict)
    slotless_tools: frozenset[str] = frozenset()
    paused: bool = False
    paused_tools: frozenset[str] = frozenset()
    paused_groups: frozenset[str] = frozenset()
    parked_tools: Mapping[str, float] = field(default_factory=dict)
    closed: tuple[Closed, ...] = ()
    hosts: frozenset[str] = frozenset()
    draining: bool = False
    claim_blocked: str | None = None
    cluster_blocked: str | None = None

    @property
    def no_claims(self) -> str | None:
        """Why no task may be taken from the folder, not even to end it; None when they may."""
        return "this agent is stopping; the next one starts it" if self.draining else self.claim_blocked

    @property
    def labels(self) -> frozenset[str]:
        """The labels that it matters whether a task has."""
        return frozenset(closed.label for closed in self.closed if closed.label is not None)

    @property
    def next_opening_s(self) -> float | None:
        """When time alone next lets work start that may not now."""
        return min((*self.parked_tools.values(), *(c.until_s for c in self.closed)), default=None)

    def at(self, now_s: float) -> Limits:
        """The same limits without those that are over by then."""
        parked = {tool: until_s for tool, until_s in self.parked_tools.items() if until_s > now_s}
        return replace(self, parked_tools=parked, closed=tuple(c for c in self.closed if c.until_s > now_s))

    def obstacle(self, lane: Lane) -> str | None:
        """Why no task of this lane starts here however much room there is."""
        if nothing := self.no_claims or (self.cluster_blocked if lane.on_cluster else None):
            return nothing
        if self.paused:
            return "everything is paused (configs/paused)"
        if lane.tool in self.paused_tools:
            return f"tool {lane.tool} is paused (configs/paused.tool.{lane.tool})"
        if lane.group in self.paused_groups:
            return f"group {lane.group} is paused (configs/paused.group.{lane.group})"
        if lane.tool in self.parked_tools:
            return f"tool {lane.tool} is rate limited until {utc(self.parked_tools[lane.tool])}"
        if covering := [closed for closed in self.closed if closed.covers(lane)]:
            return max(covering, key=lambda closed: (closed.until_s, closed.words)).words
        if lane.host is not None and lane.host not in self.hosts:
            return (
                f"it is for host {lane.host}; this agent is on {' or '.join(sorted(self.hosts)) or 'no host'}"
            )
        for share in self.shares_of(lane):
            slots = self.slots_of(share)
            if slots is not None and lane.weight > slots:
                needs = f"needs {_slots(lane.weight)} but {share.owner} has {slots}"
                return f"{needs}; raise slots or lower weight"
        return None

    def shares_of(self, lane: Lane) -> tuple[Share, ...]:
        """What a task of this lane takes from."""
        shares = [main] if (main := self.main_share_of(lane)) else []
        shares.append(Share("tool", lane.tool))
        return (*shares, Share("group", lane.group)) if lane.group is not None else tuple(shares)

    def main_share_of(self, lane: Lane) -> Share | None:
        """Whose slots a task of this lane takes, beside its tool's and its group's; None when nobody's."""
        if lane.tool in self.slotless_tools:
            return None
        return _CLUSTER if lane.on_cluster else _ALL

    def slots_of(self, share: Share) -> int | None:
        """The limit of one share; None when it has none."""
        if share == _CLUSTER:
            return self.cluster_slots
        if share.kind == "tool":
            return self.tool_slots.get(share.name)
        if share.kind == "group":
            return self.group_slots.get(share.name)
        return self.slots


class Share(NamedTuple):
    """One thing that has a limit: the agent, a tool or a group."""

    kind: str
    name: str = ""

    @property
    def owner(self) -> str:
        """Its name in a sentence."""
        if self == _CLUSTER:
            return "the cluster (max_jobs)"
        return f"{self.kind} {self.name}" if self.name else "this agent"


_ALL = Share("agent")
_CLUSTER = Share("cluster")


class Room:
    """The slots still free, and those kept for a heavy task that waited long."""

    def __init__(self, limits: Limits, running: Iterable[Running]) -> None:
        self._limits = limits
        self._used: dict[Share, int] = {}
        self._kept: dict[Share, tuple[str, int]] = {}
        for task in running:
            if task.occupies_slot:
                self.take(Lane(task.tool, task.group, max(1, task.weight), None, on_cluster=task.on_cluster))

    def is_closed_to(self, lane: Lane) -> bool:
        """Whether no task of this lane can start in this pass any more, as the agent has no slot for it."""
        share = self._limits.main_share_of(lane)
        return share is not None and (self._free(share) <= 0 or share in self._kept)

    def take(self, lane: Lane) -> None:
        """One more task of this lane runs."""
        for share in self._limits.shares_of(lane):
            self._used[share] = self._used.get(share, 0) + lane.weight

    def lacks(self, lane: Lane) -> list[Share]:
        """What has too few free slots for a task of this lane."""
        return [share for share in self._limits.shares_of(lane) if self._free(share) < lane.weight]

    def is_kept_from(self, lane: Lane) -> bool:
        """Whether an earlier task keeps something that this lane needs."""
        return any(share in self._kept for share in self._limits.shares_of(lane))

    def keep(self, shares: Iterable[Share], task_id: str, weight: int) -> None:
        """Let nothing behind ``task_id`` take of these for the rest of the pass."""
        for share in shares:
            self._kept.setdefault(share, (task_id, weight))

    def shortage(self, lane: Lane, task_id: str) -> str | None:
        """Why a ready task of this lane found no room; None when it would."""
        for share in self._limits.shares_of(lane):
            slots, free = self._limits.slots_of(share), self._free(share)
            of = "" if share == _ALL else f" of {share.owner}"
            first, weight = self._kept.get(share, (task_id, 0))
            if free <= 0:
                return f"the only slot{of} is busy" if slots == 1 else f"all {slots} slots{of} are busy"
            if first != task_id:
                return f"the free slots{of} are kept for {first}, which needs {weight} and has waited long"
            if free < lane.weight:
                return f"needs {_slots(lane.weight)}{of}, and {free:.0f} of {slots} is free"
        return None

    def _free(self, share: Share) -> float:
        slots = self._limits.slots_of(share)
        return float("inf") if slots is None else slots - self._used.get(share, 0)


def _slots(count: int) -> str:
    return f"{count} slot" if count == 1 else f"{count} slots"
