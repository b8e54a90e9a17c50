"""What the agent remembers of a session, apart from its files."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from agent.config import load
from agent.host.session import STATUS_S, Session
from agent.host.site import Site
from agent.tools.registry import Registry
from spool.records import AttemptRecord, State
from spool.task import AcceptedTask

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Clock

    from spool.workspace import Workspace

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


def test_a_start_is_written_soon_and_everything_else_at_once(workspace: Workspace, clock: Clock) -> None:
    """A state that nobody asked to put off takes the one before it along; a failed write is not forgotten."""
    site = Site(workspace, "A", load(workspace), Registry.load(workspace), clock.now, monotonic_s=clock)
    session = deferred(workspace.sessions / "t", 30)
    session.folder.mkdir()
    status = session.folder / "status.json"
    assert session.change(site, State.RUNNING, "it is starting", soon=True)
    assert session.write_at_s == clock() + STATUS_S
    assert not status.exists()
    clock.advance(STATUS_S / 2)
    assert session.change(site, State.RUNNING, "it runs", soon=True)
    assert session.write_at_s == clock() + STATUS_S / 2, "not put off again by every change"
    assert session.change(site, State.WAITING_INPUT, "it asks")
    assert json.loads(status.read_text())["state"] == "waiting_input"
    assert session.write_at_s is None
    assert not session.change(site, State.WAITING_INPUT, "it asks")

    session.change(site, State.RUNNING, "it runs", soon=True)
    status.unlink()
    session.folder.rmdir()
    with pytest.raises(FileNotFoundError):
        session.write_status(site)
    session.folder.mkdir()
    assert session.change(site, State.RUNNING, "it runs", soon=True)
    session.write_status(site)
    assert json.loads(status.read_text())["reason"] == "it runs"
    assert not session.change(site, State.RUNNING, "it runs", soon=True)
