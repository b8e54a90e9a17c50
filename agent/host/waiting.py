"""One waiting task: its place in line, and what its own fields say about starting it.

Place in line: ten points of priority are worth one hour of waiting, in a straight line. So the order of two
tasks never changes while they wait: it is `submitted_at_s - 360 x priority`, a fixed number, and nothing is
ever sorted again because time passed. `spool.task` refuses priorities beyond +-1000, so that nobody waits for
ever behind a number.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, NamedTuple

AGEING_S_PER_POINT = 360.0
FAILED_STATES = frozenset({"failed", "timed_out", "cancelled", "lost", "dependency_failed", "expired"})
CYCLE_IDS_SHOWN = 100
_DEPENDENCIES_SHOWN = 3

WITH_CLUSTER = "with the cluster"
"""What is known of a task that a cluster has: another task of it may be handed over behind it."""

StateOf = Callable[[str], str | None]
"""The state of a task by its id; None when no such task is known."""


class Lane(NamedTuple):
    """What the limits look at: of two ready tasks in one lane, either both have room or neither has.

    ``labels`` are only those that the limits tell apart just now.
    """

    tool: str
    group: str | None
    weight: int
    host: str | None
    labels: tuple[str, ...] = ()
    on_cluster: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A task that may start later. ``dependencies`` includes the ids that its ``inputs`` imply.

    ``on_cluster`` is set when a cluster runs it, whose room is not this agent's. ``retrying`` is set for the
    next attempt of a task that has started before: it waits for its time and for room only, being past its
    dependencies and its ``expires_at``. ``follows_on_cluster`` is set when the cluster itself may hold it
    back until others there are over.
    """

    task_id: str
    tool: str
    submitted_at_s: float
    group: str | None = None
    weight: int = 1
    priority: int = 10
    dependencies: tuple[str, ...] = ()
    not_before_s: float | None = None
    expires_at_s: float | None = None
    host: str | None = None
    labels: tuple[str, ...] = ()
    held: bool = False
    retrying: bool = False
    on_cluster: bool = False
    follows_on_cluster: bool = False

    @property
    def lane(self) -> Lane:
        """The tasks it shares every limit with, as long as no limit looks at labels."""
        return Lane(self.tool, self.group, max(1, self.weight), self.host, on_cluster=self.on_cluster)

    @property
    def order_key(self) -> float:
        """Its place in line, smallest first; equal places go by id."""
        return self.submitted_at_s - self.priority * AGEING_S_PER_POINT

    def is_met_by(self, state: str | None) -> bool:
        """Whether a dependency in this state keeps it no longer."""
        return state == "succeeded" or (self.follows_on_cluster and state == WITH_CLUSTER)

    def waited_s(self, now_s: float) -> float:
        """Seconds since it could first have started, so far as its own times say."""
        since_s = (
            self.submitted_at_s if self.not_before_s is None else max(self.submitted_at_s, self.not_before_s)
        )
        return now_s - since_s


@dataclass(frozen=True, slots=True)
class Wait:
    """It stays where it is; ``reason`` says why, for a person at three in the morning."""

    task_id: str
    state: Literal["queued", "blocked", "held", "deferred"]
    reason: str


@dataclass(frozen=True, slots=True)
class Settle:
    """It ends without ever having started."""

    task_id: str
    state: Literal["expired", "dependency_failed"]
    reason: str


@dataclass(frozen=True, slots=True)
class Refuse:
    """It waits for itself by way of ``cycle``, smallest id first, and can never start."""

    task_id: str
    cycle: tuple[str, ...]

    @property
    def reason(self) -> str:
        """The whole way round, shortened only beyond a hundred ids."""
        shown = self.cycle
        if len(shown) > CYCLE_IDS_SHOWN:
            half = CYCLE_IDS_SHOWN // 2
            shown = (*shown[:half], f"({len(shown) - 2 * half} more)", *shown[-half:])
        way = " → ".join((*shown, self.cycle[0]))
        return f"dependency cycle: {way}; remove one of these dependencies and drop the tasks again"


def waits(task: Waiting, words: str) -> Wait:
    """A ready task's wait for its turn, its time or for room."""
    state: Literal["deferred", "queued"] = "deferred" if task.retrying else "queued"
    return Wait(task.task_id, state, f"{state}: {words}")


def standing(task: Waiting, now_s: float, state_of: StateOf) -> Settle | Wait | None:
    """What the task's own fields say; None when only its turn and room are missing.

    A failed dependency ends no held task: holding is how a person gains the time to run the dependency again.
    """
    if task.retrying:
        return _too_early(task, now_s)
    if task.expires_at_s is not None and now_s >= task.expires_at_s:
        return Settle(task.task_id, "expired", f"not started before {utc(task.expires_at_s)} (expires_at)")
    if task.held:
        return Wait(task.task_id, "held", "held: move it from tasks/held to tasks to release it")
    missing: list[tuple[str, str | None]] = []
    for dependency in task.dependencies:
        state = state_of(dependency)
        if state in FAILED_STATES:
            reason = f"dependency {dependency} did not succeed: {state}"
            return Settle(task.task_id, "dependency_failed", reason)
        if not task.is_met_by(state):
            missing.append((dependency, state))
    if missing:
        return Wait(task.task_id, "blocked", f"blocked: {_missing_words(missing)}")
    return _too_early(task, now_s)


def utc(time_s: float) -> str:
    """A time as results have it: 2026-01-31T03:00:00Z."""
    return datetime.fromtimestamp(time_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _too_early(task: Waiting, now_s: float) -> Wait | None:
    if task.not_before_s is None or now_s >= task.not_before_s:
        return None
    return waits(task, f"{'next attempt ' if task.retrying else ''}not before {utc(task.not_before_s)}")


def _missing_words(missing: list[tuple[str, str | None]]) -> str:
    """Unknown ids first: they may be misspelt, and then only a person can help."""
    unknown = [dependency for dependency, state in missing if state is None]
    if unknown:
        return f"no task with id {_some(unknown)} is known; it starts when one appears and succeeds"
    return f"waits for {_some([f'{dependency} ({state})' for dependency, state in missing])}"


def _some(words: list[str]) -> str:
    more = len(words) - _DEPENDENCIES_SHOWN
    return ", ".join(words[:_DEPENDENCIES_SHOWN]) + (f" and {more} more" if more > 0 else "")
