"""A collector and four hosts, connected from bare, killed and cut off: each task runs exactly once."""

from __future__ import annotations

import json
import random
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

from docker_machines import Collecting, wait_for
from e2e.test_samples import FORMS, KNOWN, SAMPLES, STAND_IN

if TYPE_CHECKING:
    from collections.abc import Iterator

    from docker_machines import FleetUnderTest, Machine

pytestmark = [pytest.mark.container, pytest.mark.timeout(1800)]

AGENT = """\
slots = 4
scan_interval_s = 1.0
reserve_bytes = 8388608
allowed_paths = ["/"]
"""
COLLECTOR = """\
[collector]
reserve_bytes = 20971520
silence_s = 5.0
slowest_retry_s = 5.0
"""
ONCE = 'echo "$AISPOOL_TASK_ID" >> ~/ledger'
"""What each task does first: the ledger says how often it was started, and where."""


@pytest.fixture(scope="module")
def fleet(machines: FleetUnderTest, booted: Machine) -> FleetUnderTest:
    """The machines, connected from bare to working, the one with systemd among them."""
    collector = machines.collector
    machines.hosts["s"] = booted
    collector.does(f"cat > {collector.workspace}/configs/agent.toml", given=COLLECTOR)
    for host in machines.hosts.values():
        host.does(
            f"umask 077; mkdir -p {host.workspace}/configs; cat > {host.workspace}/configs/agent.toml",
            given=AGENT,
        )
        if host.workspace.startswith("/small"):
            place = f'name = "{host.name}"\naddress = "{host.name}"\nworkspace = "{host.workspace}"\n'
            file = f"{collector.workspace}/configs/hosts.toml"
            collector.does(f"cat >> {file}", given=f"[[hosts]]\n{place}")
        said = connect(machines, host)
        assert [finding for finding in said["findings"] if finding["grade"] == "problem"] == []
        assert any("started the agent" in line for line in said["changed"])
    return machines


def connect(fleet: FleetUnderTest, host: Machine) -> dict[str, Any]:
    """Connect a host and return what came of it; a finding of its doctor is for the caller to judge."""
    done = fleet.tries("fleet", "connect", host.name, "--offline", "--json")
    assert done.stdout.startswith("{"), done.stderr
    said: dict[str, Any] = json.loads(done.stdout)
    return said


@pytest.fixture
def collecting(fleet: FleetUnderTest) -> Iterator[Collecting]:
    """A collector at work."""
    collecting = Collecting(fleet)
    collecting.start()
    yield collecting
    collecting.stop()


def shell(task_id: str, rest: str = ":", **more: Any) -> dict[str, Any]:
    return {"task_id": task_id, "tool": "shell", "command": f"{ONCE}; {rest}", **more}


def collected(fleet: FleetUnderTest, ids: set[str], limit_s: float = 300) -> None:
    """Wait until all these results lie in some mirror."""

    def missing() -> set[str]:
        found = fleet.collector.does(
            f"cd {fleet.collector.workspace}/fleet && ls -d */results/*/result.json 2> /dev/null || true"
        )
        return ids - {line.split("/")[2] for line in found.split()}

    wait_for(lambda: not missing(), f"all are collected; missing: {sorted(missing())[:5]}", limit_s)


def audit(fleet: FleetUnderTest, ids: set[str], *, runs: int = 1) -> None:
    """Each task was started exactly so often in all; each mirrored result is the host's, byte for byte."""
    started = [line for host in fleet.hosts.values() for line in host.ledger() if line in ids]
    assert sorted(started) == sorted(list(ids) * runs)
    listing = "cd {}/results 2> /dev/null && find . -type f ! -name '.*' -path './*/*' -exec sha256sum {{}} +"
    mirrored: dict[str, str] = {}
    for name, host in fleet.hosts.items():
        theirs = _digests(host.tries(listing.format(host.workspace)).stdout, ids)
        ours = _digests(
            fleet.collector.tries(listing.format(f"{fleet.collector.workspace}/fleet/{name}")).stdout, ids
        )
        assert ours == theirs, name
        for path in ours:
            task_id = path.split("/")[1]
            assert mirrored.setdefault(task_id, name) == name, f"{task_id} has results of two hosts"
    assert set(mirrored) == ids


