"""What a host has is here after a round, as it is there; nothing is torn, repeated, or taken for gone."""

from __future__ import annotations

import json
import os
import threading
from typing import TYPE_CHECKING

from fleet_network import COLLECTOR, digest, fill, wait_for

from agent.fleet import fetching, ssh
from agent.fleet.waiting import mirrored_tasks
from spool.enrol import enrol, mark
from spool.view import in_session

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pytest
    from fleet_network import Network


def names(folder: Path) -> list[str]:
    return sorted(os.listdir(folder))


def test_a_result_is_here_as_it_is_there(network: Network, tree: Callable[[Path], dict[str, bytes]]) -> None:
    remote = network.host("a")
    remote.run("t1", b"line 1\n")
    there = remote.finish("t1", b"the answer\n")
    assert network.round()
    mirror = network.mirror("a")
    assert tree(mirror.workspace.results / "t1") == tree(there)
    assert (mirror.workspace.logs / "shell-t1.log").read_bytes() == b"line 1\n"
    assert list(network.acknowledged("a")) == ["t1"]


def test_what_a_killed_transfer_left_is_no_part_of_a_result(
    network: Network, tree: Callable[[Path], dict[str, bytes]]
) -> None:
    """A killed rsync leaves its temporary files: they are not published with the rest."""
    remote = network.host("a")
    remote.run("t1")
    there = remote.finish("t1", b"the answer\n")
    left = network.mirror("a").incoming / "results" / "t1"
    (left / "attempts" / "001").mkdir(parents=True)
    for name in (".result.json.Xy12ab", "attempts/001/.stdout.Xy12ab"):
        (left / name).write_bytes(b"the ans")
    assert network.round()
    assert tree(network.mirror("a").workspace.results / "t1") == tree(there)


def test_what_waits_runs_and_was_refused(network: Network) -> None:
    """Everything that a person would look for on the host."""
    remote = network.host("a")
    remote.wait("first")
    (remote.workspace.tasks / "first.why").write_text("first queued: all slots are taken\n")
    remote.wait("held/second")
    remote.wait(".upload")
    (remote.workspace.tasks / "first.files").mkdir()
    remote.run("t1")
    (remote.workspace.rejected / "bad.json").write_text("{")
    (remote.workspace.rejected / "bad.json.error.json").write_text('{"file": "bad.json"}')
    (remote.workspace.configs / "paused.tool.gemini").touch()
    (remote.workspace.configs / "env" / "gemini.env").write_text("KEY=secret")
    agent = remote.workspace.agent("a")
    agent.mkdir()
    (agent / "agent.json").write_text('{"name": "a"}')
    assert network.round()
    seen = network.mirror("a").workspace
    assert names(seen.tasks) == ["first.json", "first.why", "held"]
    assert names(seen.held) == ["second.json"]
    assert [view.task_id for view in in_session(seen)] == ["t1"]
    assert names(seen.rejected) == ["bad.json", "bad.json.error.json"]
    assert (seen.configs / "paused.tool.gemini").exists()
    assert (seen.agent("a") / "agent.json").read_text() == '{"name": "a"}'
    assert not list(network.mirror("a").root.rglob("*.env")), "secrets stay on their host"
    state = network.state("a")
    assert (state.reachable, state.waiting, state.running, state.problem) == (True, 1, 1, None)


def test_what_is_over_there_is_over_here(network: Network) -> None:
    """Tasks that were claimed, held, released or removed; a session and a pause that ended."""
    remote = network.host("a")
    for name in ("claimed", "removed", "held", "stays"):
        remote.wait(name)
    remote.wait("held/released")
    remote.run("t1")
    (remote.workspace.configs / "paused").touch()
    assert network.round()
    seen = network.mirror("a").workspace
    (remote.workspace.tasks / "claimed.json").unlink()
    remote.run("claimed")
    (remote.workspace.tasks / "removed.json").unlink()
    (remote.workspace.tasks / "held.json").rename(remote.workspace.held / "held.json")
    (remote.workspace.held / "released.json").rename(remote.workspace.tasks / "released.json")
    remote.finish("t1")
    (remote.workspace.configs / "paused").unlink()
    collector = network.collector()
    assert collector.run_once()
    assert names(seen.held) == ["held.json"]
    assert not (seen.configs / "paused").exists()
    assert collector.run_once()
    assert names(seen.tasks) == ["held", "released.json", "stays.json"]
    assert names(seen.sessions) == ["claimed"]
    assert (seen.results / "t1/result.json").exists()


