"""What a collector delivers with rsync, and what an enrolled host keeps for it."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from spool.control import Control
from spool.enrol import enrol, marked
from spool.names import new_ulid
from spool.records import utc_now

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Agent, Host

pytestmark = pytest.mark.skipif(shutil.which("rsync") is None, reason="needs rsync")


def push(host: Host, folder: Path) -> None:
    """Push as a collector does: what goes with the tasks, then the tasks, then the controls."""
    for pattern in ("tasks/*.files/***", "tasks/*.json", "control/*.json"):
        filters = ("--include=/tasks/", "--include=/control/", f"--include=/{pattern}", "--exclude=*")
        target = f"{host.ws.root}/inbox/"
        subprocess.run(["rsync", "-rt", *filters, f"{folder}/", target], check=True)


def outgoing(host: Host) -> Path:
    folder = host.folder / "outgoing"
    for name in ("tasks", "control"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    return folder


def ask(folder: Path, do: str, **fields: Any) -> None:
    control = Control.model_validate({"id": new_ulid(), "do": do, "issued_at": utc_now()} | fields)
    (folder / "control" / f"{control.id}.json").write_bytes(control.encoded())


def test_a_delivered_task_runs_once(host: Host, agent: Agent) -> None:
    """With its files, without waiting for a scan; a repeated push of all of it changes nothing."""
    folder = outgoing(host)
    (folder / "tasks" / "build.files").mkdir()
    (folder / "tasks" / "build.files" / "input.txt").write_text("the input\n")
    task = {"task_id": "build", "tool": "actor", "command": "read", "parameters": {"args": ["input.txt"]}}
    (folder / "tasks" / "build.json").write_text(json.dumps(task))
    push(host, folder)
    assert host.result("build")["output"]["text"] == "the input\n"
    push(host, folder)
    host.wait(lambda: not list((host.ws.root / "inbox" / "tasks").glob("*.*")), "the inbox is empty")
    assert host.ledger() == ["build 001"]
    assert list(host.ws.rejected.iterdir()) == []
    assert agent.is_up()


def test_a_running_task_is_answered_and_cancelled(host: Host, agent: Agent) -> None:
    """By controls that were pushed twice."""
    folder = outgoing(host)
    host.drop("asks", "ask")
    host.drop("hangs", "hang")
    host.wait_for_state("asks", "waiting_input")
    host.wait_for_run("hangs")
    ask(folder, "answer", task_id="asks", text="go on")
    ask(folder, "cancel", task_id="hangs")
    push(host, folder)
    push(host, folder)
    assert host.result("asks")["output"]["text"] == "go on\n"
    assert host.result("hangs")["state"] == "cancelled"
    assert agent.is_up()


def test_results_are_marked_until_they_are_collected(host: Host, agent: Agent) -> None:
    """Also one that was there before the collector came; agent.json counts them."""
    host.drop("before")
    host.result("before")
    enrolment = enrol(host.ws, "desk")
    host.drop("after")
    host.result("after")
    host.wait(lambda: set(marked(host.ws)) == {"before", "after"}, "both are marked")

    def beat() -> dict[str, Any]:
        return host.read(agent.folder / "agent.json") or {}

    host.wait(lambda: beat().get("uncollected") == 2, f"agent.json counts them: {beat()}")
    assert beat()["workspace_id"] == enrolment.workspace_id
    assert "shell" in beat()["tools"]
    folder = outgoing(host)
    results = {name: (host.ws.results / name / "result.json").read_bytes() for name in ("before", "after")}
    ask(
        folder,
        "ack",
        collected={name: hashlib.sha256(content).hexdigest() for name, content in results.items()},
    )
    push(host, folder)
    host.wait(lambda: marked(host.ws) == [], "nothing is marked any more")
    host.wait(lambda: beat().get("uncollected") == 0, "agent.json says so")


def test_two_agents_on_one_workspace(host: Host) -> None:
    """Each delivered task runs once, whichever of them takes it."""
    for name in ("a1", "a2"):
        host.start(name=name)
    folder = outgoing(host)
    ids = [f"t{number}" for number in range(20)]
    for task_id in ids:
        task = {"task_id": task_id, "tool": "actor", "command": "finish"}
        (folder / "tasks" / f"{task_id}.json").write_text(json.dumps(task))
    push(host, folder)
    push(host, folder)
    assert set(host.results(*ids).values()) == {"succeeded"}
    push(host, folder)
    host.wait(lambda: not list((host.ws.root / "inbox" / "tasks").glob("*.json")), "the inbox is empty")
    assert sorted(host.ledger()) == sorted(f"{task_id} 001" for task_id in ids)
    assert list(host.ws.rejected.iterdir()) == []
