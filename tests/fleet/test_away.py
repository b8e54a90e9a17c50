"""Hosts that are away, empty, replaced, silent or stuck: nothing is taken for gone, and nobody else waits."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from fleet_network import COLLECTOR, Network, Remote

from agent.fleet import calls, rsync
from agent.fleet.exchange import connect
from spool.enrol import enrol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from agent.fleet.engine import Collector


@pytest.fixture
def filled(network: Network) -> Remote:
    """A host of which everything was collected."""
    remote = network.host("a")
    remote.wait("waits")
    remote.run("runs", b"line\n")
    remote.run("done")
    remote.finish("done")
    assert network.round()
    return remote


def visible(network: Network) -> dict[str, bytes]:
    """Return what people see of the host, without what says how it is."""
    root = network.mirror("a").root
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file() and not path.relative_to(root).parts[0].startswith((".", "state"))
    }


def empty(remote: Remote) -> None:
    for path in remote.workspace.root.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def no_version(remote: Remote) -> None:
    remote.workspace.version_file.unlink()
    shutil.rmtree(remote.workspace.tasks)


def gone(remote: Remote) -> None:
    remote.workspace.root.rename(remote.home / "elsewhere")


def not_enrolled(remote: Remote) -> None:
    remote.workspace.enrolment.unlink()
    (remote.workspace.tasks / "waits.json").unlink()


def another(remote: Remote) -> None:
    remote.workspace.enrolment.unlink()
    enrol(remote.workspace, COLLECTOR)
    (remote.workspace.tasks / "waits.json").unlink()


def of_another(remote: Remote) -> None:
    remote.workspace.enrolment.unlink()
    enrol(remote.workspace, "somebody")


def newer(remote: Remote) -> None:
    remote.workspace.version_file.write_text("99\n")


def nonsense(remote: Remote) -> None:
    remote.workspace.enrolment.write_text("{")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (empty, "no VERSION"),
        (no_version, "no VERSION"),
        (gone, "no VERSION"),
        (not_enrolled, "not enrolled any more"),
        (another, "another workspace"),
        (of_another, "collected by somebody"),
        (newer, "protocol 99"),
        (nonsense, "damaged"),
    ],
)
def test_another_workspace_changes_nothing(
    network: Network, filled: Remote, change: Callable[[Remote], None], says: str
) -> None:
    """Until it is the workspace that we know, what was mirrored stays as it is."""
    before = visible(network)
    change(filled)
    for _ in range(3):
        network.round()
    assert visible(network) == before
    problem = network.state("a").problem
    assert problem is not None
    assert says in problem


def test_a_workspace_that_comes_back(network: Network, filled: Remote) -> None:
    """Its disk was not mounted for a while."""
    before = visible(network)
    gone(filled)
    assert network.round()
    (filled.home / "elsewhere").rename(filled.workspace.root)
    for _ in range(2):
        assert network.round()
    assert visible(network) == before
    assert network.state("a").problem is None


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A host that accepts connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


@pytest.fixture
def running(network: Network) -> Iterator[Callable[[], Collector]]:
    """A collector that works in the background until the test is over."""
    started: list[tuple[Collector, threading.Thread]] = []

    def start() -> Collector:
        collector = network.collector()
        thread = threading.Thread(target=collector.run)
        thread.start()
        started.append((collector, thread))
        return collector

    yield start
    for collector, thread in started:
        collector.end()
        thread.join(60)
        assert not thread.is_alive(), "it stops when it is told to"


def test_dead_hosts_delay_no_other(
    network: Network, silent_port: int, running: Callable[[], Collector], until: Callable[..., None]
) -> None:
    """One transfer at a time, many hosts that never answer: the living one is collected meanwhile."""
    network.options["jobs"] = 1
    for number in range(20):
        dead = network.host(f"dead{number}", serving=False)
        dead.sshd.port = silent_port
    remote = network.host("alive")
    remote.run("t1")
    remote.finish("t1")
    running()
    until((network.mirror("alive").workspace.results / "t1" / "result.json").exists, "it is collected")
    assert not any(network.mirror(f"dead{number}").state_file.exists() for number in range(20))


def test_the_first_answer_after_an_outage_collects(
    network: Network, filled: Remote, running: Callable[[], Collector], until: Callable[..., None]
) -> None:
    filled.sshd.stop()
    running()
    until(lambda: network.state("a").reachable is False and network.state("a").attempt >= 2, "it is away")
    state = network.state("a")
    assert state.error
    assert state.last_seen_at is not None
    assert state.next_try_at is not None
    filled.run("later")
    filled.finish("later")
    filled.sshd.start()
    until((network.mirror("a").workspace.results / "later" / "result.json").exists, "it is collected")
    until(lambda: network.state("a").reachable, "it is said to be back")
    assert network.state("a").error is None


def test_a_stopped_master_does_not_hang(network: Network, filled: Remote) -> None:
    """A connection whose master never answers is ended, and made anew."""
    collector = network.collector()
    one = collector.peers["a"]
    connect(one)
    before = filled.sshd.connections()
    assert calls.is_open(one.collect)
    assert filled.sshd.connections() == before, "one connection serves all calls"
    masters = pids_of(one.collect.socket)
    assert len(masters) == 1
    os.kill(masters[0], signal.SIGSTOP)
    filled.run("later")
    filled.finish("later")
    assert collector.run_once()
    assert (network.mirror("a").workspace.results / "later" / "result.json").exists()
    assert not Path(f"/proc/{masters[0]}/cmdline").exists() or is_zombie(masters[0])


def pids_of(path: Path) -> list[int]:
    found = []
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            try:
                if os.fsencode(path) in (process / "cmdline").read_bytes():
                    found.append(int(process.name))
            except OSError:
                continue
    return found


def is_zombie(pid: int) -> bool:
    return " Z " in Path(f"/proc/{pid}/stat").read_text()


def test_a_collector_that_is_told_to_stop_stops_a_transfer(
    network: Network, running: Callable[[], Collector], until: Callable[..., None]
) -> None:
    """It leaves no connection behind, and no process."""
    remote = network.host("a", bandwidth_kib_s=20)
    remote.run("big")
    remote.finish("big", os.urandom(2_000_000))
    collector = running()
    partial = network.mirror("a").incoming / "results/big/attempts/001"
    until(lambda: partial.exists() and any(partial.iterdir()), "it is on its way")
    collector.end()
    until(lambda: not pids_of(network.folder / "run"), "nothing of it runs any more")


@pytest.mark.parametrize(
    ("code", "says"),
    [(1, "called wrongly"), (2, "understand"), (11, "disk"), (127, "install"), (12, "broke")],
)
def test_what_an_exit_status_means(network: Network, filled: Remote, code: int, says: str) -> None:
    """Each is told in words, is tried again, and changes nothing."""
    before = visible(network)
    program = filled.bin / "rsync"
    program.write_text(f"#!/bin/sh\nexit {code}\n")
    program.chmod(0o700)
    assert not network.round()
    assert visible(network) == before
    state = network.state("a")
    assert state.error is not None
    assert state.attempt == 1
    ended = calls.Ended(code, b"", "")
    assert says in rsync.sentence(ended)
    program.unlink()
    assert network.round()


def test_files_that_vanish_or_cannot_be_read_stop_nothing(network: Network, filled: Remote) -> None:
    """Rsync's 24 and 23: the round goes on; what its host could not read to the end is not taken."""
    seen = network.mirror("a").workspace
    program = filled.bin / "rsync"
    for code in (24, 23):
        filled.wait(f"waits{code}")
        filled.run(f"t{code}")
        filled.finish(f"t{code}")
        program.write_text(f'#!/bin/sh\n/usr/bin/rsync "$@"\nexit {code}\n')
        program.chmod(0o700)
        assert network.round()
        assert (seen.tasks / f"waits{code}.json").exists()
    assert (seen.results / "t24/result.json").exists()
    assert not (seen.results / "t23").exists()
    assert "results/t23: not all of it can be read there" in network.state("a").refused[0]
    program.unlink()
    assert network.round()
    assert (seen.results / "t23/result.json").exists()


