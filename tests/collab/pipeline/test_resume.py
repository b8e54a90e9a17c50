"""Killed anywhere, a run goes on where its files end, and pays for nothing that it has."""

from __future__ import annotations

import json
import os
import signal
import time
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

PARTS = {
    "1-plan": "plan",
    "2-analyst": "analyst",
    "2-executor": "executor",
    "2-innovator": "innovator",
    "3-validation-analyst": "validation-analyst",
    "3-validation-executor": "validation-executor",
    "3-validation-innovator": "validation-innovator",
    "4-integration": "integration",
}
"""Step → what of the scripted models it asks."""

PLACES = (
    "question.json",
    "steps/1-plan.json",
    "evidence/index.json",
    *(f"steps/2-{role}.json" for role in ("analyst", "executor", "innovator")),
    *(f"steps/3-validation-{role}.json" for role in ("analyst", "executor", "innovator")),
    "steps/4-consensus.json",
    "steps/4-integration.json",
    "report.json",
    "report.md",
)


def wait_for(path: Path, limit_s: float = 60.0) -> None:
    end_s = time.monotonic() + limit_s
    while not path.exists():
        assert time.monotonic() < end_s, f"{path} never came"
        time.sleep(0.001)


def on_disk(session: Path) -> set[str]:
    """The parts whose step is there."""
    return {part for step, part in PARTS.items() if (session / "collab" / "steps" / f"{step}.json").exists()}


@pytest.mark.parametrize("place", PLACES)
def test_killed_after_each_file_it_goes_on_and_pays_nothing_twice(desk: Any, brain: Any, place: str) -> None:
    """SIGKILL as soon as a file is there; what is on disk then is not asked for again."""
    session = desk.ask()
    process = desk.start(session)
    wait_for(session / "collab" / place)
    process.kill()
    process.communicate(timeout=30)
    kept = on_disk(session)
    before = brain.counts()
    assert all(before[part] == 1 for part in kept)
    steps = {path.name: path.read_bytes() for path in (session / "collab" / "steps").glob("[!.]*.json")}
    done = desk.run(session)
    assert done.returncode == 0, done.stderr
    after = brain.counts()
    assert set(after) == set(PARTS.values())
    assert all(after[part] == 1 for part in kept)
    assert all(after[part] <= 2 for part in after)
    for name, content in steps.items():
        assert (session / "collab" / "steps" / name).read_bytes() == content
    assert desk.report(session)["state"] == "ok"


@pytest.mark.parametrize("part", ["plan", "analyst", "validation-executor", "integration"])
def test_killed_in_a_call_only_that_call_is_paid_twice(desk: Any, brain: Any, part: str) -> None:
    """The call in flight is lost with the process; whatever was answered before it is not."""
    session = desk.ask()
    running: dict[str, Any] = {}
    usual = getattr(brain, "_" + part.partition("-")[0])

    def killing(call: Any) -> Any:
        if not running["killed"]:
            running["killed"] = True
            running["kept"] = on_disk(session)
            os.kill(running["process"].pid, signal.SIGKILL)
        return usual(call)

    brain.says[part] = killing
    running["killed"] = False
    process = running["process"] = desk.start(session)
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    done = desk.run(session)
    assert done.returncode == 0, done.stderr
    counts = brain.counts()
    assert counts[part] == 2
    assert all(counts[known] == 1 for known in running["kept"])


def test_many_kills_in_one_run(desk: Any, brain: Any) -> None:
    """Killed at each step in turn, the same run still comes to one report."""
    session = desk.ask()
    kept: set[str] = set()
    for step in PARTS:
        process = desk.start(session)
        wait_for(session / "collab" / "steps" / f"{step}.json")
        process.kill()
        process.communicate(timeout=30)
        counts = brain.counts()
        kept |= on_disk(session)
        paid = {part: counts[part] for part in kept}
    done = desk.run(session)
    assert done.returncode == 0, done.stderr
    assert {part: brain.counts()[part] for part in paid} == paid
    assert "Consensus: 81%" in done.stdout


def test_a_run_that_failed_asks_again_only_for_what_failed(desk: Any, brain: Any, fault: Any) -> None:
    """The plan is kept; the specialists, who were all out, are asked again, and what rests on them."""
    for role in ("analyst", "executor", "innovator"):
        brain.says[role] = fault(status=401, body=b'{"error": {"message": "bad key"}}')
    session = desk.ask()
    done = desk.run(session)
    assert done.returncode == 1
    assert "Collaborative task failed (auth): " in done.stderr
    assert desk.report(session)["state"] == "failed"
    for role in ("analyst", "executor", "innovator"):
        del brain.says[role]
    done = desk.run(session)
    assert done.returncode == 0, done.stderr
    assert brain.counts()["plan"] == 1
    assert desk.report(session)["state"] == "ok"
    aside = session / "collab" / "before" / "failed-001"
    assert sorted(path.name for path in aside.iterdir()) == [
        "2-analyst.json", "2-executor.json", "2-innovator.json",
    ]  # fmt: skip


def test_a_run_that_went_well_is_run_again_as_a_whole(desk: Any, brain: Any) -> None:
    """Whoever retries it wants it again; the first round stays beside it."""
    session = desk.ask()
    desk.run(session)
    first = (session / "collab" / "report.md").read_bytes()
    done = desk.run(session)
    assert done.returncode == 0, done.stderr
    assert set(brain.counts().values()) == {2}
    assert (session / "collab" / "before" / "001" / "report.md").read_bytes() == first


def test_a_run_that_failed_after_its_report_is_not_begun_anew(desk: Any, brain: Any) -> None:
    """The disk may fail when the report is there and commands were run: neither is wanted again."""
    session = desk.ask()
    desk.run(session)
    ended = session / "attempts" / "001" / "exit"
    ended.write_text(json.dumps(json.loads(ended.read_text()) | {"exit_code": 1}))
    done = desk.run(session)
    assert done.returncode == 0, done.stderr
    assert set(brain.counts().values()) == {1}
    assert not (session / "collab" / "before").exists()


def test_a_failed_step_stays_failed_when_only_the_process_was_killed(
    desk: Any, brain: Any, fault: Any
) -> None:
    """After a kill nothing is asked twice, not even what failed: the run was not over."""
    brain.says["analyst"] = fault(status=401, body=b'{"error": {"message": "bad key"}}')
    session = desk.ask()
    process = desk.start(session)
    wait_for(session / "collab" / "steps" / "3-validation-executor.json")
    process.kill()
    process.communicate(timeout=30)
    asked = brain.counts()["analyst"]
    desk.run(session)
    assert brain.counts()["analyst"] == asked
    assert desk.step(session, "2-analyst")["state"] == "failed"
