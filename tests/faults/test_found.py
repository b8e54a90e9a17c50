"""What the harness found, each under a name of its own."""

from __future__ import annotations

import json
import os
import signal
from typing import TYPE_CHECKING, Any

import pytest

from agent.wrapper.child import launch
from spool.known import place_of
from spool.refusal import Refusal
from spool.reject import reject

if TYPE_CHECKING:
    from pathlib import Path

    from faults.conftest import Play

    from spool.workspace import Workspace


FAILED_LATE = ("unlink@:move_finished", "fsync@:names_together")


STRANDED_S = 30
"""What is stranded waits until the harness gives up, after 40 s; this is no measure of speed."""


def clean(play: Play, scenario: str, *faults: list[Any], **more: float) -> dict[str, Any]:
    """Play a case; its faults were injected, nothing was violated."""
    answer = play({"group": "kill", "scenario": scenario, "faults": list(faults), **more})
    assert answer["injected"], "the fault's place was not reached: mend the test"
    assert answer["violations"] == [], answer["tail"]
    return answer


@pytest.mark.parametrize("fault", ["kill-before", "kill-after"])
@pytest.mark.parametrize("site", ["open@:accepted", "rename@:accepted", "rename@:claim"])
def test_ended_task_is_not_started_by_recovery(play: Play, site: str, fault: str) -> None:
    """An agent killed while it ends an expired task, or one whose dependency failed, never runs it."""
    for number in (1, 2):
        clean(play, "expired", ["agent", number, 1, fault, site])


def test_failed_write_of_a_retry_does_not_strand_it(play: Play) -> None:
    """A full disk at the moment a retry is settled costs a scan, not the attempt."""
    answer = clean(play, "retried", ["agent", 1, 1, "ENOSPC", "write@:settle"])
    assert answer["seconds"] < STRANDED_S


def test_failed_preparation_of_a_retry_does_not_strand_it(play: Play) -> None:
    """A full disk at the moment the second attempt is prepared costs a scan, not the attempt."""
    answer = clean(play, "retried", ["agent", 2, 1, "ENOSPC", "write@:prepare"])
    assert answer["seconds"] < STRANDED_S


def test_attempt_that_ran_though_its_launch_failed_is_judged(play: Play) -> None:
    """A launcher that reports a failure after it started the session costs no attempt beyond the policy."""
    answer = play({"group": "kill", "scenario": "launch-lies", "faults": []})
    assert answer["violations"] == [], answer["tail"]
    assert answer["seconds"] < STRANDED_S


@pytest.mark.parametrize("times", [1, -1])
@pytest.mark.parametrize("site", FAILED_LATE)
def test_disk_that_fails_after_the_rename_makes_no_ghost(play: Play, site: str, times: int) -> None:
    """A task that reached results/ is over, and nothing of it comes back in sessions/."""
    patience = {"patience_s": 1.5} if times == -1 else {}
    answer = clean(play, "idempotent", ["agent", 1, times, "EIO", site], **patience)
    assert answer["seconds"] < STRANDED_S


def test_wrapper_ends_though_the_folder_cannot_be_made_durable(play: Play) -> None:
    """A wrapper whose record stands under its name does not stay for the sake of an fsync."""
    clean(play, "idempotent", ["wrapper", 2, -1, "fsync-EIO", "fsync@ExitFile._put"], patience_s=3)


def test_tool_killed_before_its_start_was_written_ends(play: Play) -> None:
    """A child killed between fork and exec could not start; it damages no record."""
    answer = play({"group": "kill", "scenario": "plain", "faults": [["wrapper", 1, 1, "kill-forked"]]})
    assert answer["injected"]
    assert answer["violations"] == [], answer["tail"]
    assert answer["seconds"] < STRANDED_S


def test_tool_killed_at_its_gate_is_waited_for(tmp_path: Path) -> None:
    """A child killed after its record was written and before its release is found gone, by its signal."""
    locks = [os.open(tmp_path / name, os.O_CREAT | os.O_RDWR) for name in ("wrap.lock", "tree.lock")]
    intent = {"interactive": False, "stdin_file": None, "argv": ["/bin/true"], "cwd": "/", "setup_argv": None}
    child = launch(intent, {}, *locks)
    os.kill(child.pid, signal.SIGKILL)
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    child.release()
    assert os.waitstatus_to_exitcode(os.waitpid(child.pid, 0)[1]) == -signal.SIGKILL
    assert child.failure_text() is None
    for descriptor in (child.pidfd, child.failure, *child.streams, *locks):
        os.close(descriptor)


def test_refusal_that_a_power_cut_broke_off_goes_on_after_the_reboot(workspace: Workspace) -> None:
    """The explanation is known by its file's inode: the number of a device is another one after a boot."""
    path = workspace.tasks / "bad.json"
    path.write_text("no task")
    first = {"source": {"device": path.stat().st_dev + 1, "inode": path.stat().st_ino}, "what": "cut off"}
    (workspace.rejected / "bad.json.error.json").write_text(json.dumps(first))
    assert (
        reject(workspace, path, Refusal("it is no task", "write one"), "A") == workspace.rejected / "bad.json"
    )
    assert sorted(p.name for p in workspace.rejected.iterdir()) == ["bad.json", "bad.json.error.json"]


OVERTAKEN = (
    ("plain", "rename@:claim", "during"),
    ("retried", "rename@:accepted", "during"),
    ("idempotent", "fsync@:prepare", "after"),
    ("plain", "link@:_write_intent", "after"),
    ("plain", "fsync@Board.start_prepared", "during"),
    ("dependent", "rename@:_copy", "after"),
    ("rerun", "rename@:write_status", "after"),
    ("timed-out", "rename@:publish", "running"),
    ("cancelled", "link@:_write_intent", "during"),
)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has name spaces of its own")
@pytest.mark.parametrize(("scenario", "site", "resumed"), OVERTAKEN)
def test_owner_that_was_overtaken_lets_go(play: Play, scenario: str, site: str, resumed: str) -> None:
    """Paused, called dead, overtaken, resumed: it refuses nothing, repeats nothing, leaves nothing behind."""
    case = {"group": "crowd", "scenario": scenario, "paused": 1, "site": site, "resumed": resumed}
    answer = play(case)
    assert answer["points"], "the place was not reached: mend the test"
    assert answer["violations"] == [], answer["tail"]


def test_claim_that_is_given_back_takes_no_id(workspace: Workspace) -> None:
    """An empty claim is one that was just made, or just given back: its file in tasks/ is no repetition."""
    folder = workspace.agent("A") / "one"
    (folder / "source").mkdir(parents=True)
    assert place_of(workspace, "one") is None
    (folder / "source" / "one.json").touch()
    assert place_of(workspace, "one") is not None
