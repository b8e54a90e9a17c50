from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spool.records import (
    OVER,
    AttemptRecord,
    DamagedError,
    Exit,
    Intent,
    Output,
    Record,
    Result,
    Started,
    State,
    Status,
    Tombstone,
    Usage,
    iso,
)

if TYPE_CHECKING:
    from pathlib import Path

MOMENT = datetime(2026, 11, 20, 12, 0, 0, 123000, tzinfo=UTC)
ATTEMPT = AttemptRecord(number=1, state=State.FAILED, reason="exit 1", exit_code=1, started_at=MOMENT)
RECORDS: list[Record] = [
    Status(
        task_id="t", tool="shell", command="x", state=State.RUNNING, reason="r", since=MOMENT, attempt=2,
        agent="a", host="h", submitted_at=MOMENT, source_name="t.json", attempts=(ATTEMPT,), timeout_s=1.5,
    ),
    Result(
        task_id="t", tool="shell", command="x", state=State.SUCCEEDED, reason="äöü 😀", host="h",
        source_name="t.json", submitted_at=MOMENT, finished_at=MOMENT, attempts=(ATTEMPT, ATTEMPT),
        output=Output(text="a\nb", truncated=True), usage=Usage(input_tokens=10**20, cost_usd=0.1),
        artifacts=("files/x",),
    ),
    Tombstone(task_id="t", state=State.LOST, source_sha256="0", finished_at=MOMENT),
    Intent(
        task_id="t", attempt=1, agent="a", host="h", boot_id="b", task_sha256="0", argv=("/bin/sh", "x"),
        cwd="/", env={"A": "b"}, env_aliases={"A": ("B", "C")}, timeout_s=60, waiting_timeout_s=60,
        grace_s=10, max_output_bytes=1, max_log_bytes=1, log="/l", bell="/b", launcher="tmux",
        session="task-t", created_at=MOMENT,
    ),
    Started(
        wrapper_pid=1, wrapper_start_ticks=2, tool_pid=3, tool_start_ticks=4, boot_id="b", started_at=MOMENT
    ),
    Exit(signal=9, ended_by="timeout", started_at=MOMENT, finished_at=MOMENT, duration_s=0.5),
]  # fmt: skip


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: type(record).__name__)
def test_round_trip(record: Record, tmp_path: Path) -> None:
    """What was written is read again, in UTF-8, as one object a person can read."""
    record.write(tmp_path / "x.json")
    assert type(record).read(tmp_path / "x.json") == record
    assert (tmp_path / "x.json").read_bytes().startswith(b'{\n  "')
    assert (tmp_path / "x.json").read_bytes().endswith(b"}\n")


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: type(record).__name__)
def test_a_newer_writers_fields_are_skipped(record: Record, tmp_path: Path) -> None:
    """An older reader takes what it knows."""
    content = {**json.loads(record.encoded()), "invented_later": {"x": 1}}
    (tmp_path / "x").write_text(json.dumps(content))
    assert type(record).read(tmp_path / "x") == record


def test_an_older_writers_record_gets_defaults(tmp_path: Path) -> None:
    """A field that came later has its default."""
    content = json.loads(RECORDS[1].encoded())
    for name in ("warnings", "labels", "usage", "output", "tool_session_id"):
        del content[name]
    (tmp_path / "x").write_text(json.dumps(content))
    read = Result.read(tmp_path / "x")
    assert read is not None
    assert (read.warnings, read.usage, read.output.text) == ((), Usage(), "")


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b"\0\0", b"\xff", b'{"task_id": 3}', b"{}"])
@pytest.mark.parametrize("kind", [Status, Result, Started, Exit, Intent, Tombstone])
def test_damage_is_told_with_the_files_name(tmp_path: Path, kind: type[Record], content: bytes) -> None:
    """A torn or foreign file is one known error, whatever its bytes."""
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(DamagedError, match=str(tmp_path / "x")):
        kind.read(tmp_path / "x")


def test_what_is_no_file_is_damage_too(tmp_path: Path) -> None:
    """A folder, a link or a FIFO in a record's place stops nobody."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("/etc/passwd")
    os.mkfifo(tmp_path / "fifo")
    for name in ("folder", "link", "fifo"):
        with pytest.raises(DamagedError, match="not a regular file"):
            Status.read(tmp_path / name)
    assert Status.read(tmp_path / "none") is None
    (tmp_path / "file").touch()
    assert Status.read(tmp_path / "file" / "status.json") is None


@given(
    st.datetimes(
        timezones=st.sampled_from([UTC, timezone(timedelta(hours=-5)), timezone(timedelta(hours=9))])
    )
)
def test_times_are_utc_with_milliseconds(moment: datetime) -> None:
    """Whatever zone a time had, it is written in UTC and read as the same moment."""
    if not 2 <= moment.year <= 9998:
        return
    text = iso(moment)
    assert text.endswith("Z")
    assert abs(datetime.fromisoformat(text) - moment) < timedelta(milliseconds=1)


def test_states_that_are_over() -> None:
    """Seven ends, six ways of not being there yet."""
    assert len(OVER) == 7
    assert not any(state.is_over for state in (State.QUEUED, State.HELD, State.BLOCKED, State.RUNNING))
    assert not any(state.is_over for state in (State.WAITING_INPUT, State.DEFERRED))
