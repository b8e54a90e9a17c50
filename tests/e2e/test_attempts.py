"""How attempts end: exit codes, signals, retries, time limits, and what tools do to their own processes."""

from __future__ import annotations

import os
import signal
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Host

RETRY = {"max_retries": 3, "backoff": "fixed", "initial_delay_s": 0.4}


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def test_result_tells_all_of_the_protocol(host: Host) -> None:
    """A finished task's result.json holds every field, its folder the plain files, its session is gone."""
    host.drop("t", "finish", "one", "two", labels=["a"], surprise=1)
    host.drain()
    result = host.result("t")
    assert result["schema_version"] == 1
    assert (result["tool"], result["command"], result["source_name"]) == ("actor", "finish", "t.json")
    assert (result["state"], result["exit_code"], result["signal"]) == ("succeeded", 0, None)
    assert result["output"]["text"] == "finished one two\n"
    assert result["output"]["log"] == "logs/actor-t.log"
    assert result["output"]["truncated"] is False
    assert result["usage"] == {"input_tokens": None, "output_tokens": None, "cost_usd": None}
    assert result["labels"] == ["a"]
    assert "surprise" in result["warnings"][0]
    for key in ("host", "session", "tool_session_id", "artifacts"):
        assert key in result
    for key in ("submitted_at", "started_at", "finished_at"):
        assert datetime.fromisoformat(result[key]).utcoffset() is not None
        assert result[key].endswith("Z")
    assert result["submitted_at"] <= result["started_at"] <= result["finished_at"]
    assert 0 <= result["duration_s"] < 10
    [attempt] = result["attempts"]
    assert (attempt["number"], attempt["state"], attempt["exit_code"]) == (1, "succeeded", 0)
    folder = host.ws.results / "t"
    assert (folder / "attempts/001/stdout").read_text() == "finished one two\n"
    assert "finished one two" in (host.ws.logs / "actor-t.log").read_text()
    assert not (folder / "status.json").exists()
    assert not (host.ws.sessions / "t").exists()


def test_status_says_how_to_attach(host: Host) -> None:
    """While a task runs, status.json holds a command that attaches to its living session."""
    host.start()
    host.drop("t", "gate", "go", estimated_duration=7)
    host.wait_for_run("t")
    status = host.wait_for_state("t", "running")
    host.wait(lambda: (host.status("t") or {}).get("started_at"), "the start is in the status")
    assert status["attach"].startswith("tmux ")
    assert "attach-session" in status["attach"]
    assert status["estimated_duration_s"] == 7
    probe = status["attach"].replace("attach-session", "has-session")
    assert os.system(probe) == 0  # noqa: S605 - the exact words a person pastes into a shell
    host.open_gate("go")
    assert host.results("t") == {"t": "succeeded"}


def test_fails_then_succeeds(host: Host) -> None:
    """Retries follow their backoff; each attempt has its own folder and line; the last one decides."""
    host.drop("t", "fail", "2", "7", retry_policy=RETRY)
    host.drain()
    result = host.result("t")
    assert result["state"] == "succeeded"
    assert [a["state"] for a in result["attempts"]] == ["failed", "failed", "succeeded"]
    assert [a["exit_code"] for a in result["attempts"]] == [7, 7, 0]
    assert host.ledger() == ["t 001", "t 002", "t 003"]
    for before, after in zip(result["attempts"], result["attempts"][1:], strict=False):
        gap = datetime.fromisoformat(after["started_at"]) - datetime.fromisoformat(before["finished_at"])
        assert gap.total_seconds() >= before["retry_after_s"] - 0.002
        assert 0.36 <= before["retry_after_s"] <= 0.44
    assert result["attempts"][-1]["retry_after_s"] is None


def test_retries_are_bounded(host: Host) -> None:
    """max_retries is the number of retries, then the task failed."""
    host.drop("t", "fail", "9", retry_policy={"max_retries": 1, "backoff": "none"})
    host.drain()
    assert host.result("t")["state"] == "failed"
    assert host.ledger() == ["t 001", "t 002"]


def test_outcomes_not_in_on_do_not_retry(host: Host) -> None:
    """`on` names the outcomes that retry; a failure is not one when only timed_out is named."""
    host.drop("t", "fail", "9", retry_policy={"max_retries": 3, "backoff": "none", "on": ["timed_out"]})
    host.drain()
    assert host.ledger() == ["t 001"]


def test_deferred_between_attempts_frees_the_slot(host: Host) -> None:
    """While a task waits for its next attempt it is `deferred`, says until when, and others run."""
    host.start(slots=1)
    policy = {"max_retries": 1, "backoff": "fixed", "initial_delay_s": 2.0}
    host.drop("t", "fail", "1", retry_policy=policy)
    status = host.wait_for_state("t", "deferred")
    assert status["next_attempt_at"]
    host.drop("other")
    other = host.result("other")
    assert host.result("t")["state"] == "succeeded"
    assert other["finished_at"] < host.result("t")["attempts"][1]["started_at"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGSEGV, signal.SIGKILL])
def test_killed_tool_tells_its_signal(host: Host, number: int) -> None:
    """A tool that dies of a signal failed, and the signal is named."""
    host.drop("t", "die", str(int(number)))
    host.drain()
    result = host.result("t")
    assert (result["state"], result["exit_code"], result["signal"]) == ("failed", None, number)
    assert signal.Signals(number).name in result["reason"]


def test_missing_program_fails_with_reason(host: Host) -> None:
    """A tool that is not installed is a failed task that says so, not a dead agent."""
    host.tools(extra='[tools.ghost]\nexecutables = ["no-such-program"]\nargv = ["$executable", "$command"]')
    host.put("t.json", b'{"task_id": "t", "tool": "ghost", "command": "x"}')
    host.drop("after")
    host.drain()
    result = host.result("t")
    assert result["state"] == "failed"
    assert "no-such-program" in result["reason"]
    assert host.results("after") == {"after": "succeeded"}


