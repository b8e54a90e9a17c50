"""Whoever dies, whenever: each attempt starts at most once, each task ends in one complete result."""

from __future__ import annotations

import json
import os
import random
import signal
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Host

SEED = 20261120
RESULT_FIELDS = {"schema_version", "task_id", "tool", "command", "state", "reason", "finished_at", "attempts"}


def started(host: Host, task_id: str) -> dict[str, int | str]:
    """Wait until a session recorded who runs it."""
    path = host.ws.sessions / task_id / "attempts/001/started"
    host.wait(path.exists, f"{task_id} is started")
    found: dict[str, int | str] = json.loads(path.read_text())
    return found


@pytest.mark.parametrize("launcher", ["tmux", "process"])
def test_agent_killed_again_and_again(host: Host, launcher: str) -> None:
    """Sixty tasks while the agent is killed at random moments: each ledger line once, all results whole."""
    host.configure(launcher=launcher)
    chance = random.Random(SEED)  # noqa: S311 - repeatable on purpose
    names = [f"t{i:02d}" for i in range(60)]
    flaky = set(names[::6])
    kills = 0

    def over() -> bool:
        return all((host.ws.results / name / "result.json").exists() for name in names)

    dropped = iter(names)
    while not over():
        agent = host.spawn(slots=6)
        for name in [name for _, name in zip(range(10), dropped, strict=False)]:
            retry = {"max_retries": 1, "backoff": "none"} if name in flaky else {}
            act = ("fail", "1") if name in flaky else ("nap", "0.05")
            host.drop(name, *act, retry_policy=retry)
        if kills < 25:
            # from its very start to the middle of its work
            pause_s = chance.uniform(0.15, 0.8)
            deadline = host.clock() + pause_s
            host.wait(lambda d=deadline: host.clock() > d or over(), "the moment has come")
            agent.kill()
            kills += 1
        else:
            host.wait(over, f"all are over: {host.states()}", 60)
            assert agent.stop() == 0
    expected = [f"{name} 001" for name in names] + [f"{name} 002" for name in flaky]
    assert sorted(host.ledger()) == sorted(expected), f"seed {SEED}"
    for name in names:
        result = host.result(name)
        assert result.keys() >= RESULT_FIELDS
        assert result["state"] == "succeeded", result
    assert not list(host.ws.tasks.glob("*.json"))
    assert not list(host.ws.rejected.iterdir())
    assert {p.name for p in host.ws.sessions.iterdir()} == {".agent-a1"}
    assert kills >= 5


def test_killed_wrapper_is_lost(host: Host) -> None:
    """SIGKILL of the wrapper: what it left is ended, the task is lost, and it is not run again."""
    host.start()
    host.drop("t", "stubborn", retry_policy={"max_retries": 3, "backoff": "none", "on": ["failed", "lost"]})
    host.wait_for_run("t")
    who = started(host, "t")
    os.kill(int(who["wrapper_pid"]), signal.SIGKILL)
    result = host.result("t")
    assert result["state"] == "lost"
    assert "wrapper was killed" in result["reason"]
    assert host.ledger() == ["t 001"]
    assert int(who["tool_pid"]) not in host.processes()


def test_killed_wrapper_of_an_idempotent_task(host: Host) -> None:
    """The same with `idempotent`: the lost attempt is followed by another one."""
    host.start()
    host.drop("t", "gate", "go", idempotent=True)
    host.wait_for_run("t")
    os.kill(int(started(host, "t")["wrapper_pid"]), signal.SIGKILL)
    host.wait_for_run("t", 2)
    host.open_gate("go")
    result = host.result("t")
    assert result["state"] == "succeeded"
    assert [a["state"] for a in result["attempts"]] == ["lost", "succeeded"]
    assert host.ledger() == ["t 001", "t 002"]


def test_killed_wrapper_while_no_agent_runs(host: Host) -> None:
    """Agent and wrapper killed, the tool alone lives on: the next agent ends it, then calls it lost."""
    agent = host.start()
    host.drop("t", "stubborn")
    host.wait_for_run("t")
    agent.kill()
    who = started(host, "t")
    os.kill(int(who["wrapper_pid"]), signal.SIGKILL)
    host.wait(lambda: int(who["wrapper_pid"]) not in host.processes(), "the wrapper is gone")
    assert int(who["tool_pid"]) in host.processes()
    host.drain()
    assert host.result("t")["state"] == "lost"
    assert int(who["tool_pid"]) not in host.processes()


def test_killed_tmux_server(host: Host) -> None:
    """The tmux server killed: the running tool finishes and is recorded, the next task gets a new server."""
    host.start()
    host.drop("runs", "gate", "go")
    host.wait_for_run("runs")
    [server] = host.multiplexers()
    os.kill(server, signal.SIGKILL)
    host.drop("next")
    assert host.results("next") == {"next": "succeeded"}
    host.open_gate("go")
    assert host.results("runs") == {"runs": "succeeded"}
    assert sorted(host.ledger()) == ["next 001", "runs 001"]