def test_a_task_that_moves_while_it_is_listed_stays(network: Network) -> None:
    """Rsync lists one folder after another, so what moves between them is in neither."""
    remote = network.host("a")
    waiting = remote.wait("moving")
    collector = network.collector()
    assert collector.run_once()
    away = waiting.rename(remote.home / "between")
    assert collector.run_once()
    seen = network.mirror("a").workspace
    assert (seen.tasks / "moving.json").exists()
    away.rename(waiting)
    assert collector.run_once()
    waiting.unlink()
    assert collector.run_once()
    assert (seen.tasks / "moving.json").exists(), "missing once"
    assert collector.run_once()
    assert not (seen.tasks / "moving.json").exists(), "missing twice"


def test_a_result_that_was_run_again_replaces_the_old_one(network: Network) -> None:
    remote = network.host("a")
    remote.run("t1", b"first run\n")
    remote.finish("t1", b"1")
    assert network.round()
    first = network.acknowledged("a")["t1"]
    folder = remote.workspace.results / "t1"
    folder.rename(remote.workspace.sessions / "t1")
    remote.run("t1", b"second run\n")
    assert network.round()
    seen = network.mirror("a").workspace
    assert [view.task_id for view in in_session(seen)] == ["t1"]
    remote.finish("t1", b"2", reason="the second run ended")
    assert network.round()
    assert (seen.results / "t1/attempts/001/stdout").read_bytes() == b"2"
    assert names(seen.sessions) == []
    assert (seen.logs / "shell-t1.log").read_bytes() == b"first run\nsecond run\n"
    assert network.acknowledged("a")["t1"] != first


def test_many_results_come_in_parts(network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "BATCH", 7)
    remote = network.host("a")
    for number in range(30):
        remote.run(f"t{number}", b"x")
        remote.finish(f"t{number}")
    assert network.round()
    assert len(names(network.mirror("a").workspace.results)) == 31, "and .tombstones"
    assert len(network.acknowledged("a")) == 30


def test_a_person_moves_a_mirrored_task(network: Network) -> None:
    """It stays where the person put it until the host follows, and is never taken for a new one."""
    remote = network.host("a")
    remote.wait("t1")
    remote.wait("held/t2")
    assert network.round()
    mirror = network.mirror("a")
    seen = mirror.workspace
    (seen.tasks / "t1.json").rename(seen.held / "t1.json")
    (seen.held / "t2.json").rename(seen.tasks / "t2.json")
    assert network.round()
    assert (names(seen.tasks), names(seen.held)) == (["held", "t2.json"], ["t1.json"])
    kinds = mirrored_tasks(mirror)
    assert kinds[(seen.held / "t1.json").stat().st_ino] == "tasks", "a wish to hold it"
    assert kinds[(seen.tasks / "t2.json").stat().st_ino] == "held", "a wish to release it"
    (remote.workspace.tasks / "t1.json").rename(remote.workspace.held / "t1.json")
    (remote.workspace.held / "t2.json").rename(remote.workspace.tasks / "t2.json")
    assert network.round()
    assert (names(seen.tasks), names(seen.held)) == (["held", "t2.json"], ["t1.json"])
    kinds = mirrored_tasks(mirror)
    assert kinds[(seen.held / "t1.json").stat().st_ino] == "held"
    assert len(kinds) == 2


def test_what_a_person_dropped_is_left_alone(network: Network) -> None:
    remote = network.host("a")
    remote.wait("t1")
    assert network.round()
    mirror = network.mirror("a")
    (mirror.workspace.tasks / "mine.json").write_text("{}")
    (mirror.workspace.tasks / "t1.json").unlink()
    (mirror.workspace.configs / "paused").touch()
    for _ in range(2):
        assert network.round()
    assert names(mirror.workspace.tasks) == ["held", "mine.json", "t1.json"]
    assert (mirror.workspace.tasks / "mine.json").stat().st_ino not in mirrored_tasks(mirror)
    assert (mirror.workspace.configs / "paused").exists()


