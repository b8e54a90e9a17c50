"""Tasks and requests reach their hosts: real sshd, rsync and agents, and a ledger of what ran."""

from __future__ import annotations

import json
import shutil
import signal
import threading
from typing import TYPE_CHECKING

import pytest
from fleet_agents import Agents, collector, drop, result
from fleet_network import wait_for

from agent.fleet.exchange import connect
from agent.fleet.layout import ANY, Mirror
from agent.fleet.outbox import Parcel
from agent.fleet.push import push
from agent.fleet.reassign import Move, ask
from spool.records import State
from spool.view import session

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from fleet_network import Network


@pytest.fixture
def agents(network: Network) -> Iterator[Agents]:
    agents = Agents(network)
    yield agents
    agents.close()


@pytest.fixture
def rounds(network: Network) -> Callable[..., None]:
    """Make rounds, as cron does, until something is so."""

    def until(condition: Callable[[], object], what: str, most: int = 30) -> None:
        for _ in range(most):
            assert collector(network).run_once()
            if condition():
                return
        pytest.fail(f"after {most} rounds: {what}")

    return until


def text_of(path: Path) -> str:
    return path.read_text() if path.exists() else ""


def state_of(network: Network, host: str, task_id: str) -> State | None:
    found = result(network.mirror(host).workspace, task_id)
    return found.state if found else None


def test_a_task_goes_there_and_its_result_comes_back(
    network: Network, agents: Agents, rounds: Callable[..., None]
) -> None:
    """With its input files, the executable bit among them; nothing is left on the way."""
    remote = network.host("a")
    agents.start(remote)
    files = network.workspace.root / "fleet" / "a" / "tasks" / "t1.files"
    files.mkdir(parents=True)
    (files / "run.sh").write_text(f"#!/bin/sh\n{agents.command()}\necho from the script\n")
    (files / "run.sh").chmod(0o755)
    drop(network, "a", "t1", command="./run.sh")
    rounds(lambda: state_of(network, "a", "t1"), "t1 is over")
    found = result(network.mirror("a").workspace, "t1")
    assert found is not None
    assert (found.state, found.output.text) == (State.SUCCEEDED, "from the script\n")
    assert agents.ran() == ["t1 a"]
    rounds(
        lambda: not list((network.mirror("a").root / ".sent" / "tasks").iterdir()), "nothing is on its way"
    )
    assert sorted(p.name for p in network.mirror("a").workspace.tasks.iterdir()) == ["held"]
    assert list(remote.workspace.inbox_tasks.iterdir()) == []


def test_what_arrived_twice_runs_once(
    network: Network, agents: Agents, rounds: Callable[..., None], tmp_path: Path
) -> None:
    """A push whose end nobody heard of is made again: before the agent looked, and when all is over."""
    remote = network.host("a")
    drop(network, "a", "t1", command=agents.command("a"))
    rounds((remote.workspace.inbox_tasks / "t1.json").exists, "t1 is delivered")
    parcel = Parcel(network.mirror("a").sent.tasks / "t1")
    shutil.copytree(parcel.folder, tmp_path / "t1")

    def push_again() -> None:
        one = collector(network).peers["a"]
        connect(one)
        mirror = Mirror(tmp_path / "again")
        (mirror.sent.tasks).mkdir(parents=True, exist_ok=True)
        shutil.copytree(tmp_path / "t1", mirror.sent.tasks / "t1", dirs_exist_ok=True)
        push(one.sending, mirror, [Parcel(mirror.sent.tasks / "t1")], [], one.watching)

    push_again()
    agents.start(remote)
    rounds(lambda: state_of(network, "a", "t1"), "t1 is over")
    push_again()
    wait_for(lambda: not list(remote.workspace.inbox_tasks.iterdir()), "the repetition is taken")
    assert agents.ran() == ["t1 a"]
    assert list(remote.workspace.rejected.iterdir()) == []


def test_a_refusal_comes_back_and_the_task_may_be_dropped_again(
    network: Network, agents: Agents, rounds: Callable[..., None]
) -> None:
    """The error is here as it is there; mended on the host, the very same file is a new task."""
    remote = network.host("a")
    agents.start(remote)
    drop(network, "a", "t1", tool="mine", command=agents.command("a"))
    rejected = network.mirror("a").workspace.rejected
    rounds((rejected / "t1.json.error.json").exists, "t1 is refused")
    assert "mine" in json.loads((rejected / "t1.json.error.json").read_text())["what"]
    assert list(network.mirror("a").sent.tasks.iterdir()) == []
    (remote.workspace.configs / "tools.toml").write_text(
        '[tools.mine]\npath = "/bin/sh"\nargv = ["$executable", "-c", "$command"]\n'
    )
    agents.processes["a"].send_signal(signal.SIGHUP)
    wait_for(lambda: "options reloaded" in text_of(remote.workspace.logs / "agent.log"), "reloaded")
    drop(network, "a", "t1", tool="mine", command=agents.command("a"))
    rounds(lambda: state_of(network, "a", "t1"), "t1 is over")
    assert agents.ran() == ["t1 a"]