def test_session_killed_by_a_person(host: Host) -> None:
    """`tmux kill-session` closes the terminal, not the task: HUP is ignored, the result is as always."""
    host.start()
    host.drop("t", "gate", "go")
    host.wait_for_run("t")
    assert os.system(f"tmux -S {host.ws.root}/.aispool.tmux kill-session -t =task-t") == 0  # noqa: S605
    host.open_gate("go")
    result = host.result("t")
    assert result["state"] == "succeeded"
    assert result["output"]["text"] == "let through\n"


def reboot(host: Host) -> None:
    """Kill all that runs at once, and make every record one of another boot."""
    for agent in host.agents:
        if agent.process.poll() is None:
            agent.kill()
    for pid in host.processes():
        with suppress(ProcessLookupError):  # a wrapper's tool may have gone with it
            os.kill(pid, signal.SIGKILL)
    host.wait(lambda: not host.processes(), "nothing runs any more")
    for path in host.ws.sessions.glob("*/attempts/*/started"):
        record = json.loads(path.read_text())
        # the numbers mean something else now: they are given to a process that must be left alone
        record |= {"boot_id": "00000000-0000-0000-0000-000000000000", "tool_pid": os.getpid()}
        path.write_text(json.dumps(record))
    for path in host.ws.sessions.glob(".agent-*/agent.json"):
        path.write_text(json.dumps(json.loads(path.read_text()) | {"boot_id": "0"}))


def test_reboot(host: Host) -> None:
    """After a reboot: what ran is lost, what may be repeated is, what waited goes on waiting, and runs."""
    host.start(slots=3)
    policy = {"max_retries": 1, "backoff": "fixed", "initial_delay_s": 1}
    host.drop("once", "gate", "go")
    host.drop("again", "gate", "go", idempotent=True)
    host.wait_for_run("once")
    host.wait_for_run("again")
    host.drop("retries", "fail", "1", retry_policy=policy)
    host.wait_for_state("retries", "deferred")
    host.drop("after", dependencies=["again"])
    host.why("after", "again")
    reboot(host)
    host.open_gate("go")
    host.drain()
    states = host.results("once", "again", "retries", "after")
    assert states == {"once": "lost", "again": "succeeded", "retries": "succeeded", "after": "succeeded"}
    assert "machine went down" in host.result("once")["reason"]
    ran = ["after 001", "again 001", "again 002", "once 001", "retries 001", "retries 002"]
    assert sorted(host.ledger()) == ran


def test_conversation_is_resumed_after_a_reboot(host: Host) -> None:
    """A tool with session ids of its own goes on with the same conversation, though it is not idempotent."""
    talk = host.folder / "talk"
    host.program(
        "talker",
        f'#!/bin/sh\necho "$@" >>{talk}\n[ "$1" = --resume ] && echo done && exit 0\nexec sleep 300\n',
    )
    host.tools(
        extra='[tools.talker]\nexecutables = ["talker"]\nargv = ["$executable", "$session", "$prompt"]\n'
        'session_new = ["--new", "$session_id"]\nsession_resume = ["--resume", "$session_id"]\n'
    )
    host.start()
    task = {"task_id": "t", "tool": "talker", "parameters": {"prompt": "do it"}}
    host.put("t.json", json.dumps(task).encode())
    host.wait(talk.exists, "it talks")
    reboot(host)
    host.drain()
    result = host.result("t")
    assert result["state"] == "succeeded"
    first, second = talk.read_text().splitlines()
    assert first == f"--new {result['tool_session_id']} do it"
    assert second == f"--resume {result['tool_session_id']} Continue where you stopped."
    assert [a["state"] for a in result["attempts"]] == ["lost", "succeeded"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_shutdown_signals_to_the_wrapper(host: Host, number: int) -> None:
    """TERM (a shutdown) ends the tool in order and is no failure of the task; HUP is ignored."""
    host.start()
    host.drop("t", "gate", "go")
    host.wait_for_run("t")
    os.kill(int(started(host, "t")["wrapper_pid"]), number)
    if number == signal.SIGHUP:
        host.open_gate("go")
        assert host.result("t")["state"] == "succeeded"
        return
    result = host.result("t")
    assert (result["state"], result["reason"]) == ("lost", "the machine was shut down while it ran")


def test_stale_session_name_is_taken_over(host: Host) -> None:
    """A leftover tmux session of the same name does not keep a task from its start."""
    host.drop("t")
    os.system(f"tmux -S {host.ws.root}/.aispool.tmux new-session -d -s task-t 'sleep 300'")  # noqa: S605
    host.drain()
    assert host.results("t") == {"t": "succeeded"}


def test_damaged_records_harm_only_their_task(host: Host) -> None:
    """A torn status.json is made anew; a torn intent is said, and the agent goes on with all the others."""
    agent = host.start()
    for name in ("a", "b"):
        host.drop(name, "gate", "go")
        host.wait_for_run(name)
    agent.kill()
    (host.ws.sessions / "a/status.json").write_text("{")
    (host.ws.sessions / "b/attempts/001/intent").write_text("{")
    host.start()
    host.drop("other")
    assert host.results("other") == {"other": "succeeded"}
    host.open_gate("go")
    assert host.results("a") == {"a": "succeeded"}
    assert "session is damaged task_id=b" in host.agent_log()
    assert (host.ws.sessions / "b/task.json").exists()