def test_a_pause_that_a_person_took_away_stays_away(network: Network) -> None:
    """That asks the host to go on; its own file goes when it does."""
    remote = network.host("a")
    (remote.workspace.configs / "paused").touch()
    assert network.round()
    seen = network.mirror("a").workspace.configs / "paused"
    seen.unlink()
    assert network.round()
    assert not seen.exists()


def test_a_host_that_is_not_enrolled_is_asked_to(network: Network) -> None:
    """Until it is, its results are its own; what runs there is seen all the same."""
    remote = network.host("a", enrolled=False)
    remote.run("t0")
    remote.finish("t0", marked=False)
    remote.run("t1")
    for _ in range(2):
        assert network.round()
    seen = network.mirror("a").workspace
    assert names(seen.results) == [".tombstones"]
    assert names(seen.sessions) == ["t1"]
    orders = [json.loads(f.read_bytes()) for f in network.mirror("a").outbox_controls.glob("*.json")]
    assert {order["do"] for order in orders} == {"enrol"}
    assert len({order["workspace_id"] for order in orders}) == 1, "asked again under the same id"
    enrol(remote.workspace, COLLECTOR, orders[0]["workspace_id"])
    mark(remote.workspace, "t0", digest(remote.workspace.results / "t0"))
    assert network.round()
    assert (seen.results / "t0/result.json").exists()


def test_a_record_that_changes_within_a_second_is_seen(network: Network) -> None:
    """As long as before, and of the same second: only the nanoseconds differ."""
    remote = network.host("a")
    status = remote.run("t1") / "status.json"
    second = 1_700_000_000 * 10**9
    os.utime(status, ns=(second + 1, second + 1))
    assert network.round()
    content = status.read_bytes().replace(b"it runs", b"it asks")
    status.write_bytes(content)
    os.utime(status, ns=(second + 2, second + 2))
    assert network.round()
    assert (network.mirror("a").workspace.sessions / "t1" / "status.json").read_bytes() == content


def test_health_reports_come_and_stay(network: Network) -> None:
    """The latest of a host lie among its logs here, also when it shows them no more; nothing else does."""
    remote = network.host("a")
    remote.workspace.recent_reports.mkdir()
    for second in range(12):
        name = f"healthcheck-20260101-0000{second:02d}.log"
        (remote.workspace.logs / name).write_text(f"well at {second}\n")
        os.link(remote.workspace.logs / name, remote.workspace.recent_reports / name)
        if second == 5:
            assert network.round()
            for old in remote.workspace.recent_reports.iterdir():
                old.unlink()
    (remote.workspace.recent_reports / "agent.log").write_text("not ours")
    (remote.workspace.recent_reports / "healthcheck-20260101-000099.log").symlink_to("/etc/passwd")
    assert network.round()
    seen = network.mirror("a").workspace.logs
    reports = [name for name in names(seen) if name.startswith("healthcheck-")]
    assert reports == [f"healthcheck-20260101-0000{second:02d}.log" for second in range(12)]
    assert (seen / reports[11]).read_text() == "well at 11\n"
    assert "no health report" in network.state("a").refused[0]


def test_a_connection_that_ended_while_a_host_waited_is_opened_again(
    network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not one for each transfer: of 200 hosts, the last waited for longer than an unused one is kept."""
    monkeypatch.setattr(ssh, "PERSIST_S", 3)
    remote = network.host("a")
    fill(remote)
    one = network.collector()
    slots = [one._slots.take(one.stop) for _ in range(one._options.jobs)]
    thread = threading.Thread(target=one.run_once)
    thread.start()
    socket = one.peers["a"].links[0].socket  # to ask ssh would be to use it
    wait_for(socket.exists, "it is open")
    wait_for(lambda: not socket.exists(), "nobody used it")
    for slot in slots:
        assert slot is not None
        slot.release()
    thread.join(60)
    assert not thread.is_alive()
    assert network.state("a").reachable
    assert remote.sshd.connections() == 2