def _digests(listing: str, ids: set[str]) -> dict[str, str]:
    found = {}
    for line in listing.splitlines():
        digest, path = line.split(maxsplit=1)
        if path.split("/")[1] in ids:
            found[path] = digest
    return found


def test_connecting_again_changes_nothing(fleet: FleetUnderTest) -> None:
    """Twice is once, on every host; the agent goes on under its pid."""
    for host in fleet.hosts.values():
        before = host.does(f"cat {host.workspace}/sessions/.agent-*/agent.json | jq .pid")
        assert connect(fleet, host)["changed"] == []
        assert host.does(f"cat {host.workspace}/sessions/.agent-*/agent.json | jq .pid") == before


def test_the_five_real_tasks_by_scp(fleet: FleetUnderTest) -> None:
    """From another container straight into the drop folder, without any collector."""
    host, collector = fleet.hosts["a"], fleet.collector
    host.does("mkdir -p /path/to/project /home/user/project && chmod -R a+rX /path /home/user", user="root")
    for name, (subcommand, known) in KNOWN.items():
        text = STAND_IN.format(
            python="/usr/bin/python3", subcommand=subcommand, known=known, form=FORMS.get(name, "")
        )
        host.does(f"cat > /usr/local/bin/{name} && chmod 755 /usr/local/bin/{name}", given=text, user="root")
    place = host.workspace
    host.does(
        f"cd {place} && mkdir documents assets && touch documents/one.md assets/one.png openapi-spec.yaml"
    )
    collector.does("mkdir samples")
    for sample in SAMPLES.glob("*.json"):
        collector.does(f"cat > samples/{sample.name}", given=sample.read_text())
    collector.does("scp -q samples/*.json a:ai-workspace/tasks/")
    ours = "ls -d results/*/result.json 2> /dev/null | wc -l"
    wait_for(lambda: host.does(f"cd {place} && {ours}").strip() == "5", "all five are over")
    states = host.does(f"cd {place} && jq -r .state results/*/result.json").split()
    assert states == ["succeeded"] * 5, host.does(f"cd {place} && jq -r .reason results/*/result.json")
    assert host.names("rejected") == set()


@pytest.mark.usefixtures("collecting")
def test_five_hundred_tasks_over_five_hosts(fleet: FleetUnderTest) -> None:
    """Dropped into fleet/any; each runs once, on whichever host; every host has its share, systemd's too."""
    ids = {f"any-{number:03d}" for number in range(500)}
    fleet.drop_many("any", [shell(task_id) for task_id in sorted(ids)])
    collected(fleet, ids, 900)
    audit(fleet, ids)
    assert len(fleet.hosts) == 5
    shares = {name: sum(line in ids for line in host.ledger()) for name, host in fleet.hosts.items()}
    assert min(shares.values()) > 0, shares


@pytest.mark.usefixtures("collecting")
def test_a_host_that_is_killed_in_the_middle_of_its_tasks(fleet: FleetUnderTest) -> None:
    """What was interrupted is told as lost; only an idempotent task runs again; what waited runs then."""
    host = fleet.hosts["b"]
    ids = {"cut-plain", "cut-again", "cut-waits"}
    first = "[ -e ~/second ] || { touch ~/second; sleep 600; }"
    for task in (shell("cut-plain", "sleep 600"), shell("cut-again", first, idempotent=True)):
        fleet.drop("b", task["task_id"], task)
    wait_for(lambda: {"cut-plain", "cut-again"} <= set(host.ledger()), "both run")
    host.kill()
    fleet.drop("b", "cut-waits", shell("cut-waits"))
    wait_for(lambda: fleet.state("b")["reachable"] is False, "the collector has noticed")
    assert "cut-waits" in " ".join(fleet.collector.names("fleet/b/tasks"))
    host.start()
    connect(fleet, host)
    collected(fleet, ids)
    results = {task_id: fleet.result("b", task_id) for task_id in ids}
    assert results["cut-plain"]["state"] == "lost"
    assert "nobody saw how it ended" in results["cut-plain"]["reason"]
    assert (results["cut-again"]["state"], len(results["cut-again"]["attempts"])) == ("succeeded", 2)
    assert results["cut-waits"]["state"] == "succeeded"
    assert sorted(line for line in host.ledger() if line in ids) == [
        *("cut-again", "cut-again", "cut-plain", "cut-waits"),
    ]


