"""A long drop folder: what came first is looked at first, in parts, and it is not listed all the time."""

from __future__ import annotations

import errno
import json
import os
from contextlib import suppress
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from agent.config import AgentConfig
from agent.host.intake import LEAST_LOOKS, Intake
from agent.host.pace import REST, Pace
from agent.host.schedule import WaitingIndex
from agent.host.site import Site
from agent.tools.registry import Registry
from spool.admit import look

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Clock

    from spool.workspace import Workspace

STEP_S = 0.01


class Slow:
    """A clock on which each look at it takes a while."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        self.now_s += STEP_S
        return self.now_s


class Fixed(Slow):
    """A clock that stands still by itself."""

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def slow() -> Slow:
    return Slow()


@pytest.fixture
def intake(workspace: Workspace, clock: Clock, slow: Slow) -> Intake:
    config = AgentConfig(allowed_paths=("/",), reserve_bytes=0)
    site = Site(workspace, "A", config, Registry.load(workspace), clock.now, monotonic_s=slow)
    return Intake(site, WaitingIndex())


def drop(workspace: Workspace, *ids: str) -> None:
    for task_id in ids:
        content = json.dumps({"task_id": task_id, "tool": "shell", "command": "true"})
        (workspace.tasks / f"{task_id}.json").write_text(content)


def known(intake: Intake) -> list[str]:
    return [dropped.task_id for dropped in intake.waiting()]


def look_at_all(intake: Intake) -> int:
    turns = 0
    while intake.has_more:
        intake.examine_due()
        turns += 1
    return turns


def test_a_backlog_is_read_in_parts_in_the_order_of_its_coming(workspace: Workspace, intake: Intake) -> None:
    ids = [f"t{(7 * number) % 200:03d}" for number in range(200)]
    drop(workspace, *ids)
    intake.scan()
    first = known(intake)
    assert 0 < len(first) < len(ids)
    assert intake.undecided
    came = sorted(ids, key=lambda task_id: (workspace.tasks / f"{task_id}.json").stat().st_ctime_ns)
    assert first == came[: len(first)]
    assert look_at_all(intake) > 1
    assert known(intake) == came
    assert not intake.undecided


def test_what_comes_meanwhile_is_not_behind_the_backlog(workspace: Workspace, intake: Intake) -> None:
    drop(workspace, *(f"t{number:03d}" for number in range(200)))
    intake.scan()
    drop(workspace, "urgent")
    intake.examine(workspace.tasks / "urgent.json")
    assert "urgent" in known(intake)
    assert intake.has_more
    look_at_all(intake)
    assert len(known(intake)) == 201


def test_a_look_at_a_backlog_is_broken_off_when_something_happens(workspace: Workspace, clock: Clock) -> None:
    """It goes on all the same, a little in each turn."""
    config = AgentConfig(allowed_paths=("/",), reserve_bytes=0)
    site = Site(workspace, "A", config, Registry.load(workspace), clock.now, monotonic_s=Fixed())
    intake = Intake(site, WaitingIndex(), is_wanted=lambda: True)
    drop(workspace, *(f"t{number:03d}" for number in range(9)))
    intake.scan()
    assert len(known(intake)) == LEAST_LOOKS
    assert look_at_all(intake) == -(-(9 - LEAST_LOOKS) // LEAST_LOOKS)
    assert len(known(intake)) == 9


def test_what_is_gone_or_changed_before_its_look(workspace: Workspace, intake: Intake) -> None:
    drop(workspace, *(f"t{number:03d}" for number in range(200)))
    intake.scan()
    left = next(name for name in (f"t{n:03d}" for n in range(199, 0, -1)) if name not in intake)
    (workspace.tasks / f"{left}.json").unlink()
    look_at_all(intake)
    assert left not in intake
    assert len(known(intake)) == 199


@pytest.mark.parametrize("what", ["removed", "edited", "held"])
def test_a_scan_sees_what_no_event_told(
    workspace: Workspace, intake: Intake, slow: Slow, what: str, tmp_path: Path
) -> None:
    drop(workspace, "a", "b")
    intake.scan()
    look_at_all(intake)
    (workspace.tasks / "a.why").write_text("a queued: x\n")
    match what:
        case "removed":
            (workspace.tasks / "a.json").unlink()
        case "edited":
            other = tmp_path / "other"
            other.write_text(
                json.dumps({"task_id": "a", "tool": "shell", "command": "true", "priority": "high"})
            )
            other.rename(workspace.tasks / "a.json")
        case "held":
            (workspace.tasks / "a.json").rename(workspace.held / "a.json")
    slow.now_s += 3600
    intake._scan_pace = Pace()
    intake.scan()
    look_at_all(intake)
    assert sorted(known(intake)) == (["b"] if what == "removed" else ["a", "b"])
    if what != "removed":
        dropped = intake.get("a")
        assert dropped is not None
        assert dropped.waiting.held == (what == "held")
        assert dropped.waiting.priority > 10 or what == "held"
    assert os.path.lexists(workspace.tasks / "a.why") == (what == "edited")


def test_a_reload_that_fails_half_way_is_made_up_for(
    workspace: Workspace, intake: Intake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Too many open files at one look: all the others are judged by the next scan at the latest."""
    drop(workspace, "a", "b", "c")
    intake.scan()
    looked: list[str] = []

    def failing_once(path: Path, *more: object) -> object:
        looked.append(path.stem)
        if len(looked) == 1:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return look(path, *more)  # type: ignore[arg-type]

    monkeypatch.setattr("agent.host.intake.look", failing_once)
    with pytest.raises(OSError, match="Too many"):
        intake.judge_again()
    intake._scan_pace = Pace()
    intake.scan()
    look_at_all(intake)
    assert sorted(set(looked)) == ["a", "b", "c"]
    assert sorted(known(intake)) == ["a", "b", "c"]


