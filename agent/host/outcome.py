"""What an attempt's end means, and whether another follows. Pure functions over records and reports."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from agent.backoff import delay_s, may_retry
from agent.tools.report import PARKED, Outcome
from spool.records import AttemptRecord, State

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agent.tools.report import Report
    from spool.records import Exit, Intent
    from spool.task import AcceptedTask

FIRST_PARKING_S = 60.0
LONGEST_PARKING_S = 3600.0
"""How long a limit is waited for when the tool does not say when it ends: a minute, then twice as long."""

_STATES = {
    Outcome.SUCCESS: State.SUCCEEDED,
    Outcome.CANCELLED: State.CANCELLED,
    Outcome.TIMED_OUT: State.TIMED_OUT,
    Outcome.LOST: State.LOST,
}


def ours(ended: Exit, intent: Intent | None, cluster: str | None = None) -> tuple[Outcome, str] | None:
    """Return what we know better than the tool: why we ended it, or that it never began.

    Args:
        ended: what the wrapper wrote.
        intent: what was to be run.
        cluster: what a cluster said that ended it.
    """
    limit = f" of {intent.timeout_s:g} s" if intent else ""
    match ended.ended_by:
        case "cancel":
            return Outcome.CANCELLED, "cancelled"
        case "timeout":
            return Outcome.TIMED_OUT, f"it took longer than its time limit{limit}"
        case "waiting_timeout":
            return Outcome.TIMED_OUT, "nobody answered its question in time (waiting_timeout)"
        case "shutdown":
            return Outcome.LOST, cluster or "the machine was shut down while it ran"
        case "lost":
            return Outcome.LOST, ended.error or "its wrapper died while it ran; nobody saw its end"
    if ended.error:
        return Outcome.NOT_STARTED, f"it could not be started: {ended.error}"
    return None


def record_of(
    number: int, ended: Exit, intent: Intent | None, report: Report, cluster: str | None = None
) -> AttemptRecord:
    """Return one attempt as results tell it; `cluster` as in `ours`."""
    outcome, reason = ours(ended, intent, cluster) or (report.outcome, report.reason)
    return AttemptRecord(
        number=number,
        state=_STATES.get(outcome, State.FAILED),
        reason=reason,
        outcome=outcome.value,
        exit_code=ended.exit_code,
        signal=ended.signal,
        started_at=ended.started_at,
        finished_at=ended.finished_at,
        retry_after_s=report.retry_after_s if outcome in PARKED else None,
        usage=report.usage,
        tool_session_id=report.tool_session_id or (intent.tool_session_id if intent else None),
        can_resume=report.can_resume,
    )


def conversation_after(record: AttemptRecord) -> str | None:
    """Return the conversation with which the next attempt goes on; None when it begins a new one.

    An attempt that failed begins anew; one that was interrupted, or met a limit, goes on where it was.
    """
    interrupted = record.state is State.LOST or is_parked(record)
    return record.tool_session_id if interrupted and record.can_resume else None


def is_parked(record: AttemptRecord) -> bool:
    """Tell whether an attempt ended at a limit of its provider."""
    return record.outcome in {outcome.value for outcome in PARKED}


def next_delay_s(task: AcceptedTask, records: Sequence[AttemptRecord], *, patience_s: float) -> float | None:
    """Return after how long the task is tried again; None when its last attempt was its end.

    An attempt that went on with a tool's own conversation did not run anything twice, so a lost one of
    a tool that can do so counts as harmless. An attempt that ended at a limit is no failure of the task's,
    and is not counted.

    Args:
        task: whose policy counts.
        records: the attempts of this run, in order.
        patience_s: how long limits are waited for in all, one after the other.
    """
    if is_parked(records[-1]):
        return _parking_s(records, patience_s)
    policy = task.retry_policy
    outcomes = [record.state.value for record in records if not is_parked(record)]
    harmless = task.idempotent or records[-1].can_resume
    again = may_retry(outcomes, policy.on, policy.max_retries, idempotent=harmless)
    if not again:
        return None
    if outcomes[-1] == "lost":
        return 0.0
    retries = sum(1 for state in outcomes if state != "lost")
    return delay_s(
        policy.backoff,
        policy.initial_delay_s,
        policy.max_delay_s,
        retries,
        _jitter(task.task_id, len(records)),
    )


def _parking_s(records: Sequence[AttemptRecord], patience_s: float) -> float | None:
    """Return how long to wait for a limit's end; None when the next end lies beyond our patience."""
    parked: list[AttemptRecord] = []
    for record in reversed(records):
        if not is_parked(record):
            break
        parked.insert(0, record)
    last, first = parked[-1], parked[0]
    doubled_s = min(FIRST_PARKING_S * 2.0 ** min(len(parked) - 1, 10), LONGEST_PARKING_S)
    wait_s = last.retry_after_s if last.retry_after_s is not None else doubled_s
    waited_s = 0.0
    if first.finished_at and last.finished_at:
        waited_s = max((last.finished_at - first.finished_at).total_seconds(), 0.0)
    return wait_s if waited_s + wait_s <= patience_s else None


def _jitter(task_id: str, number: int) -> float:
    """Return a fraction that is the same after every restart, and differs between tasks."""
    digest = hashlib.sha256(f"{task_id}/{number}".encode()).digest()
    return int.from_bytes(digest[:4]) / 2**32