def test_an_unknown_key_is_refused_unless_a_person_says_otherwise(network: Network) -> None:
    network.host("a")
    network.client.known_hosts.write_text("")
    assert not network.round()
    error = network.state("a").error
    assert error is not None
    assert "Host key verification failed" in error
    network.options["new_host_keys"] = True
    assert network.round()


def test_without_room_no_results_are_fetched(network: Network, filled: Remote) -> None:
    """What runs there is seen all the same, and the reason is told."""
    filled.run("later")
    filled.finish("later")
    filled.run("new")
    network.options["reserve_bytes"] = 1 << 60
    assert network.round()
    seen = network.mirror("a").workspace
    assert not (seen.results / "later").exists()
    assert (seen.sessions / "new" / "status.json").exists()
    assert "no results are fetched" in (network.state("a").error or "")
    network.options["reserve_bytes"] = 0
    assert network.round()
    assert (seen.results / "later" / "result.json").exists()


def test_a_limit_of_bandwidth_reaches_rsync(network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    """That of the host before that of all hosts."""
    network.options["bandwidth_kib_s"] = 500
    network.host("a", bandwidth_kib_s=70)
    network.host("b")
    seen: list[str] = []
    real = calls.run

    def run(argv: list[str], *arguments: object, **more: object) -> calls.Ended:
        seen.extend(word for word in argv if word.startswith("--bwlimit"))
        return real(argv, *arguments, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(calls, "run", run)
    assert network.round()
    assert set(seen) == {"--bwlimit=70", "--bwlimit=500"}


STRACE = """#!/bin/sh
exec strace -f -qq -o "$HOME/trace.$$" -e trace=%file,getdents64 /usr/bin/rsync "$@"
"""


def test_an_empty_round_costs_the_same_with_any_history(network: Network) -> None:
    """One connection, and as many files looked at with hundreds of results as with one."""
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    remote = network.host("a")
    touched: list[int] = []
    for history in (1, 200):
        for number in range(history):
            remote.run(f"h{history}-{number}")
            remote.finish(f"h{history}-{number}", marked=False)
            (remote.workspace.rejected / f"r{history}-{number}.json").touch()
        rounds = network.collector()
        assert rounds.run_once()
        (remote.bin / "rsync").write_text(STRACE)
        (remote.bin / "rsync").chmod(0o700)
        connections = remote.sshd.connections()
        assert rounds.run_once()
        assert remote.sshd.connections() == connections + 1
        traces = list(remote.home.glob("trace.*"))
        assert len(traces) == 1, "one transfer"
        touched.append(traces[0].read_text().count("\n"))
        for trace in traces:
            trace.unlink()
        (remote.bin / "rsync").unlink()
    assert touched[0] == touched[1], touched


def test_hosts_are_taken_up_and_left_while_the_collector_runs(
    network: Network, running: Callable[[], Collector], until: Callable[..., None]
) -> None:
    """Also when one is replaced by another of its name in the middle of a round."""
    first = network.host("a", bandwidth_kib_s=50)
    first.run("big")
    first.finish("big", os.urandom(200_000))
    collector = running()
    partial = network.mirror("a").incoming / "results/big/attempts/001"
    until(lambda: partial.exists() and any(partial.iterdir()), "a round is under way")
    first.options = {}
    network.configure()
    second = network.host("b")
    second.run("t1")
    second.finish("t1")
    until((network.mirror("b").workspace.results / "t1" / "result.json").exists, "the new one is collected")
    until((network.mirror("a").workspace.results / "big" / "result.json").exists, "the changed one, too")
    until(lambda: collector.peers["a"].host.bandwidth_kib_s is None, "and is taken up")
    del network.hosts["b"]
    network.configure()
    until(lambda: "b" not in collector.peers, "one is left")
    second.sshd.stop()
    assert (network.mirror("b").workspace.results / "t1" / "result.json").exists(), "what it had stays"


def test_the_agent_is_started_whenever_its_host_was_connected_anew(
    network: Network, filled: Remote, running: Callable[[], Collector], until: Callable[..., None]
) -> None:
    """Where that is wanted: at first, and after an outage; not in every round."""
    network.options["start_agents"] = True
    started = filled.home / "started"
    script = filled.workspace.root / "scripts/start-agent.sh"
    script.parent.mkdir(exist_ok=True)
    script.write_text(f"echo started >> {started}\n")

    def times() -> int:
        return started.read_text().count("started") if started.exists() else 0

    collector = running()
    until(lambda: network.state("a").collected_at, "it is collected")
    first = network.state("a").collected_at
    until(lambda: network.state("a").collected_at != first, "and again")
    assert times() == 1
    filled.sshd.stop()
    until(lambda: network.state("a").reachable is False, "it is away")
    filled.sshd.start()
    until(lambda: network.state("a").reachable, "it is back")
    assert times() == 2
    collector.end()
