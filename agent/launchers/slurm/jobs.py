"""What the controller says of our jobs: one call of squeue(1) for all of them.

A controller that is away says nothing, which is not the same as saying that there is no such job: then the
last thing it said holds, and whoever was submitted since is still expected.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from agent.launchers.base import LaunchError
from spool.names import is_ulid

FORMAT: Final = "%K|%A|%i|%T|%N|%r|%j"
"""Index in its array, own number, how scancel calls it, state, nodes, reason, name, which may hold a bar."""

IN_LINE: Final = frozenset(
    {"PENDING", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "RESV_DEL_HOLD", "SPECIAL_EXIT"}
)

OVER: Final = frozenset(
    {
        *("BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY"),
        *("PREEMPTED", "REVOKED", "TIMEOUT"),
    }
)
"""States from which a job does not come back (squeue(1), JOB STATE CODES); a requeued one is PENDING."""


@dataclass(frozen=True, slots=True)
class Job:
    """One job, or one element of an array.

    Args:
        batch: the ULID in its name.
        index: its place in the batch.
        number: its id, which may be given to another job later.
        address: how scancel(1) calls it; an element that waits has no number of its own.
        state: as squeue writes it.
        reason: why it waits, or why it ended; `None` where there is nothing to say.
        node: where it runs, empty while it waits.
    """

    batch: str
    index: int
    number: str
    address: str
    state: str
    reason: str
    node: str

    @property
    def is_over(self) -> bool:
        """Tell whether it has ended for good."""
        return self.state in OVER

    @property
    def is_in_line(self) -> bool:
        """Tell whether it waits for its start, or, put back, for its next."""
        return self.state in IN_LINE

    @property
    def is_stuck(self) -> bool:
        """Tell whether a node could not launch it: it is held until somebody releases or cancels it."""
        return self.is_in_line and self.reason.startswith(("launch failed", "JobHoldMaxRequeue"))

    @property
    def is_leaving(self) -> bool:
        """Tell whether it has ended, but for processes that Slurm still ends."""
        return self.state == "COMPLETING"


def parse(text: str, prefix: str) -> list[Job]:
    """Read what squeue printed with FORMAT; jobs whose name is not `prefix` and a ULID are not ours.

    Raises:
        LaunchError: it is not what this version of squeue was seen to print.
    """
    jobs = []
    for line in text.splitlines():
        fields = line.split("|", FORMAT.count("|"))
        if len(fields) != FORMAT.count("|") + 1:
            if prefix not in line:
                continue  # of a name with a line break, which is nobody of ours
            raise LaunchError(
                f"squeue printed a line that nobody understands: {line[:200]!r}; run it by hand"
            )
        index, number, address, state, node, reason, name = fields
        batch = name.removeprefix(prefix)
        if name.startswith(prefix) and is_ulid(batch):
            place = int(index) if index.isdecimal() else 0
            jobs.append(Job(batch, place, number, address, state, reason, node))
    return jobs
