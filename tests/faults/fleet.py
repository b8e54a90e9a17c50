"""Group 10: the collector is killed, or an error hits it, at every call that changes something (I7)."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fleet_network import COLLECTOR, Network, Remote, faithful, fill
from sshd import Client

from spool.workspace import create

if TYPE_CHECKING:
    from collections.abc import Iterator

LIMIT_S = 120.0
CALLS = {"collector": 480, "rsync": 36}
"""More than a round has; a case whose call never comes injects nothing, and says so."""
STEP = {"collector": 3, "rsync": 2}
FAULTS = ("kill-before", "kill-after", "kill-mid", "ENOSPC", "EIO", "fsync-EIO")

ROUND = """
import os, sys
from pathlib import Path
from agent.collector import CollectorOptions
from agent.config import AgentConfig
from agent.fleet.engine import Collector
from agent.fleet.exchange import connect, exchange
from spool.workspace import Workspace
os.environ["AISPOOL_FAULT_ROLE"] = sys.argv[3]
config = AgentConfig(name=sys.argv[2], collector=CollectorOptions(reserve_bytes=0, silence_s=20.0))
one = Collector(Workspace(Path(sys.argv[1])), config).peers["a"]
connect(one)
exchange(one, None)
"""
"""One round, in the main thread. What it calls is armed under the name of the third argument."""


def cases(_traces: object, seed: int) -> list[dict[str, Any]]:
    """Every fault at every third call of the collector, and at every other one of its rsyncs."""
    return [
        {"group": "fleet", "role": role, "fault": fault, "call": call, "seed": seed}
        for role, most in CALLS.items()
        for fault in FAULTS
        for call in range(1, most, STEP[role])
    ]


def play(_base: Path, case: dict[str, Any]) -> dict[str, Any]:
    """Make a round that the fault ends, then rounds without faults; compare with the host."""
    began_s = time.monotonic()
    found: list[str] = []
    with _network() as (network, remote):
        plan = network.folder / "plan"
        plan.write_text(f"{case['role']} {case['call']} {case.get('times', 1)} {case['fault']}\n")
        hit = _round(network, {"AISPOOL_FAULTS": str(plan), "AISPOOL_FAULT_ROLE": "collector"}, case["role"])
        found += _mistakes(network, remote)
        remote.log("r0", b"more\n")
        ends = [_round(network, {}, "nobody") for _ in range(2)]
        found += _mistakes(network, remote)
        if ends[-1].returncode != 0:
            found.append(f"I5: recovery ended {ends[-1].returncode}: {ends[-1].stderr[-300:]}")
        elif set(network.acknowledged("a")) != {"d0", "d1", "d2"}:
            found.append("I7: not every result was collected and acknowledged")
        rows = _injected(plan)
    return {
        "injected": rows,
        "violations": sorted(set(found)),
        "seconds": round(time.monotonic() - began_s, 3),
        "tail": hit.stderr[-1000:] if found else "",
    }


@contextlib.contextmanager
def _network() -> Iterator[tuple[Network, Remote]]:
    """Yield a collector's machine, and one host with something of everything."""
    folder = Path(tempfile.mkdtemp(prefix="aispool-"))
    network = Network(folder, create(folder / "collector"), Client(folder / "client"))
    (folder / "run").mkdir(mode=0o700)
    try:
        remote = network.host("a")
        fill(remote)
        yield network, remote
    finally:
        for host in network.hosts.values():
            host.sshd.stop()
        _end_connections(folder / "run")
        shutil.rmtree(folder)


def _round(network: Network, faults: dict[str, str], role: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AISPOOL_FAULT")}
    environment |= {
        "XDG_RUNTIME_DIR": str(network.folder / "run"),
        "AISPOOL_SSH_CONFIG": str(network.client.config),
        **faults,
    }
    command = [sys.executable, "-c", ROUND, str(network.workspace.root), COLLECTOR, role]
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, check=False, timeout=LIMIT_S
    )


def _mistakes(network: Network, remote: Remote) -> list[str]:
    try:
        faithful(network, remote)
    except AssertionError as error:
        return [f"I7: {str(error)[:300] or 'what is shown is not what the host has'}"]
    return []


def _injected(plan: Path) -> list[list[str]]:
    log = Path(f"{plan}.log")
    return [line.split("\t") for line in log.read_text().splitlines()] if log.exists() else []


def _end_connections(sockets: Path) -> None:
    wanted = os.fsencode(sockets)
    for process in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if process.name.isdigit() and wanted in (process / "cmdline").read_bytes():
                os.kill(int(process.name), 9)