def test_tasks_of_any_are_spread_and_wait_for_room(
    network: Network, agents: Agents, rounds: Callable[..., None]
) -> None:
    """Two hosts with one slot each run a dozen tasks: all of them once, and both hosts some."""
    for name in ("a", "b"):
        agents.start(network.host(name), slots=1)
    ids = [f"t{number:02d}" for number in range(12)]
    for task_id in ids:
        drop(network, ANY, task_id, command=agents.command())
    rounds(lambda: len(agents.ran()) == len(ids), "all have run", most=60)
    assert sorted(line.split()[0] for line in agents.ran()) == ids
    assert {line.split()[1] for line in agents.ran()} == {"a", "b"}


def test_a_task_takes_files_from_one_that_ran_elsewhere(
    network: Network, agents: Agents, rounds: Callable[..., None]
) -> None:
    """The result is handed over; the dependent starts only then, and finds its input where it always is."""
    for name in ("a", "b"):
        agents.start(network.host(name))
    drop(
        network,
        "b",
        "second",
        command=f"cat first/artifacts/data; {agents.command()}",
        inputs=["first:artifacts/data"],
    )
    drop(network, "a", "first", command=f'echo 42 > "$AISPOOL_ARTIFACTS/data"; {agents.command()}')
    rounds(lambda: state_of(network, "b", "second"), "second is over")
    found = result(network.mirror("b").workspace, "second")
    assert found is not None
    assert (found.state, found.output.text) == (State.SUCCEEDED, "42\n")
    assert agents.ran() == ["first a", "second b"]


class TestRequests:
    """What people put into a mirror has its effect on the host."""

    def test_cancel_answer_and_retry(
        self, network: Network, agents: Agents, rounds: Callable[..., None]
    ) -> None:
        """A task asks, is answered here, is cancelled here, and is run again from here."""
        agents.start(network.host("a"))
        seen = network.mirror("a").workspace
        script = (
            f'{agents.command("a")}; echo "go on?" > "$AISPOOL_WAITING"; '
            'until [ -s "$AISPOOL_ANSWERS/001.txt" ]; do sleep 0.05; done; rm "$AISPOOL_WAITING"; '
            'cat "$AISPOOL_ANSWERS/001.txt"; sleep 300'
        )
        drop(network, "a", "t1", command=script)

        def status() -> str:
            view = session(seen.sessions / "t1")
            return str(view.state) if view else ""

        rounds(lambda: status() == "waiting_input", "t1 asks")
        (seen.sessions / "t1" / "answer").mkdir()
        (seen.sessions / "t1" / "answer" / "001.txt").write_text("yes, please")
        log = network.hosts["a"].workspace.logs / "shell-t1.log"
        rounds(lambda: b"yes, please" in log.read_bytes(), "the answer arrived")
        rounds(lambda: status() == "running", "t1 goes on")
        (seen.sessions / "t1" / "cancel").touch()
        rounds(lambda: state_of(network, "a", "t1") is State.CANCELLED, "t1 is cancelled")
        (seen.results / "t1" / "retry").touch()
        rounds(lambda: agents.ran() == ["t1 a", "t1 a"], "t1 runs again")
        (network.hosts["a"].workspace.sessions / "t1" / "cancel").touch()
        rounds(lambda: not list(network.mirror("a").sent_controls.iterdir()), "all requests are done")

    def test_hold_release_and_pause(
        self, network: Network, agents: Agents, rounds: Callable[..., None]
    ) -> None:
        """`mv` and `touch` in the mirror are followed by the host, and then shown as they are there."""
        remote = network.host("a")
        agents.start(remote)
        seen = network.mirror("a").workspace
        rounds(lambda: True, "the mirror is there")
        (seen.configs / "paused").touch()
        rounds((remote.workspace.configs / "paused").exists, "the host is paused")
        drop(network, "a", "t1", command=agents.command("a"))
        rounds((remote.workspace.tasks / "t1.json").exists, "t1 waits there")
        rounds(lambda: "paused" in text_of(seen.tasks / "t1.why"), "the mirror says why")
        (seen.tasks / "t1.json").rename(seen.held / "t1.json")
        rounds((remote.workspace.held / "t1.json").exists, "t1 is held there")
        rounds((seen.configs / "paused").exists, "the pause is seen here")
        (seen.configs / "paused").unlink()
        rounds(lambda: not (remote.workspace.configs / "paused").exists(), "the host goes on")
        rounds(lambda: not list(network.mirror("a").sent_controls.iterdir()), "all requests are done")
        assert (seen.held / "t1.json").exists()
        assert not (seen.tasks / "t1.json").exists()
        assert agents.ran() == []
        (seen.held / "t1.json").rename(seen.tasks / "t1.json")
        rounds(lambda: state_of(network, "a", "t1"), "t1 is over")
        assert agents.ran() == ["t1 a"]

    def test_approve(self, network: Network, agents: Agents, rounds: Callable[..., None]) -> None:
        """An approval of exactly these bytes lies in the host's session."""
        remote = network.host("a")
        agents.start(remote)
        drop(network, "a", "t1", command="sleep 300")
        session_here = network.mirror("a").workspace.sessions / "t1"
        rounds((session_here / "status.json").exists, "t1 runs")
        (session_here / "approve").mkdir()
        (session_here / "approve" / "2").write_text("cd" * 32)
        there = remote.workspace.sessions / "t1" / "approve" / "2"
        rounds(there.exists, "the approval arrived")
        assert there.read_text() == "cd" * 32 + "\n"
        (remote.workspace.sessions / "t1" / "cancel").touch()
        rounds(lambda: state_of(network, "a", "t1"), "t1 is over")