LARGE = "head -c 3000000 /dev/urandom > $AISPOOL_ARTIFACTS/large; sha256sum < $AISPOOL_ARTIFACTS/large"


@pytest.mark.usefixtures("collecting")
def test_a_network_that_is_cut_again_and_again(fleet: FleetUnderTest) -> None:
    """In the middle of sending and of collecting: taken away, dropping packets, resetting connections."""
    dice = random.Random(20261122)  # noqa: S311
    ids = {f"net-{number:02d}" for number in range(24)}
    waiting = sorted(ids)
    for _ in range(8):
        for task_id in [waiting.pop() for _ in range(3)]:
            name = dice.choice(["a", "b"])
            fleet.drop(name, task_id, shell(task_id, LARGE))
        pause(dice.uniform(0.2, 3))
        name = dice.choice(["a", "b"])
        host = fleet.hosts[name]
        how = dice.choice(["cut", "drops", "resets"])
        if how == "cut":
            fleet.cut(name)
        else:
            getattr(host, how)()
        pause(dice.uniform(0.5, 6))
        if how == "cut":
            fleet.mend(name)
        else:
            host.heals()
    collected(fleet, ids)
    audit(fleet, ids)


def test_a_collector_that_is_killed_again_and_again(fleet: FleetUnderTest, collecting: Collecting) -> None:
    """At any moment of a round, while tasks are sent and results fetched."""
    dice = random.Random(1122)  # noqa: S311
    ids = {f"kill-{number:02d}" for number in range(40)}
    waiting = sorted(ids)
    for _ in range(10):
        for task_id in [waiting.pop() for _ in range(4)]:
            fleet.drop(dice.choice(["a", "c", "any"]), task_id, shell(task_id, LARGE))
        pause(dice.uniform(0.1, 4))
        collecting.kill()
        collecting.start()
    collected(fleet, ids)
    audit(fleet, ids)


def pause(seconds: float) -> None:
    """Let a random moment come: what happens meanwhile is what is tested."""
    threading.Event().wait(seconds)


@pytest.mark.usefixtures("collecting")
@pytest.mark.parametrize("by", ["-30d", "+30d"])
def test_a_host_whose_clock_is_wrong(fleet: FleetUnderTest, by: str) -> None:
    """By a month, either way: its tasks run, and their results come."""
    host = fleet.hosts["c"]
    task_id = f"clock{by}".replace("+", "p")
    stop_agent(host)
    host.does(
        f"setsid nohup env DONT_FAKE_MONOTONIC=1 faketime -f {by} "
        f"~/.local/bin/aispool --workspace {host.workspace} agent < /dev/null > /dev/null 2>&1 & disown"
    )
    fleet.drop("c", task_id, shell(task_id))
    collected(fleet, {task_id})
    audit(fleet, {task_id})
    stop_agent(host)
    connect(fleet, host)


def stop_agent(host: Machine) -> None:
    find = "pgrep -f 'aispool --workspace [^ ]* agent'"  # it does not find itself: its own [^ ] holds a blank
    host.does(f"kill $({find})")
    wait_for(lambda: host.tries(find).returncode != 0, "the agent has ended")


