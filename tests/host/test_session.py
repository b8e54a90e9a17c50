"""What the agent remembers of a session, apart from its files."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from agent.host.session import Session
from spool.records import AttemptRecord, State
from spool.task import AcceptedTask

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


def deferred(folder: Path, delay_s: float) -> Session:
    fields: dict[str, Any] = {"task_id": "t", "tool": "shell", "command": "true"}
    task = AcceptedTask(**fields, source_name="t.json", source_sha256="0" * 64, submitted_at=NOW)
    record = AttemptRecord(number=1, state=State.FAILED, reason="exit code 1", retry_after_s=delay_s)
    session = Session(task, folder, State.DEFERRED, "tried again", NOW, records=(record,))
    session.next_attempt_at = NOW + timedelta(seconds=delay_s)
    return session


@pytest.mark.parametrize("day", [-1, 1])
def test_a_clock_that_is_set_delays_no_retry(tmp_path: Path, day: int) -> None:
    """Set back by a day, a retry is due after its delay; set forward, it is due at once."""
    session = deferred(tmp_path, 30)
    now = NOW + timedelta(days=day)
    session.bound_wait(now)
    assert session.next_attempt_at is not None
    assert session.next_attempt_at - now <= timedelta(seconds=30)
    assert session.retrying().not_before_s == session.next_attempt_at.timestamp()


def test_a_clock_that_runs_on_changes_nothing(tmp_path: Path) -> None:
    """Half of the delay is over: the other half is left."""
    session = deferred(tmp_path, 30)
    session.bound_wait(NOW + timedelta(seconds=15))
    assert session.next_attempt_at == NOW + timedelta(seconds=30)
