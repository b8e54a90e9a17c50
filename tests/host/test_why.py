"""The lines beside waiting files: written a few at a time, and without a stir in the drop folder."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from agent.config import AgentConfig
from agent.host.intake import Intake
from agent.host.pace import REST, Pace
from agent.host.schedule import Limits, WaitingIndex, plan
from agent.host.site import Site
from agent.host.why import LEAST_AT_ONCE, Whys
from agent.tools.registry import Registry
from spool import files
from spool.files import make_folder
from spool.view import Why

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Clock

    from agent.host.schedule import Plan
    from spool.workspace import Workspace

NUMBER = 10


@pytest.fixture
def intake(workspace: Workspace, clock: Clock) -> Intake:
    make_folder(workspace.agent("A"))
    config = AgentConfig(allowed_paths=("/",), reserve_bytes=0)
    site = Site(workspace, "A", config, Registry.load(workspace), clock.now, monotonic_s=clock)
    found = Intake(site, WaitingIndex())
    for number in range(NUMBER):
        content = json.dumps({"task_id": f"t{number}", "tool": "shell", "command": "true"})
        (workspace.tasks / f"t{number}.json").write_text(content)
    found.scan()
    return found


def decided(intake: Intake) -> Plan:
    index = WaitingIndex(dropped.waiting for dropped in intake.waiting())
    return plan(index, Limits(slots=0), (), lambda _: None, intake.site.utc_now().timestamp())


def lines(intake: Intake) -> list[Path]:
    return sorted(intake.site.workspace.tasks.glob("*.why"))


def test_something_else_comes_first(intake: Intake) -> None:
    """A long line of files is explained a few at a time, and in the end wholly."""
    whys, plan_of_all, turns = Whys(), decided(intake), 1
    whys.begin(intake)
    while whys.write_some(intake, plan_of_all, lambda: True):
        assert len(lines(intake)) == turns * LEAST_AT_ONCE
        turns += 1
    assert len(lines(intake)) == NUMBER
    assert turns == NUMBER // LEAST_AT_ONCE + 1


def test_undisturbed_all_are_written(intake: Intake) -> None:
    whys = Whys()
    whys.begin(intake)
    assert not whys.write_some(intake, decided(intake), lambda: False)
    for path in lines(intake):
        why = Why.read(path)
        assert why is not None
        assert (why.task_id, why.state) == (path.stem, "queued")
    assert len(lines(intake)) == NUMBER


def test_the_drop_folder_sees_only_finished_lines(intake: Intake, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever watches it is told of one change a line, not of a temporary file's making and going, too."""
    made: list[str] = []
    real = os.open

    def noted(path: str, flags: int, *more: int) -> int:
        if flags & os.O_CREAT:
            made.append(os.fspath(path))
        return real(path, flags, *more)

    monkeypatch.setattr(files.os, "open", noted)
    whys = Whys()
    whys.begin(intake)
    whys.write_some(intake, decided(intake), lambda: False)
    assert len(made) == NUMBER
    assert all(path.startswith(f"{intake.site.folder}/") for path in made)
    assert [p.name for p in intake.site.folder.iterdir()] == []


def test_a_line_is_written_again_when_it_changed(intake: Intake) -> None:
    """What is the same is left alone."""
    whys = Whys()
    whys.begin(intake)
    whys.write_some(intake, decided(intake), lambda: False)
    before = {path: path.stat().st_ino for path in lines(intake)}
    whys.write("t3", intake, decided(intake))
    assert {path: path.stat().st_ino for path in lines(intake)} == before
    now_s = intake.site.utc_now().timestamp()
    index = WaitingIndex(dropped.waiting for dropped in intake.waiting())
    blocked = plan(index, Limits(slots=4, claim_blocked="the disk is full"), (), lambda _: None, now_s)
    whys.write("t3", intake, blocked)
    assert "the disk is full" in (intake.site.workspace.tasks / "t3.why").read_text()


def test_turns_with_nothing_to_write_do_not_put_the_next_round_off(intake: Intake, clock: Clock) -> None:
    """The agent turns at every event; a round that has rested begins, however many turns there were."""
    spent_s = iter(range(1000))
    whys = Whys(Pace(clock, lambda: float(next(spent_s))))  # each part of a round takes a second
    whys.begin(intake)
    whys.write_some(intake, decided(intake), lambda: False)
    before = {path: path.stat().st_ino for path in lines(intake)}
    for _ in range(30):
        clock.advance(REST / 20)
        whys.write_some(intake, decided(intake), lambda: False)
    now_s = intake.site.utc_now().timestamp()
    index = WaitingIndex(dropped.waiting for dropped in intake.waiting())
    blocked = plan(index, Limits(slots=4, claim_blocked="the disk is full"), (), lambda _: None, now_s)
    whys.begin(intake)
    whys.write_some(intake, blocked, lambda: False)
    assert all(path.stat().st_ino != before[path] for path in lines(intake))


def test_a_file_that_was_away_between_two_looks_gets_its_line_again(intake: Intake) -> None:
    """Whoever claimed it and gave it back has removed the line, which may hold the id that we gave."""
    whys = Whys()
    whys.begin(intake)
    whys.write_some(intake, decided(intake), lambda: False)
    path, line = (intake.site.workspace.tasks / f"t3{suffix}" for suffix in (".json", ".why"))
    path.rename(away := path.with_name(".t3"))
    away.rename(path)
    line.unlink()
    intake.examine(path)
    whys.write("t3", intake, decided(intake))
    assert line.exists()
