"""Control by file alone: cancel, hold, release, edit, remove, retry."""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from conftest import Host


def test_cancel_running_ends_its_tree(host: Host) -> None:
    """`touch sessions/ID/cancel` ends a tool that ignores TERM and HUP, with all its processes."""
    host.start()
    host.drop("t", "stubborn", retry_policy={"max_retries": 3, "backoff": "none"})
    host.wait_for_run("t")
    host.cancel("t")
    result = host.result("t")
    assert (result["state"], result["reason"]) == ("cancelled", "cancelled")
    assert host.ledger() == ["t 001"], "a cancelled task is not tried again"


def test_cancel_reaches_a_daemon_and_closed_descriptors(host: Host) -> None:
    """Neither a session of its own nor closed descriptors hide a process from its cancellation."""
    host.start()
    host.drop("d", "daemon", "sleep 300")
    host.wait((host.folder / "daemon.pid").exists, "the daemon runs")
    host.wait(lambda: (host.folder / "daemon.pid").read_text().strip(), "its pid is written")
    daemon = int((host.folder / "daemon.pid").read_text())
    host.cancel("d")
    assert host.results("d") == {"d": "cancelled"}
    assert daemon not in host.processes()


def test_cancel_just_launched(host: Host) -> None:
    """Cancelled in the moment of its launch, a task ends as cancelled, or had ended before; never hangs."""
    host.start(slots=8)
    names = [f"t{i}" for i in range(8)]
    for name in names:
        host.drop(name, "hang")
    for name in names:
        host.wait((host.ws.sessions / name).exists, f"{name} in session")
        host.cancel(name)
    assert set(host.results(*names).values()) == {"cancelled"}
    assert len(set(host.ledger())) == len(host.ledger())


def test_cancel_between_attempts(host: Host) -> None:
    """A deferred task is cancelled at once, not at its next attempt."""
    host.start()
    host.drop("t", "fail", "9", retry_policy={"max_retries": 1, "backoff": "fixed", "initial_delay_s": 60})
    host.wait_for_state("t", "deferred")
    host.cancel("t")
    assert host.result("t", 10)["state"] == "cancelled"
    assert host.ledger() == ["t 001"]


def test_cancel_while_it_waits_for_input(host: Host) -> None:
    """A task that waits for a person can be cancelled."""
    host.start()
    host.drop("t", "ask")
    host.wait_for_state("t", "waiting_input")
    host.cancel("t")
    assert host.result("t")["state"] == "cancelled"


def test_cancel_without_an_agent(host: Host) -> None:
    """The wrapper hears of it by itself; the next agent records it."""
    agent = host.start()
    host.drop("t", "hang")
    host.wait_for_run("t")
    agent.kill()
    host.cancel("t")
    host.wait((host.ws.sessions / "t/attempts/001/exit").exists, "the wrapper ended it")
    host.drain()
    assert host.result("t")["state"] == "cancelled"


def test_hold_and_release_by_mv(host: Host) -> None:
    """A file in tasks/held/ is not started and says so; moved out, it is."""
    host.start()
    (host.ws.configs / "paused").touch()
    host.drop("t")
    host.why("t", "paused")
    subprocess.run(["mv", host.ws.tasks / "t.json", host.ws.held], check=True)
    host.wait(lambda: "held" in host.why("held/t", "held"), "it says so")
    (host.ws.configs / "paused").unlink()
    host.drop("other")
    assert host.results("other") == {"other": "succeeded"}
    assert (host.ws.held / "t.json").exists()
    assert not (host.ws.tasks / "t.why").exists()
    subprocess.run(["mv", host.ws.held / "t.json", host.ws.tasks], check=True)
    assert host.results("t") == {"t": "succeeded"}
    host.wait(lambda: not (host.ws.held / "t.why").exists(), "its line goes with it")


def test_held_dependency_holds_what_needs_it(host: Host) -> None:
    """Dropped into held/ directly; what depends on it is blocked and names it."""
    (host.ws.held / "a.json").write_text(json.dumps({"task_id": "a", "tool": "actor", "command": "finish"}))
    host.start()
    host.drop("b", dependencies=["a"])
    assert "blocked" in host.why("b", "a (held)")
    (host.ws.held / "a.json").rename(host.ws.tasks / "a.json")
    assert host.results("a", "b") == {"a": "succeeded", "b": "succeeded"}


def test_edit_while_it_waits(host: Host) -> None:
    """What is executed is the file as it was last saved before its start, by any editor."""
    host.start()
    (host.ws.configs / "paused").touch()
    path = host.drop("t", "finish", "old")
    host.why("t", "paused")
    with path.open("w") as file:  # in place, held open for a while, torn in between
        file.write('{"task_id": "t", "tool": "actor", ')
        file.flush()
        (host.ws.configs / "paused").unlink()
        host.drop("other")
        host.result("other")
        file.write('"command": "finish", "parameters": {"args": ["new"]}}')
    assert host.result("t")["output"]["text"] == "finished new\n"