@pytest.mark.parametrize("act", ["hang", "stubborn", "closed"])
def test_timeout_ends_the_whole_tree(host: Host, act: str) -> None:
    """At its limit everything of the attempt is ended, however it hides or ignores signals."""
    host.drop("t", act, timeout=1)
    host.drain()
    result = host.result("t")
    if act == "closed":  # its leader left at once, and well: what it left behind is not the task
        assert result["state"] == "succeeded"
        left = [pid for pid, line in host.processes().items() if "closerange" in line]
        assert left
        for pid in left:
            os.kill(pid, signal.SIGKILL)
        return
    assert result["state"] == "timed_out"
    assert "time limit of 1 s" in result["reason"]
    assert 1 <= result["duration_s"] < 6
    # its wrapper has told the end, and may be about to leave
    host.wait(lambda: host.multiplexers() == sorted(host.processes()), "nothing of it is left")


def test_timeout_ends_daemons_of_the_tool(host: Host) -> None:
    """A daemon that the tool started, twice forked and in its own session, ends with a timed-out attempt."""
    host.drop("t", "daemon", "sleep 300", timeout=1)
    host.drain()
    assert host.result("t")["state"] == "timed_out"
    assert not alive(int((host.folder / "daemon.pid").read_text()))


def test_daemon_of_a_finished_tool_holds_nothing_up(host: Host) -> None:
    """A tool that leaves a daemon behind is over when it ends; its result does not wait for the daemon."""
    host.drop("t", "daemon")
    host.drain(limit_s=20)
    assert host.result("t")["state"] == "succeeded"
    pid = int((host.folder / "daemon.pid").read_text())
    os.kill(pid, signal.SIGKILL)


def test_timeout_holds_without_an_agent(host: Host) -> None:
    """The agent is killed; the limit is kept all the same, and the next agent records timed_out."""
    agent = host.start()
    host.drop("t", "stubborn", timeout=1.5)
    host.wait_for_run("t")
    agent.kill()
    exit_file = host.ws.sessions / "t/attempts/001/exit"
    host.wait(exit_file.exists, "the wrapper alone ended it")
    host.drain()
    result = host.result("t")
    assert result["state"] == "timed_out"
    assert result["duration_s"] < 6
    assert host.ledger() == ["t 001"]


def test_timed_out_attempt_is_retried(host: Host) -> None:
    """By default a timeout retries as a failure does."""
    host.drop("t", "hang", timeout=0.5, retry_policy={"max_retries": 1, "backoff": "none"})
    host.drain()
    assert [a["state"] for a in host.result("t")["attempts"]] == ["timed_out", "timed_out"]


def test_waiting_for_a_person_frees_slot_and_clock(host: Host) -> None:
    """waiting_input: the slot goes to others, the time limit stands still, on-waiting hears the question."""
    heard = host.folder / "heard"
    hook = host.ws.configs / "hooks" / "on-waiting"
    hook.write_text(f'#!/bin/sh\ncat >"{heard}.new" && mv "{heard}.new" "{heard}"\n')
    hook.chmod(0o755)
    host.start(slots=1)
    host.drop("t", "ask", timeout=1.5)
    status = host.wait_for_state("t", "waiting_input")
    assert status["question"] == "may I go on?"
    host.wait(heard.exists, "the hook heard of it")
    told = host.read(heard)
    assert told is not None
    assert (told["task_id"], told["state"], told["question"]) == ("t", "waiting_input", "may I go on?")
    host.drop("other", "nap", "2")
    assert host.results("other") == {"other": "succeeded"}
    (host.ws.sessions / "t/answer/001.txt").write_text("yes, do")
    result = host.result("t")
    assert result["state"] == "succeeded", result["reason"]
    assert result["output"]["text"] == "yes, do"
    assert result["duration_s"] > 2


def test_nobody_answers(host: Host) -> None:
    """waiting_timeout bounds the wait for a person."""
    host.drop("t", "ask", waiting_timeout=0.8)
    host.drain()
    result = host.result("t")
    assert result["state"] == "timed_out"
    assert "waiting_timeout" in result["reason"]


def test_flood_is_capped(host: Host) -> None:
    """100 MB of output: the file keeps its beginning and its end, the log is rotated, the result says so."""
    host.configure(max_output_bytes=1 << 20, max_log_bytes=1 << 20)
    host.drop("t", "flood", "100000000")
    host.drain()
    result = host.result("t")
    assert result["state"] == "succeeded"
    assert result["output"]["truncated"] is True
    stdout = (host.ws.results / "t/attempts/001/stdout").read_bytes()
    assert len(stdout) < (1 << 20) + 100
    assert stdout.startswith(b"xxxx")
    assert stdout.endswith(b"xxx" + b"the end\n")
    assert b"bytes were left out here" in stdout
    logs = list(host.ws.logs.glob("actor-t.log*"))
    assert len(logs) == 2
    assert all(log.stat().st_size <= 1 << 20 for log in logs)
    assert len(result["output"]["text"]) <= 256 << 10


def test_screen_runs_and_ends_tasks(host: Host) -> None:
    """`launcher: screen` of one task: it runs there, is attached to there, times out there."""
    host.start()
    host.drop("ok", "gate", "go", launcher="screen")
    host.drop("slow", "stubborn", launcher="screen", timeout=1)
    assert "screen" in host.wait_for_state("ok", "running")["attach"]
    assert host.result("slow")["state"] == "timed_out"
    host.open_gate("go")
    assert host.result("ok")["state"] == "succeeded"
