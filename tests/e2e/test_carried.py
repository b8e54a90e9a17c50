"""What travels with a task and what it leaves: files, inputs, output, environment, hooks, the webhook."""

from __future__ import annotations

import json
import os
import queue
import signal
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from conftest import Host

ECHO_ENV = "env | sort"


def test_files_travel_with_their_task(host: Host) -> None:
    """NAME.files/ beside NAME.json moves into the session, is the working folder, and stays in the result."""
    files = host.ws.tasks / "t.files"
    (files / "sub").mkdir(parents=True)
    (files / "a.txt").write_text("from a")
    (files / "sub/b.txt").write_text(" and b")
    host.drop("t", "read", "a.txt", "sub/b.txt")
    host.drain()
    result = host.result("t")
    assert result["output"]["text"] == "from a and b"
    assert not files.exists()
    assert (host.ws.results / "t/files/sub/b.txt").read_text() == " and b"


def test_files_of_a_refused_task_go_with_it(host: Host) -> None:
    """Nobody inherits the input files of a rejected task."""
    files = host.ws.tasks / "t.files"
    files.mkdir()
    (files / "secret").write_text("x")
    host.put("t.json", b'{"tool": "no-such-tool", "command": "x"}')
    host.drain()
    host.refusal("t.json")
    assert (host.ws.rejected / "t.json.files/secret").exists() or (
        host.ws.rejected / "t.files/secret"
    ).exists()
    assert not files.exists()


def test_inputs_come_from_other_results(host: Host) -> None:
    """`inputs` waits for the other task and brings its file; a missing one fails with `input not found`."""
    host.drop("user", "read", "maker/attempts/001/stdout", inputs=["maker:attempts/001/stdout"])
    host.drop("wrong", inputs=["maker:artifacts/none"])
    host.drop("maker", "finish", "well")
    host.drain()
    assert host.result("user")["output"]["text"] == "finished well\n"
    wrong = host.result("wrong")
    assert wrong["state"] == "failed"
    assert "input not found" in wrong["reason"]
    assert host.ledger() == ["maker 001", "user 001"]


def test_missing_input_fails_before_launch(host: Host) -> None:
    """A path parameter that leads nowhere at launch is a failure that names it; the tool never runs."""
    host.tools(actor='paths = ["source"]')
    host.drop("t", parameters={"source": "nowhere.txt"})
    host.drain()
    result = host.result("t")
    assert result["state"] == "failed"
    assert "input not found: nowhere.txt" in result["reason"]
    assert host.ledger() == []


def test_output_receives_the_answer(host: Host) -> None:
    """parameters.output is a new file under results/; an existing one refuses the task, never is replaced."""
    host.start()
    host.drop("t", parameters={"args": ["a"], "output": "results/answer.txt"})
    assert host.result("t")["state"] == "succeeded"
    assert (host.ws.results / "answer.txt").read_text() == "finished a\n"
    host.drop("again", parameters={"output": "results/answer.txt"})
    assert host.refusal("again.json")["where"]["field"] == "parameters.output"
    assert (host.ws.results / "answer.txt").read_text() == "finished a\n"


def test_output_taken_meanwhile(host: Host) -> None:
    """An output whose name is taken while the tool runs fails the task and replaces nothing."""
    host.start()
    host.drop("t", "gate", "go", parameters={"args": ["go"], "output": "results/answer.txt"})
    host.wait_for_run("t")
    (host.ws.results / "answer.txt").write_text("mine")
    host.open_gate("go")
    result = host.result("t")
    assert result["state"] == "failed"
    assert "answer.txt exists already" in result["reason"]
    assert (host.ws.results / "answer.txt").read_text() == "mine"


def test_environment_and_secrets(host: Host) -> None:
    """A task's env, the tool's secrets and our own names arrive; secrets stand in no file of ours."""
    secret = host.ws.configs / "env" / "shell.env"
    secret.write_text("# keys\nexport API_KEY='s3cr3t-42'\nPLAIN=x\n")
    secret.chmod(0o600)
    script = 'echo "$COLOR ${#API_KEY} $PLAIN $AISPOOL_TASK_ID $(cat) $1"; test "$API_KEY" = "s3cr3t""-42"'
    host.shell("t", script, env={"COLOR": "blue"}, parameters={"args": ["$(echo not-run); `x`"]})
    host.drain(NOTIFY_SOCKET="/nowhere")
    result = host.result("t")
    assert result["state"] == "succeeded", result
    assert result["output"]["text"] == "blue 9 x t  $(echo not-run); `x`\n"
    for path in host.ws.root.rglob("*"):
        if path.is_file() and path != secret:
            assert b"s3cr3t-42" not in path.read_bytes(), path


