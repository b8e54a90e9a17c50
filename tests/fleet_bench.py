"""What a fleet costs: many sshd on this machine, each with a past; a full round, and empty rounds.

Simulated: every host is an sshd process on the loopback with a workspace of its own, whose results were made
by copying one host's. Real: ssh, rsync, the collector, its files.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

from bench.procs import proportional_mib
from fleet_network import Network
from sshd import Client

from agent.fleet import calls
from spool.enrol import acknowledge, marked
from spool.workspace import create

if TYPE_CHECKING:
    from agent.fleet.engine import Collector


@dataclass(frozen=True, slots=True)
class Cost:
    """One round with every host.

    Args:
        seconds: by the wall.
        cpu_s: of the collector and what it called, not of the hosts.
        connections: opened in this round, by all hosts' own logs.
        calls: of ssh and rsync.
        collector_mib: resident, at its highest so far.
        masters_mib: of the open connections, proportional share.
        load: of the machine, at the end.
    """

    what: str
    hosts: int
    seconds: float
    cpu_s: float
    connections: int
    calls: int
    collector_mib: float
    masters_mib: float
    load: float


def connections(network: Network) -> int:
    return sum(remote.sshd.connections() for remote in network.hosts.values())


def cpu_s() -> float:
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def masters_mib(sockets: Path) -> float:
    """Return the proportional memory of the ssh processes that hold our connections."""
    masters = []
    for process in Path("/proc").iterdir():
        with suppress(OSError):
            if process.name.isdigit() and os.fsencode(sockets) in (process / "cmdline").read_bytes():
                masters.append(int(process.name))
    return proportional_mib(masters)


def build(network: Network, hosts: int, results: int) -> None:
    """Make the hosts; the first one's results are made, the others' copied from it, file by file."""
    first = network.host("h000", serving=False)
    for number in range(results):
        first.run(f"t{number:05}", b"a line of the log\n" * 20)
        first.finish(f"t{number:05}", b"the answer\n" * 50)
    for number in range(1, hosts):
        remote = network.host(f"h{number:03}", serving=False)
        shutil.rmtree(remote.workspace.root)
        command = ["cp", "-a", "--reflink=auto", first.workspace.root, remote.workspace.root]
        subprocess.run(command, check=True)
    network.configure()
    for remote in network.hosts.values():
        remote.sshd.start()


def measure(network: Network, what: str, collector: Collector, counted: list[int]) -> None:
    """Make one round and print what it cost."""
    before = time.monotonic(), cpu_s(), connections(network)
    counted[0] = 0
    went_well = collector.rounds()
    cost = Cost(
        what=what,
        hosts=len(network.hosts),
        seconds=round(time.monotonic() - before[0], 1),
        cpu_s=round(cpu_s() - before[1], 1),
        connections=connections(network) - before[2],
        calls=counted[0],
        collector_mib=round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
        masters_mib=round(masters_mib(network.folder / "run"), 1),
        load=round(os.getloadavg()[0], 1),
    )
    print(json.dumps(asdict(cost)), flush=True)  # noqa: T201 - for this it is run
    assert went_well, "a host failed"


def apply_what_was_told(network: Network) -> int:
    """Do what the hosts' agents do with acknowledgements; return how many results are still marked."""
    left = 0
    for name, remote in network.hosts.items():
        acknowledge(remote.workspace, network.acknowledged(name))
        left += len(marked(remote.workspace))
    return left


def count_calls(counted: list[int]) -> None:
    real = calls.run

    def counting(*arguments: Any, **more: Any) -> calls.Ended:
        counted[0] += 1
        return real(*arguments, **more)

    calls.run = counting


def main() -> None:
    """Print one JSON object a round: the full one, an empty one, one with a single new result."""
    parser = argparse.ArgumentParser(prog="scripts/bench-fleet", description=__doc__)
    parser.add_argument("--hosts", type=int, default=200)
    parser.add_argument("--results", type=int, default=1000, help="of each host")
    parser.add_argument("--jobs", type=int, default=8, help="transfers at once")
    parser.add_argument("--folder", help="for everything, some GiB; its name must be short")
    chosen = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="bench-", dir=chosen.folder))
    client = Client(folder / "client")
    (folder / "run").mkdir(mode=0o700)
    os.environ |= {"XDG_RUNTIME_DIR": str(folder / "run"), "AISPOOL_SSH_CONFIG": str(client.config)}
    network = Network(folder, create(folder / "collector"), client, options={"jobs": chosen.jobs})
    counted = [0]
    count_calls(counted)
    collector = None
    try:
        build(network, chosen.hosts, chosen.results)
        collector = network.collector()
        measure(network, f"full, {chosen.results} results a host", collector, counted)
        assert apply_what_was_told(network) == 0
        for _ in range(2):
            measure(network, "empty", collector, counted)
        network.hosts["h000"].run("new")
        network.hosts["h000"].finish("new")
        measure(network, "one new result", collector, counted)
    finally:
        if collector is not None:
            calls.disconnect([link for one in collector.peers.values() for link in one.links])
        for remote in network.hosts.values():
            remote.sshd.stop()
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
