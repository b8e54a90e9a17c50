from __future__ import annotations

import fcntl
from typing import TYPE_CHECKING

import pytest

from spool.attempt import Attempt, Phase, attempt_of, attempts_of

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def attempt(tmp_path: Path) -> Attempt:
    attempt = Attempt(tmp_path / "attempts" / "001")
    attempt.folder.mkdir(parents=True)
    return attempt


def test_phases_by_files_and_locks(attempt: Attempt) -> None:
    """Every state that a kill can leave has one name."""
    assert attempt.phase() is Phase.EMPTY
    attempt.intent.touch()
    assert attempt.phase() is Phase.INTENDED
    attempt.wrap_lock.touch()
    attempt.tree_lock.touch()
    assert attempt.phase() is Phase.INTENDED
    with attempt.wrap_lock.open() as wrap, attempt.tree_lock.open() as tree:
        fcntl.flock(wrap, fcntl.LOCK_EX)
        fcntl.flock(tree, fcntl.LOCK_EX)
        assert attempt.phase() is Phase.RUNNING
        attempt.started.touch()
        assert attempt.phase() is Phase.RUNNING
        fcntl.flock(wrap, fcntl.LOCK_UN)
        assert attempt.phase() is Phase.ORPHANED
        attempt.exit.touch()
        assert attempt.phase() is Phase.ENDED
        attempt.exit.unlink()
    assert attempt.phase() is Phase.VANISHED


def test_attempts_are_counted_beyond_three_digits(tmp_path: Path) -> None:
    """A task may be tried a thousand times: 1000 comes after 999, not before it."""
    for number in (1, 2, 999, 1000):
        (tmp_path / "attempts" / f"{number:03d}").mkdir(parents=True)
    assert [attempt.number for attempt in attempts_of(tmp_path)] == [1, 2, 999, 1000]
    assert [attempt_of(tmp_path, number).folder.name for number in (2, 1001)] == ["002", "1001"]


def test_other_names_are_no_attempts(tmp_path: Path) -> None:
    """What people or editors leave there does not count."""
    for name in ("001", "²", ".002", "old", "٣٣٣"):
        (tmp_path / "attempts" / name).mkdir(parents=True)
    assert [attempt.number for attempt in attempts_of(tmp_path)] == [1]
    assert attempts_of(tmp_path / "nowhere") == []