def test_open_secrets_file_fails_the_task(host: Host) -> None:
    """Secrets that others may read are not used, and the message says what to do."""
    secret = host.ws.configs / "env" / "shell.env"
    secret.write_text("API_KEY=s3cr3t-42\n")
    secret.chmod(0o644)
    host.shell("t", "true")
    host.drain()
    result = host.result("t")
    assert result["state"] == "failed"
    assert "chmod 600" in result["reason"]
    assert "s3cr3t" not in json.dumps(result)


def test_tool_sees_nothing_of_its_surroundings(host: Host) -> None:
    """Neither tmux nor the service manager of the agent leaks into a tool's environment."""
    host.shell("t", ECHO_ENV)
    host.drain(NOTIFY_SOCKET="@nobody", WATCHDOG_USEC="30000000", INVOCATION_ID="x", TMUX="/tmp/x,1,0")
    text = host.result("t")["output"]["text"]
    names = {line.partition("=")[0] for line in text.splitlines()}
    assert not names & {"NOTIFY_SOCKET", "WATCHDOG_USEC", "INVOCATION_ID", "TMUX", "TMUX_PANE", "STY"}
    assert {"AISPOOL_TASK_ID", "AISPOOL_WAITING", "AISPOOL_ANSWERS", "HOME", "PATH"} <= names


def test_folder_with_our_own_names(host: Host) -> None:
    """A task whose cwd has packages named agent and spool gets ours, and so does our wrapper."""
    trap = host.folder / "trap"
    for name in ("agent", "spool", "json", "fcntl"):
        (trap / name).mkdir(parents=True)
        (trap / name / "__init__.py").write_text("raise SystemExit('the wrong one')")
        (trap / f"{name}.py").write_text("raise SystemExit('the wrong one')")
    host.shell("t", "pwd", parameters={"cwd": str(trap)})
    for name in ("agent", "spool"):
        (host.ws.root / name).mkdir()
        (host.ws.root / name / "__init__.py").write_text("raise SystemExit('the wrong one')")
    host.drain(PYTHONPATH="")
    assert host.result("t")["output"]["text"] == f"{trap}\n"


def test_artifacts_are_listed(host: Host) -> None:
    """What a tool puts into its artifacts folder is listed in the result, links are not."""
    host.shell(
        "t", 'mkdir "$AISPOOL_ARTIFACTS/d"; echo x >"$AISPOOL_ARTIFACTS/d/a"; ln -s / "$AISPOOL_ARTIFACTS/l"'
    )
    host.drain()
    assert host.result("t")["artifacts"] == ["artifacts/d/a"]


def hook(host: Host, event: str, script: str) -> Path:
    path = host.ws.configs / "hooks" / event
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def test_hooks_get_status_and_result(host: Host) -> None:
    """on-start gets the status, on-finish the result, once each and for every end, on stdin."""
    heard = host.folder / "heard"
    heard.mkdir()
    for event in ("on-start", "on-finish"):
        hook(host, event, f'n=$(mktemp "{heard}/{event}.XXXXXX"); cat >"$n"')
    host.drop("a")
    host.drop("b", "fail", "9", retry_policy={"max_retries": 1, "backoff": "none"})
    host.drop("c", dependencies=["b"])
    host.drain()
    told = {
        event: sorted(
            (d["task_id"], d["state"]) for d in (json.loads(p.read_text()) for p in heard.glob(f"{event}.*"))
        )
        for event in ("on-start", "on-finish")
    }
    assert told["on-finish"] == [("a", "succeeded"), ("b", "failed"), ("c", "dependency_failed")]
    assert [task_id for task_id, _ in told["on-start"]] == ["a", "b"]
    assert {state for _, state in told["on-start"]} == {"running"}