@pytest.mark.usefixtures("collecting")
def test_a_host_whose_disk_is_full(fleet: FleetUnderTest) -> None:
    """It starts nothing and says so here; when there is room again it goes on."""
    host = fleet.hosts["d"]
    host.does("head -c 100000000 /dev/zero > /small/filler || true")
    fleet.drop("d", "full-there", shell("full-there"))
    wait_for(
        lambda: "no room" in said(fleet) or "free" in said(fleet) or "full" in said(fleet),
        "people see why nothing happens",
        120,
    )
    assert "full-there" not in host.ledger()
    host.does("rm /small/filler")
    collected(fleet, {"full-there"})
    audit(fleet, {"full-there"})


def said(fleet: FleetUnderTest) -> str:
    """Return all that the mirror of d says of waiting."""
    folder = f"{fleet.collector.workspace}/fleet/d"
    return fleet.collector.tries(f"cat {folder}/state.json {folder}/tasks/*.why").stdout


@pytest.mark.usefixtures("collecting")
def test_a_collector_whose_disk_is_full(fleet: FleetUnderTest) -> None:
    """It fetches nothing that it could not keep, and loses nothing; the host keeps the result for it."""
    collector, host = fleet.collector, fleet.hosts["a"]
    fleet.drop("a", "full-here", shell("full-here", f"sleep 5; {LARGE}"))
    wait_for(lambda: "full-here" in host.ledger(), "it runs")
    collector.does("head -c 400000000 /dev/zero > /small/filler || true")
    wait_for(lambda: host.has("results/full-here/result.json"), "it is over")
    wait_for(lambda: host.has("results/.uncollected/full-here"), "it waits for the collector")
    pause(5)
    assert not collector.has("fleet/a/results/full-here")
    collector.does("rm /small/filler")
    collected(fleet, {"full-here"})
    wait_for(lambda: not host.has("results/.uncollected/full-here"), "it is acknowledged")
    audit(fleet, {"full-here"})


@pytest.mark.usefixtures("collecting")
def test_an_upgrade_while_a_session_runs(fleet: FleetUnderTest) -> None:
    """Another version beside the old one, another agent, which settles what the session comes to."""
    host, collector = fleet.hosts["c"], fleet.collector
    fleet.drop("c", "upgraded", shell("upgraded", "until [ -e ~/gate ]; do sleep 0.2; done; echo through"))
    wait_for(lambda: "upgraded" in host.ledger(), "it runs")
    before = host.does("readlink ~/.local/share/aispool/current").strip()
    package = "/opt/aispool/lib/python3*/site-packages/agent/__init__.py"
    collector.does(f"echo '# another version' >> {package}", user="root")
    changed = " ".join(connect(fleet, host)["changed"])
    assert "switched to" in changed
    assert "stopped the former agent" in changed
    assert host.does("readlink ~/.local/share/aispool/current").strip() != before
    assert host.has(f"../.local/share/aispool/{before}"), "the session still uses it"
    assert host.reads("sessions/upgraded/status.json")
    host.does("touch ~/gate")
    collected(fleet, {"upgraded"})
    result = fleet.result("c", "upgraded")
    assert (result["state"], result["output"]["text"].strip(), len(result["attempts"])) == (
        *("succeeded", "through", 1),
    )
    audit(fleet, {"upgraded"})
    again = " ".join(connect(fleet, host)["changed"])
    assert "nothing uses any more" in again, host.does("grep -lF venv- /proc/[0-9]*/cmdline")
    assert connect(fleet, host)["changed"] == []


def test_a_workspace_of_a_newer_protocol_is_refused(fleet: FleetUnderTest) -> None:
    """Nothing of it is touched."""
    host = fleet.hosts["d"]
    host.does(f"echo 2 > {host.workspace}/VERSION")
    try:
        done = fleet.tries("fleet", "connect", "d", "--offline")
    finally:
        host.does(f"echo 1 > {host.workspace}/VERSION")
    assert done.returncode == 1
    assert "upgrade aispool here first" in done.stderr