def test_an_unfinished_file_is_refused_though_its_line_cannot_be_written(
    workspace: Workspace, intake: Intake, slow: Slow
) -> None:
    (workspace.tasks / "a.json").write_text('{"tool"')
    (workspace.tasks / "a.why").mkdir()
    intake.scan()
    for _ in range(20):
        slow.now_s += intake.site.rules().unparsable_after_s / 10
        with suppress(IsADirectoryError):
            intake.examine_due()
    assert (workspace.rejected / "a.json").exists()


def test_ids_that_were_given_are_kept_once_a_task(
    workspace: Workspace, intake: Intake, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A file that is replaced again and again keeps its id, and only its last inode is remembered."""
    monkeypatch.setattr("agent.host.intake.GIVEN_IDS_KEPT", 5)
    path = workspace.tasks / "a.json"
    found = set()
    for number in range(12):
        other = tmp_path / f"{number}"
        other.write_text(json.dumps({"tool": "shell", "command": f"true {number}"}))
        (tmp_path / f"{number}.kept").hardlink_to(other)  # its inode is not used again
        other.rename(path)
        intake.examine(path)
        found.update(known(intake))
    assert len(found) == 1
    assert len(intake._given) <= 6
    assert path.stat().st_ino in intake._given


def test_a_folder_that_costs_much_to_list_is_listed_less_often(
    workspace: Workspace, intake: Intake, monkeypatch: pytest.MonkeyPatch
) -> None:
    intake._scan_pace = Pace(now_s=(wall := Slow()), spent_s=(spent := Slow()))
    listed: list[float] = []
    scandir = os.scandir

    def list_at_a_cost(folder: Path) -> object:
        if folder == workspace.tasks:
            listed.append(wall())
            spent.now_s += 1.0
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", list_at_a_cost)
    while len(listed) < 3:
        intake.scan()
    assert min(after - before for before, after in pairwise(listed)) >= REST


def test_a_pace_rests_in_proportion() -> None:
    wall, spent = Fixed(), Fixed()
    pace = Pace(now_s=wall, spent_s=spent)
    assert pace.may_begin()
    for _ in range(2):
        with pace.counted():
            wall.now_s += 3
            spent.now_s += 1
    wall.now_s += 2 * REST - 0.1
    assert not pace.may_begin()
    wall.now_s += 0.1
    assert pace.may_begin()


def test_waiting_for_a_slow_disk_is_no_cost() -> None:
    wall, spent = Fixed(), Fixed()
    pace = Pace(now_s=wall, spent_s=spent)
    with pace.counted():
        wall.now_s += 3
    assert not pace.may_begin()
    wall.now_s += 3
    assert pace.may_begin()
