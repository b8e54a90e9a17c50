"""Agents themselves: signals, names, several on one workspace, and what systemd is told."""

from __future__ import annotations

import signal
import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Host


def test_sigterm_drains_and_the_next_adopts(host: Host) -> None:
    """SIGTERM: exit 0 at once, nothing new is claimed, what runs goes on and is the next agent's."""
    agent = host.start(slots=1)
    host.drop("runs", "gate", "go")
    host.wait_for_run("runs")
    host.drop("waits")
    host.why("waits", "queued")
    assert agent.stop() == 0
    beat = host.read(agent.folder / "agent.json")
    assert beat is not None
    assert beat["state"] == "stopped"
    status = host.status("runs")
    assert status is not None
    assert status["state"] == "running", "what was put off is written before it stops"
    assert host.ledger() == ["runs 001"]
    host.start(slots=1)
    host.open_gate("go")
    assert host.results("runs", "waits") == {"runs": "succeeded", "waits": "succeeded"}
    assert host.ledger() == ["runs 001", "waits 001"]


def test_ended_without_an_agent(host: Host) -> None:
    """A task that ends while no agent runs is recorded by the next one, with its own times."""
    agent = host.start()
    host.drop("t", "gate", "go")
    host.wait_for_run("t")
    assert agent.stop() == 0
    host.open_gate("go")
    exit_file = host.ws.sessions / "t/attempts/001/exit"
    host.wait(exit_file.exists, "the wrapper recorded the end")
    host.drain()
    recorded = host.read(host.ws.results / "t/attempts/001/exit")
    assert recorded is not None
    assert host.result("t")["finished_at"] == recorded["finished_at"]


def test_sighup_reloads(host: Host) -> None:
    """SIGHUP: new limits, tools and rules count from now on, for what waits as well."""
    agent = host.start(slots=4)
    host.put("t.json", b'{"task_id": "t", "tool": "later", "command": "true"}')
    host.refusal("t.json")
    host.tools(extra='[tools.later]\nargv = ["/bin/sh", "-c", "$command"]')
    host.configure(slots_by_tool={"actor": 1})
    agent.signal(signal.SIGHUP)
    host.wait(lambda: "options reloaded" in host.agent_log(), "it was reloaded")
    host.put("t2.json", b'{"task_id": "t2", "tool": "later", "command": "true"}')
    assert host.results("t2") == {"t2": "succeeded"}
    host.drop("a", "gate", "go")
    host.drop("b", "gate", "go")
    host.wait(host.ledger, "one of them runs")
    host.why("a" if (host.ws.tasks / "a.json").exists() else "b", "actor")
    assert len(host.ledger()) == 1
    host.open_gate("go")
    assert host.results("a", "b") == {"a": "succeeded", "b": "succeeded"}


def test_sighup_keeps_the_old_options_of_a_broken_file(host: Host) -> None:
    """A broken agent.toml or tools.toml is said, with its place, and nothing changes."""
    agent = host.start()
    for name in ("agent.toml", "tools.toml"):
        path = host.ws.configs / name
        before = path.read_text()
        path.write_text("slots = [\n")
        agent.signal(signal.SIGHUP)
        host.wait(lambda n=name: f"{n}, " in host.agent_log(), f"{name} is named")
        path.write_text(before)
    assert host.agent_log().count("the old ones stay") == 2
    host.drop("t")
    assert host.results("t") == {"t": "succeeded"}
    assert agent.stop() == 0


def test_broken_file_at_start_is_said(host: Host) -> None:
    """An agent does not start on a broken agent.toml: exit 1, file, place and remedy, no traceback."""
    (host.ws.configs / "agent.toml").write_text("slotz = 3\n")
    agent = host.spawn()
    assert agent.process.wait(20) == 1
    assert "agent.toml" in agent.said
    assert "slots" in agent.said
    assert "Traceback" not in agent.said


def test_reload_cannot_change_the_name(host: Host) -> None:
    """The name is the agent's lock: a reload leaves it, and the slots of the command line stay."""
    host.configure(name="other")
    agent = host.start(name="a1", slots=1)
    agent.signal(signal.SIGHUP)
    host.wait(lambda: "options reloaded" in host.agent_log(), "it was reloaded")
    host.drop("a", "gate", "go")
    host.wait_for_run("a")
    host.drop("b", "gate", "go")
    host.why("b", "slot")
    assert len(host.ledger()) == 1, "one slot, as the command line said"
    host.open_gate("go")
    assert host.results("a", "b") == {"a": "succeeded", "b": "succeeded"}


def test_second_agent_of_a_name_is_refused(host: Host) -> None:
    """The same name twice: exit 1 and a message that says what to do; the first is not disturbed."""
    host.start()
    second = host.spawn()
    assert second.process.wait(30) == 1
    assert "an agent named a1 already works" in second.said
    assert "Traceback" not in second.said
    idle = host.spawn("--drain", "--if-idle")
    assert idle.process.wait(30) == 0
    assert idle.said == ""
    host.drop("t")
    assert host.results("t") == {"t": "succeeded"}


