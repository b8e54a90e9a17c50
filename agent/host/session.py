"""One published task of ours, as the agent remembers it; all of it can be read again from its folder."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from agent import log
from agent.host.room import Running
from agent.host.schedule import Waiting
from agent.launchers import LaunchError
from spool.attempt import Attempt, attempts_of
from spool.records import Exit, Intent, Started, State, Status
from spool.results import RESULT, STATUS

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from agent.host.site import Site
    from agent.proctree import Ending
    from spool.records import AttemptRecord
    from spool.task import AcceptedTask

STATUS_S = 0.05
"""How long a start may stand in no status.json; writing it costs more than many a short command."""
IDLE_STATES = frozenset({State.WAITING_INPUT, State.DEFERRED})
"""States that leave their slot to others."""


@dataclass(slots=True)
class Session:
    """A task in sessions/ID.

    Args:
        last_number: of the last attempt that we know of, also of earlier runs.
        records: the attempts that are over.
        launched_s: when we last started its wrapper, on the monotonic clock.
        next_attempt_at: when a deferred task may go on.
        parked: it waits for the end of its provider's limit, and its tool with it.
        unwritten: status.json does not say yet where it stands.
        write_at_s: when it is to say so, on the monotonic clock; None when nothing is put off.
        gone_s: since when an attempt on a cluster is not seen to run, on the monotonic clock.
        ending: what still has to die before the attempt is settled as lost.
        told: whether its end was announced.
        on_cluster: whether a cluster runs it.
    """

    task: AcceptedTask
    folder: Path
    state: State
    reason: str
    since: datetime
    attempt: Attempt | None = None
    last_number: int = 0
    intent: Intent | None = None
    started: Started | None = None
    records: tuple[AttemptRecord, ...] = ()
    launched_s: float | None = None
    next_attempt_at: datetime | None = None
    parked: bool = False
    question: str | None = None
    attach: str | None = None
    unwritten: bool = False
    write_at_s: float | None = None
    gone_s: float | None = None
    ending: Ending | None = field(default=None, repr=False)
    told: bool = False
    on_cluster: bool = False

    @property
    def task_id(self) -> str:
        """Return the task's id."""
        return self.task.task_id

    @property
    def _is_with_cluster(self) -> bool:
        """Tell whether it takes of what the cluster may have, though it waits.

        A job that waits for a person keeps its place on its node. A prepared attempt that the cluster did not
        take yet is handed over as soon as it does: without end they would all be claimed meanwhile.
        """
        is_prepared = self.intent is not None and self.next_attempt_at is None
        return self.on_cluster and (self.state is not State.DEFERRED or is_prepared)

    @property
    def cancelled(self) -> bool:
        """Tell whether somebody asked to cancel it."""
        return (self.folder / "cancel").exists()

    def running(self) -> Running:
        """Return what the scheduler needs of it while it is in session."""
        return Running(
            task_id=self.task_id,
            tool=self.task.tool,
            group=self.task.group,
            weight=self.task.weight,
            occupies_slot=self.state not in IDLE_STATES or self._is_with_cluster,
            on_cluster=self.on_cluster,
        )

    def retrying(self) -> Waiting:
        """Return what the scheduler needs of it while it waits for its next attempt."""
        at = self.next_attempt_at or self.since
        return Waiting(
            task_id=self.task_id,
            tool=self.task.tool,
            submitted_at_s=self.task.submitted_at.timestamp(),
            group=self.task.group,
            weight=self.task.weight,
            priority=self.task.priority_points,
            not_before_s=at.timestamp(),
            retrying=True,
            labels=self.task.labels,
            on_cluster=self.on_cluster,
        )

    def change(self, site: Site, state: State, reason: str, *, soon: bool = False) -> bool:
        """Take on a state and write it down; False when nothing changed.

        Args:
            site: our agent.
            state: where it stands.
            reason: why, in a sentence.
            soon: write it within STATUS_S, and not at all when the task is over by then.

        Raises:
            OSError: it is not written; the next call writes it.
        """
        if (state, reason) == (self.state, self.reason) and not self.unwritten:
            return False
        if state != self.state:
            self.since = site.utc_now()
        self.state, self.reason, self.unwritten = state, reason, True
        if not soon:
            self.write_status(site)
        elif self.write_at_s is None:
            self.write_at_s = site.monotonic_s() + STATUS_S
        return True

    def bound_wait(self, now: datetime) -> None:
        """Wait no longer than was decided, also when somebody has set the clock back."""
        delay_s = self.records[-1].retry_after_s if self.records else None
        if delay_s is not None and self.next_attempt_at is not None:
            self.next_attempt_at = min(self.next_attempt_at, now + timedelta(seconds=delay_s))

    def write_status(self, site: Site) -> None:
        """Replace status.json by what we know.

        Raises:
            OSError: it is not written; the next change writes it.
        """
        self.write_at_s = None
        self.status(site).write(self.folder / STATUS, durable=False)
        self.unwritten = False

    def status(self, site: Site) -> Status:
        """Return what status.json is to say."""
        intent = self.intent
        attached = self.state in {State.RUNNING, State.WAITING_INPUT} and intent is not None
        if attached and self.attach is None and intent is not None and not self.on_cluster:
            self.attach = attach_command(site, intent)
        return Status(
            task_id=self.task_id,
            tool=self.task.tool,
            command=self.task.command,
            state=self.state,
            reason=self.reason,
            since=self.since,
            attempt=self.attempt.number if self.attempt else 0,
            agent=site.name,
            host=site.host,
            session=intent.session if intent else None,
            attach=self.attach if attached else None,
            submitted_at=self.task.submitted_at,
            started_at=self.started.started_at if self.started else None,
            timeout_s=intent.timeout_s if intent else None,
            estimated_duration_s=self.task.estimated_duration,
            next_attempt_at=self.next_attempt_at if self.state is State.DEFERRED else None,
            question=self.question,
            source_name=self.task.source_name,
            log=intent.log if intent else None,
            attempts=self.records,
        )

    def look_at_attempts(self) -> None:
        """Find the latest attempt again, and what it intended."""
        numbers = [attempt.number for attempt in attempts_of(self.folder)]
        self.last_number = numbers[-1] if numbers else 0
        attempts = attempts_of_this_run(self.folder)
        self.attempt = attempts[-1] if attempts else None
        self.intent = Intent.read(self.attempt.intent) if self.attempt else None
        self.started = Started.read(self.attempt.started) if self.attempt else None


def attach_command(site: Site, intent: Intent) -> str | None:
    """Return what attaches to an attempt's session, where it was started; None when nobody can tell."""
    try:
        return shlex.join(site.launcher_named(intent.launcher).attach_command(intent.task_id))
    except LaunchError as error:
        log.warning("no attach command", task_id=intent.task_id, what=str(error))
        return None


def attempts_of_this_run(folder: Path) -> list[Attempt]:
    """Return the attempts since a person last asked to run the task again."""
    attempts = attempts_of(folder)
    before = [index for index, attempt in enumerate(attempts) if (attempt.folder / RESULT).exists()]
    return attempts[before[-1] + 1 :] if before else attempts


def read_exit(attempt: Attempt) -> Exit | None:
    """Return how an attempt ended; None while nobody has recorded it."""
    return Exit.read(attempt.exit)