class TestReassign:
    """A task goes to another host only when it has provably not started, or when that was asked for."""

    def test_what_waits_on_a_host_that_answers_is_withdrawn(
        self, network: Network, agents: Agents, rounds: Callable[..., None]
    ) -> None:
        """Its cancelled result is the proof; then it runs on the other one."""
        first, second = network.host("a"), network.host("b")
        agents.start(first)
        agents.start(second)
        (first.workspace.configs / "paused").touch()
        drop(network, "a", "t1", command=agents.command())
        rounds((network.mirror("a").raw / "tasks" / "t1.json").exists, "t1 waits on a")
        self.ask(network, "a", "t1", Move(to="b"))
        rounds(lambda: state_of(network, "b", "t1"), "t1 is over on b")
        assert agents.ran() == ["t1 b"]
        assert state_of(network, "a", "t1") is State.CANCELLED

    def test_what_has_started_stays(
        self, network: Network, agents: Agents, rounds: Callable[..., None]
    ) -> None:
        """The withdrawal comes too late, and the task ends where it is."""
        network.host("b")
        agents.start(network.host("a"))
        drop(
            network,
            "a",
            "t1",
            command=f"{agents.command()}; until [ -e {network.folder}/gate ]; do sleep 0.05; done",
        )
        rounds(lambda: agents.ran() == ["t1 a"], "t1 runs")
        self.ask(network, "a", "t1", Move(to="b"))
        parcel = Parcel(network.mirror("a").sent.tasks / "t1")
        rounds(lambda: not parcel.has("move"), "the request is given up")
        (network.folder / "gate").touch()
        rounds(lambda: state_of(network, "a", "t1"), "t1 is over")
        assert agents.ran() == ["t1 a"]

    def test_what_a_dark_host_may_have_stays_unless_that_is_harmless(
        self, network: Network, agents: Agents, rounds: Callable[..., None]
    ) -> None:
        """The idempotent one goes elsewhere; when the host is back, it is told to cancel its copy."""
        first = network.host("a")
        agents.start(network.host("b"))
        for task_id, idempotent in (("safe", True), ("unsafe", False)):
            drop(network, "a", task_id, command=agents.command(), idempotent=idempotent)
        rounds((first.workspace.inbox_tasks / "unsafe.json").exists, "both are delivered")
        first.sshd.stop()
        collector(network).run_once()
        for task_id in ("safe", "unsafe"):
            self.ask(network, "a", task_id, Move(to="b"))
        for _ in range(20):
            collector(network).run_once()
            if agents.ran():
                break
        assert agents.ran() == ["safe b"]
        why = (network.mirror("a").workspace.tasks / "unsafe.why").read_text()
        assert "may be on a, which is not reachable" in why
        first.sshd.start()
        agents.start(first)
        rounds(lambda: state_of(network, "a", "unsafe"), "the host is back, and has run what stayed")
        rounds(lambda: not list(network.mirror("a").sent_controls.iterdir()), "and was told about the other")
        assert [line for line in agents.ran() if line.startswith("unsafe")] == ["unsafe a"]

    def test_what_was_never_given_moves_at_once(self, network: Network, agents: Agents) -> None:
        """Its host was dark all the time."""
        network.host("a", serving=False)
        agents.start(network.host("b"))
        drop(network, "a", "t1", command=agents.command())
        collector(network).run_once()
        parcel = Parcel(network.mirror("a").outbox.tasks / "t1")
        ask(parcel, Move(to="b"))
        for _ in range(20):
            collector(network).run_once()
            if state_of(network, "b", "t1"):
                break
        assert agents.ran() == ["t1 b"]

    def ask(self, network: Network, host: str, task_id: str, move: Move) -> None:
        ask(Parcel(network.mirror(host).sent.tasks / task_id), move)


def test_a_host_that_is_long_to_show_delays_no_other(network: Network) -> None:
    """While its mirror is brought up to date, what was dropped for others is taken up and given."""
    for name in ("a", "b"):
        network.host(name)
    one = collector(network)
    for name in ("a", "b"):
        drop(network, name, f"t-{name}")
    with one.files("a"):
        thread = threading.Thread(target=one.run)
        thread.start()
        try:
            wait_for((network.hosts["b"].workspace.inbox_tasks / "t-b.json").exists, "b has its task")
            assert not (network.hosts["a"].workspace.inbox_tasks / "t-a.json").exists()
        except BaseException:
            one.end()
            raise
    wait_for((network.hosts["a"].workspace.inbox_tasks / "t-a.json").exists, "a has its task, too")
    one.end()
    thread.join(60)
    assert not thread.is_alive()