def test_two_agents_share_a_workspace(host: Host) -> None:
    """Two names, two hundred short tasks, half of them dropped while both run: each runs once."""
    names = [f"t{i:03d}" for i in range(200)]
    for name in names[:100]:
        host.drop(name)
    host.start(name="a1", slots=4)
    host.start(name="a2", slots=4)
    for name in names[100:]:
        host.drop(name)
    assert set(host.results(*names, limit_s=90).values()) == {"succeeded"}
    assert sorted(host.ledger()) == [f"{name} 001" for name in names]
    agents = {
        (host.read(host.ws.results / name / "attempts/001/intent") or {}).get("agent") for name in names
    }
    assert agents == {"a1", "a2"}, "both took part"
    assert not list(host.ws.rejected.iterdir())


def test_dead_agents_tasks_are_taken_over(host: Host) -> None:
    """What an agent left that was killed on this machine is carried on by another one, without a restart."""
    first = host.start(name="a1")
    host.drop("runs", "gate", "go")
    host.wait_for_run("runs")
    host.drop(
        "retries", "fail", "1", retry_policy={"max_retries": 1, "backoff": "fixed", "initial_delay_s": 2}
    )
    host.wait_for_state("retries", "deferred")
    second = host.start(name="a2")
    host.drop("other")
    first.kill()
    host.open_gate("go")
    assert set(host.results("runs", "retries", "other").values()) == {"succeeded"}
    assert "session taken over task_id=runs" in host.agent_log()
    assert second.stop() == 0
    assert sorted(host.ledger()) == ["other 001", "retries 001", "retries 002", "runs 001"]


def test_unpublished_claim_of_the_dead_is_taken_over(host: Host) -> None:
    """A claim whose agent died before it was published is carried on by whoever finds it."""
    claim = host.ws.agent("gone") / "t"
    (claim / "source").mkdir(parents=True)
    (claim / "source" / "t.json").write_text('{"task_id": "t", "tool": "actor", "command": "finish"}')
    host.drain(name="a2")
    assert host.results("t") == {"t": "succeeded"}
    assert not claim.exists()


def listen(path: Path) -> socket.socket:
    channel = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    channel.bind(str(path))
    channel.settimeout(20)
    return channel


def test_systemd_is_told(host: Host) -> None:
    """READY when tasks are watched for, WATCHDOG in time, STATUS, RELOADING and READY again, STOPPING."""
    path = host.folder / "notify"
    heard: list[str] = []

    def until(word: str) -> None:
        while not any(word in line for message in heard[seen:] for line in message.splitlines()):
            heard.append(channel.recv(4096).decode())

    with listen(path) as channel:
        seen = 0
        agent = host.start(NOTIFY_SOCKET=str(path), WATCHDOG_USEC="1000000")
        until("READY=1")
        until("STATUS=")
        until("WATCHDOG=1")
        host.drop("t", "gate", "go")
        until("STATUS=1 in session, 0 waiting")
        host.open_gate("go")
        until("STATUS=0 in session, 0 waiting")
        seen = len(heard)
        agent.signal(signal.SIGHUP)
        until("RELOADING=1")
        until("MONOTONIC_USEC=")
        until("READY=1")
        agent.signal(signal.SIGTERM)
        until("STOPPING=1")
        assert agent.process.wait(20) == 0


def test_watchdog_is_fed_while_busy(host: Host) -> None:
    """With WATCHDOG_USEC the agent speaks at least every half of it, however many tasks come."""
    path = host.folder / "notify"
    with listen(path) as channel:
        host.configure(scan_interval_s=30.0)
        host.start(NOTIFY_SOCKET=str(path), WATCHDOG_USEC="2000000", slots=4)
        for number in range(40):
            host.drop(f"t{number}")
        channel.settimeout(2.0)
        fed = 0
        while fed < 4:
            fed += "WATCHDOG=1" in channel.recv(4096).decode()
        host.results(*[f"t{number}" for number in range(40)])


def test_workspace_of_a_newer_protocol_is_refused(host: Host) -> None:
    """An agent never touches a newer protocol's workspace."""
    host.ws.version_file.write_text("99\n")
    host.drop("t")
    agent = host.spawn()
    assert agent.process.wait(20) == 1
    assert "upgrade" in agent.said
    assert host.ledger() == []


def test_folder_replaced_under_the_agent(host: Host) -> None:
    """tasks/ renamed away and made anew is watched again."""
    host.start()
    host.drop("before")
    host.result("before")
    host.ws.tasks.rename(host.folder / "old")
    host.ws.tasks.mkdir()
    host.ws.held.mkdir()
    host.drop("after")
    assert host.results("after") == {"after": "succeeded"}
