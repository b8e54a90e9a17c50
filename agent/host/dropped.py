"""One accepted file that waits. There may be 100,000, so what something else tells is not kept beside it."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from agent.host.waiting import Waiting

if TYPE_CHECKING:
    from spool.task import Task


@dataclass(slots=True, eq=False)
class Dropped:
    """What is kept of a waiting file; what the task holds besides is read again when it is claimed.

    Args:
        place: its path in tasks/ or tasks/held/, as text.
        waiting: what the scheduler needs of it.
        digest: SHA-256 of the bytes that were validated.
        is_given: whether the id is ours, because the task brought none.
        seen: the hash of its file's signature when it was accepted; None when it is to be looked at anew.
        line: the hash of what we wrote into the .why beside it; None when nothing was written.
    """

    place: str
    waiting: Waiting
    digest: bytes
    is_given: bool
    seen: int | None = None
    line: int | None = None

    @property
    def task_id(self) -> str:
        """Return its id."""
        return self.waiting.task_id

    @property
    def path(self) -> Path:
        """Return where it lies."""
        return Path(self.place)

    @property
    def sha256(self) -> str:
        """Return the digest as results and tombstones have it."""
        return self.digest.hex()

    @property
    def arrived_at(self) -> datetime:
        """Return when its file came, to the microsecond."""
        return datetime.fromtimestamp(self.waiting.submitted_at_s, UTC)

    def is_as(self, other: Dropped) -> bool:
        """Tell whether it is the same task of the same bytes that came at the same time."""
        return (self.waiting, self.digest, self.is_given) == (other.waiting, other.digest, other.is_given)


def waiting_of(
    task: Task, task_id: str, arrived_at: datetime, *, held: bool, on_cluster: bool = False
) -> Waiting:
    """Return what the scheduler needs of a task.

    Args:
        task: as its file has it.
        task_id: its own, or the one that it was given.
        arrived_at: when its file came.
        held: whether it lies in tasks/held/.
        on_cluster: whether a cluster is to run it.
    """
    return Waiting(
        task_id=task_id,
        tool=sys.intern(task.tool),
        submitted_at_s=arrived_at.timestamp(),
        group=task.group,
        weight=task.weight,
        priority=task.priority_points,
        dependencies=task.needs,
        not_before_s=task.not_before.timestamp() if task.not_before else None,
        expires_at_s=task.expires_at.timestamp() if task.expires_at else None,
        host=task.host,
        held=held,
        labels=task.labels,
        on_cluster=on_cluster,
        follows_on_cluster=on_cluster and not task.inputs,
    )
