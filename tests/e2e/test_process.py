"""The launcher without a terminal: tasks that are plain processes live, end and are told like all others."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Host


@pytest.fixture(autouse=True)
def usual(host: Host) -> None:
    """It is the usual launcher."""
    host.configure(launcher="process")


def wrapper_pid(host: Host, task_id: str) -> int:
    path = host.ws.sessions / task_id / "attempts/001/started"
    host.wait(path.exists, f"{task_id} is started")
    return int(json.loads(path.read_text())["wrapper_pid"])


def test_output_is_kept_as_ever(host: Host) -> None:
    """Result, streams and log are there, the session is named, and no multiplexer was started."""
    host.start()
    host.drop("t", "finish", "one")
    result = host.result("t")
    assert (result["state"], result["session"]) == ("succeeded", "task-t")
    assert result["output"]["text"] == "finished one\n"
    assert (host.ws.results / "t/attempts/001/stdout").read_text() == "finished one\n"
    assert "finished one" in (host.ws.logs / "actor-t.log").read_text()
    assert host.multiplexers() == []
    host.wait(lambda: not list((host.ws.root / ".aispool.process").glob("task-*")), "nothing of it is left")


def test_each_task_tool_and_group_has_its_launcher(host: Host) -> None:
    """Its own wins over its group's, that over its tool's, that over the usual one."""
    host.configure(
        launcher="tmux", launcher_by_tool={"actor": "process"}, launcher_by_group={"seen": "screen"}
    )
    host.start(slots=3)
    host.drop("plain", "gate", "go")
    host.drop("grouped", "gate", "go", group="seen")
    host.drop("own", "gate", "go", launcher="tmux")
    attach = {name: host.wait_for_state(name, "running")["attach"] for name in ("plain", "grouped", "own")}
    assert "has no terminal" in attach["plain"]
    assert "screen" in attach["grouped"]
    assert attach["own"].startswith("tmux ")
    host.open_gate("go")
    assert set(host.results("plain", "grouped", "own").values()) == {"succeeded"}


def test_attach_follows_to_the_end(host: Host) -> None:
    """The words of status.json, pasted, say what there is instead of a terminal, and end with the task."""
    host.start()
    host.shell("t", f"echo begun; until [ -e {host.folder}/go ]; do sleep 0.02; done; echo over")
    stdout = host.ws.sessions / "t/attempts/001/stdout"
    host.wait(lambda: stdout.exists() and stdout.read_text() == "begun\n", "it printed something")
    words = shlex.split(host.wait_for_state("t", "running")["attach"])
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as follower:
        assert follower.stderr is not None
        assert follower.stdout is not None
        assert "t has no terminal" in follower.stderr.readline()
        assert "begun\n" in iter(follower.stdout.readline, "")
        host.open_gate("go")
        assert "over\n" in iter(follower.stdout.readline, "")
        assert follower.wait(20) == 0
    assert host.result("t")["state"] == "succeeded"


def test_time_limit_and_cancel(host: Host) -> None:
    """Both end what ignores TERM."""
    host.start()
    host.drop("late", "stubborn", timeout=1)
    host.drop("unwanted", "stubborn")
    host.wait_for_run("unwanted")
    host.cancel("unwanted")
    assert host.results("late", "unwanted") == {"late": "timed_out", "unwanted": "cancelled"}


def test_a_retry_follows_at_once(host: Host) -> None:
    """The session of the attempt before is no obstacle."""
    host.drop("t", "fail", "3", retry_policy={"max_retries": 3, "backoff": "none"})
    host.drain()
    assert host.result("t")["state"] == "succeeded"
    assert host.ledger() == ["t 001", "t 002", "t 003", "t 004"]


def test_killed_agent_is_followed_by_one_that_adopts(host: Host) -> None:
    """The agent dies with its whole session; its task runs on, and the next agent adopts it."""
    agent = host.start()
    host.drop("t", "gate", "go")
    pid = wrapper_pid(host, "t")
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGKILL):
        os.killpg(agent.pid, number)
    agent.process.wait(30)
    assert os.getsid(pid) == pid
    host.start()
    host.wait(lambda: f"--pid={pid}" in host.wait_for_state("t", "running")["attach"], "it is adopted")
    host.open_gate("go")
    assert host.result("t")["state"] == "succeeded"
    assert host.ledger() == ["t 001"]


def test_it_is_recorded_while_no_agent_runs(host: Host) -> None:
    agent = host.start()
    host.drop("t", "gate", "go")
    host.wait_for_run("t")
    agent.kill()
    host.open_gate("go")
    host.wait((host.ws.sessions / "t/attempts/001/exit").exists, "its end is recorded")
    host.drain()
    assert host.result("t")["state"] == "succeeded"
    assert host.ledger() == ["t 001"]


@pytest.mark.parametrize("with_agent", [True, False], ids=["agent lives", "agent is dead"])
def test_killed_wrapper_is_lost(host: Host, with_agent: bool) -> None:  # noqa: FBT001 - two cases
    """What it left is ended first, whoever saw it die."""
    agent = host.start()
    host.drop("t", "stubborn")
    host.wait_for_run("t")
    pid = wrapper_pid(host, "t")
    if not with_agent:
        agent.kill()
    os.kill(pid, signal.SIGKILL)
    if not with_agent:
        host.start()
    result = host.result("t")
    assert result["state"] == "lost"
    assert "wrapper was killed" in result["reason"]
    assert not any("stubborn" in line for line in host.processes().values())


def test_an_interactive_task_is_refused(host: Host) -> None:
    """It needs a terminal; named with a launcher that has one, it is taken."""
    host.start()
    host.drop("t", interactive=True)
    assert "terminal" in host.refusal("t.json")["what"]
    host.drop("u", interactive=True, launcher="tmux")
    assert host.result("u")["state"] == "succeeded"