def test_bad_hooks_harm_nothing(host: Host) -> None:
    """A failing, a hanging and a non-executable hook are logged; tasks go on, and so do the other hooks."""
    hook(host, "on-start", "echo broken; exit 3")
    hook(host, "on-waiting", "sleep 300")
    hook(host, "on-finish", "true").chmod(0o644)
    host.start()
    host.drop("a")
    host.drop("w", "ask")
    host.wait_for_state("w", "waiting_input")
    (host.ws.sessions / "w/answer/1.txt").write_text("ok")
    assert host.results("a", "w") == {"a": "succeeded", "w": "succeeded"}
    host.wait(lambda: "hook took too long" in host.agent_log(), "the hanging one was ended")
    host.wait(lambda: "make it executable" in host.agent_log(), "the plain file is named")
    assert "hook failed hook=on-start exit_code=3 said=" in host.agent_log()
    outbox = host.ws.agent("a1") / ".outbox"
    host.wait(lambda: not list(outbox.iterdir()), "nothing is left to tell")
    host.wait(lambda: not [line for line in host.processes().values() if "sleep 300" in line], "it is dead")


def test_hook_with_children(host: Host) -> None:
    """A hook that hangs ends with its children; a child that keeps its output open holds nobody up."""
    hook(host, "on-start", "sleep 301 &\nsleep 302")
    hook(host, "on-finish", "echo told; sleep 303 &")
    host.drop("a")
    host.drop("b")
    host.drain(limit_s=30)
    left = {line: pid for pid, line in host.processes().items() if "sleep 30" in line}
    assert set(left) == {"sleep 303 "}
    for pid, line in host.processes().items():
        if "sleep 303" in line:
            os.kill(pid, signal.SIGKILL)
    assert host.agent_log().count("hook took too long") == 2


def test_talkative_hook(host: Host) -> None:
    """A hook that prints without end is bounded in memory, ended in time, and its last words are kept."""
    hook(host, "on-start", "yes")
    hook(host, "on-finish", "head -c 3000000 /dev/zero | tr '\\0' x; echo last words; exit 1")
    host.drop("a")
    host.drain(limit_s=30)
    assert "hook took too long" in host.agent_log()
    assert "last words" in host.agent_log()


@pytest.fixture
def webhook() -> Iterator[tuple[str, queue.Queue[tuple[str, dict[str, Any]]], list[int]]]:
    """A local web server that answers as the test says, and what it was told."""
    told: queue.Queue[tuple[str, dict[str, Any]]] = queue.Queue()
    answers: list[int] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            code = answers.pop(0) if answers else 200
            if code == 200:
                told.put((self.headers["x-aispool-event"], json.loads(body)))
            self.send_response(code)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            return

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/hook", told, answers
    server.shutdown()
    thread.join()
    server.server_close()


def test_webhook_is_told_and_retried(
    host: Host, webhook: tuple[str, queue.Queue[tuple[str, dict[str, Any]]], list[int]]
) -> None:
    """The webhook gets the same documents by POST; a server error is tried again, each event arrives once."""
    url, told, answers = webhook
    answers += [503]
    host.configure(webhook_url=url)
    host.start()
    host.drop("a")
    assert host.results("a") == {"a": "succeeded"}
    first, second = told.get(timeout=20), told.get(timeout=20)
    assert (first[0], first[1]["task_id"]) == ("on-start", "a")
    assert (second[0], second[1]["state"]) == ("on-finish", "succeeded")
    assert told.empty()


def test_webhook_events_and_a_dead_server(
    host: Host, webhook: tuple[str, queue.Queue[tuple[str, dict[str, Any]]], list[int]]
) -> None:
    """Only the chosen events are posted; notices that could not be told in time are the next agent's."""
    url, told, _ = webhook
    host.configure(webhook_url="http://127.0.0.1:1/", webhook_events=["on-finish"])
    agent = host.start()
    host.drop("a")
    assert host.results("a") == {"a": "succeeded"}
    host.wait(lambda: "webhook failed" in host.agent_log(), "it was tried")
    agent.kill()
    host.configure(webhook_url=url)
    host.start()
    event, document = told.get(timeout=20)
    assert (event, document["task_id"]) == ("on-finish", "a")
    assert told.empty()
