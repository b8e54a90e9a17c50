"""What an attempt's end means, in one state and one sentence. Pure functions over its records."""

from __future__ import annotations

import hashlib
import signal
from typing import TYPE_CHECKING

from agent.host.backoff import delay_s, may_retry
from spool.records import AttemptRecord, State

if TYPE_CHECKING:
    from collections.abc import Sequence

    from spool.records import Exit, Intent
    from spool.task import AcceptedTask


def outcome(ended: Exit, intent: Intent | None) -> tuple[State, str]:
    """Return the state that an attempt ended in, and why."""
    limit = f" of {intent.timeout_s:g} s" if intent else ""
    match ended.ended_by:
        case "cancel":
            return State.CANCELLED, "cancelled"
        case "timeout":
            return State.TIMED_OUT, f"it took longer than its time limit{limit}"
        case "waiting_timeout":
            return State.TIMED_OUT, "nobody answered its question in time (waiting_timeout)"
        case "shutdown":
            return State.LOST, "the machine was shut down while it ran"
        case "lost":
            return State.LOST, ended.error or "its wrapper died while it ran; nobody saw its end"
    if ended.error:
        return State.FAILED, f"it could not be started: {ended.error}"
    if ended.signal is not None:
        return State.FAILED, f"killed by {_signal_name(ended.signal)}"
    if ended.exit_code == 0:
        return State.SUCCEEDED, "exit code 0"
    return State.FAILED, f"exit code {ended.exit_code}"


def _signal_name(number: int) -> str:
    hint = ", perhaps by the kernel for want of memory" if number == signal.SIGKILL else ""
    try:
        return f"{signal.Signals(number).name} ({number}){hint}"
    except ValueError:
        return f"signal {number}"


def record_of(number: int, ended: Exit, intent: Intent | None) -> AttemptRecord:
    """Return one attempt as results tell it."""
    state, reason = outcome(ended, intent)
    return AttemptRecord(
        number=number,
        state=state,
        reason=reason,
        exit_code=ended.exit_code,
        signal=ended.signal,
        started_at=ended.started_at,
        finished_at=ended.finished_at,
    )


def next_delay_s(task: AcceptedTask, records: Sequence[AttemptRecord], *, resumable: bool) -> float | None:
    """Return after how long the task is tried again; None when its last attempt was its end.

    An attempt that went on with a tool's own conversation did not run anything twice, so a lost one of
    a tool that can do so counts as harmless.
    """
    policy = task.retry_policy
    outcomes = [record.state.value for record in records]
    again = may_retry(
        outcomes,
        policy.on,
        policy.max_retries,
        idempotent=task.idempotent or (resumable and outcomes[-1:] == ["lost"]),
    )
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


def _jitter(task_id: str, number: int) -> float:
    """Return a fraction that is the same after every restart, and differs between tasks."""
    digest = hashlib.sha256(f"{task_id}/{number}".encode()).digest()
    return int.from_bytes(digest[:4]) / 2**32