def test_line_outlives_an_edit(host: Host) -> None:
    """A file that is edited in place, slowly, keeps the id it was given, and its line comes back."""
    host.start()
    text = json.dumps({"tool": "actor", "command": "finish", "dependencies": ["missing"]})
    path = host.put("x.json", text.encode())
    given = host.why("x", "missing").split()[0]
    with path.open("w") as file:
        file.write(text[:20])
        file.flush()
        host.wait(lambda: "not finished" in host.agent_log(), "the agent saw the edit")
        file.write(text[20:].replace("missing", "another"))
    assert host.why("x", "another").split()[0] == given


def test_edit_by_replacement_changes_the_id(host: Host) -> None:
    """Saved anew with another id, the file is another task; the first id was never used."""
    host.start()
    (host.ws.configs / "paused").touch()
    host.drop("first", name="x.json")
    host.why("x", "first")
    host.drop("second", name="x.json")
    host.why("x", "second")
    (host.ws.configs / "paused").unlink()
    assert host.results("second") == {"second": "succeeded"}
    host.drop("first", name="again.json")
    assert host.results("first") == {"first": "succeeded"}
    assert sorted(host.ledger()) == ["first 001", "second 001"]


def test_remove_while_it_waits(host: Host) -> None:
    """A removed file is a task that never was: no trace, and its id is free."""
    host.start()
    (host.ws.configs / "paused").touch()
    path = host.drop("t")
    host.why("t", "paused")
    path.unlink()
    host.wait(lambda: not (host.ws.tasks / "t.why").exists(), "its line is gone")
    (host.ws.configs / "paused").unlink()
    host.drop("other")
    host.result("other")
    assert host.ledger() == ["other 001"]
    host.drop("t")
    assert host.results("t") == {"t": "succeeded"}


def test_retry_by_touch(host: Host) -> None:
    """`touch results/ID/retry` runs a task again; the old result stays with its last attempt."""
    host.start()
    host.drop("t", "fail", "1")
    assert host.result("t")["state"] == "failed"
    (host.ws.results / "t/retry").touch()
    host.wait(
        lambda: (host.read(host.ws.results / "t/result.json") or {}).get("state") == "succeeded", "again"
    )
    result = host.result("t")
    assert [a["number"] for a in result["attempts"]] == [1, 2]
    assert host.ledger() == ["t 001", "t 002"]
    assert not (host.ws.results / "t/retry").exists()
    before = host.read(host.ws.results / "t/attempts/001/result.json")
    assert before is not None
    assert before["state"] == "failed"


def test_retry_of_a_cancelled_task(host: Host) -> None:
    """The cancellation of the last run is not one of the next."""
    host.start()
    host.drop("t", "gate", "go")
    host.wait_for_run("t")
    host.cancel("t")
    assert host.result("t")["state"] == "cancelled"
    host.open_gate("go")
    (host.ws.results / "t/retry").touch()
    host.wait(
        lambda: (host.read(host.ws.results / "t/result.json") or {}).get("state") == "succeeded", "again"
    )


def test_retry_of_what_never_started(host: Host) -> None:
    """An expired task can be asked to run after all."""
    host.start()
    host.drop("a", "fail", "1")
    host.drop("t", dependencies=["a"])
    assert host.results("t") == {"t": "dependency_failed"}
    (host.ws.results / "t/retry").touch()
    host.wait(lambda: "t 001" in host.ledger(), "it runs")
    host.wait(
        lambda: (host.read(host.ws.results / "t/result.json") or {}).get("state") == "succeeded", "again"
    )


def test_retry_frees_what_depends_on_it(host: Host) -> None:
    """A task that waits for a failed one held back in time starts once the retry succeeded."""
    host.start()
    host.drop("a", "fail", "1")
    host.result("a")
    (host.ws.held / "b.json").write_text(
        json.dumps({"task_id": "b", "tool": "actor", "command": "finish", "dependencies": ["a"]})
    )
    (host.ws.results / "a/retry").touch()
    host.wait(
        lambda: (host.read(host.ws.results / "a/result.json") or {}).get("state") == "succeeded", "again"
    )
    (host.ws.held / "b.json").rename(host.ws.tasks / "b.json")
    assert host.results("b") == {"b": "succeeded"}


def test_attached_terminal_sees_the_output(host: Host) -> None:
    """What the tool prints stands in its tmux pane, and the session ends with the task."""
    host.start()
    host.shell("t", f"echo from-the-tool; until [ -e {host.folder}/go ]; do sleep 0.05; done")
    socket = host.ws.root / ".aispool.tmux"

    def pane() -> bool:
        shown = subprocess.run(
            ["tmux", "-S", socket, "capture-pane", "-p", "-t", "=task-t:"], capture_output=True, check=False
        )
        return b"from-the-tool" in shown.stdout

    host.wait(pane, "the pane shows it")
    host.open_gate("go")
    host.result("t")
    probe = f"tmux -S {socket} has-session -t =task-t 2>/dev/null"
    host.wait(lambda: os.system(probe) != 0, "the session ends")  # noqa: S605
