"""Whatever is cut, killed or started again, in whatever order: every task runs once, its result is here."""
# ruff: noqa: S311 - draws cases, not keys

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest
from fleet_agents import Agents, drop, result
from fleet_network import COLLECTOR

from agent.fleet.layout import ANY
from spool.records import State

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fleet_network import Network

OPTIONS = f"""name = "{COLLECTOR}"
[collector]
slowest_retry_s = 2.0
silence_s = 10.0
reserve_bytes = 0
"""
TASKS = 16
STORM_S = 25.0
CALM_S = 200.0


@pytest.fixture
def agents(network: Network) -> Iterator[Agents]:
    agents = Agents(network)
    yield agents
    agents.close()


def start_collector(network: Network) -> subprocess.Popen[bytes]:
    words = [sys.executable, "-m", "agent", "-w", network.workspace.root, "collector", "--interval", "0.3"]
    return subprocess.Popen([str(word) for word in words], env={**os.environ}, stderr=subprocess.DEVNULL)


@pytest.mark.timeout(400)
@pytest.mark.parametrize("seed", [1, 2])
def test_every_task_runs_once(network: Network, agents: Agents, seed: int) -> None:
    """Connections cut, the collector killed, hosts gone and back, their agents killed; then calm."""
    draw = random.Random(seed)
    for name in ("a", "b"):
        agents.start(network.host(name), slots=2)
    (network.workspace.configs / "agent.toml").write_text(OPTIONS)
    ids = [f"t{number:02d}" for number in range(TASKS)]
    left = list(ids)
    collector = start_collector(network)
    end_s = time.monotonic() + STORM_S
    try:
        while time.monotonic() < end_s or left:
            if left:
                _drop_with_file(network, draw.choice((ANY, "a", "b")), left.pop(0), agents)
            host = draw.choice(list(network.hosts.values()))
            match draw.randrange(5):
                case 0:
                    collector.send_signal(signal.SIGKILL)
                    collector.wait(20)
                    collector = start_collector(network)
                case 1 | 2:
                    host.sshd.cut()
                case 3:
                    host.sshd.stop()
                    host.sshd.start()
                case 4:
                    agents.kill(host.name)
                    agents.start(host, slots=2)
            time.sleep(draw.uniform(0.0, 1.5))  # the storm's own rhythm: nothing is waited for
        _wait_for_results(network, ids)
    finally:
        collector.terminate()
        assert collector.wait(60) == 0
    assert sorted(line.split()[0] for line in agents.ran()) == ids
    for name in ("a", "b"):
        assert list(network.hosts[name].workspace.rejected.iterdir()) == []


def _drop_with_file(network: Network, to: str, task_id: str, agents: Agents) -> None:
    files = network.workspace.root / "fleet" / to / "tasks" / f"{task_id}.files"
    files.mkdir(parents=True)
    (files / "data").write_bytes(os.urandom(300_000))
    drop(network, to, task_id, command=f"{agents.command()}; wc -c < data")


def _wait_for_results(network: Network, ids: list[str]) -> None:
    deadline_s = time.monotonic() + CALM_S
    missing = set(ids)
    while missing:
        for task_id in list(missing):
            found = [r for name in ("a", "b") if (r := result(network.mirror(name).workspace, task_id))]
            if found:
                assert len(found) == 1
                assert (found[0].state, found[0].output.text) == (State.SUCCEEDED, "300000\n")
                missing.discard(task_id)
        assert time.monotonic() < deadline_s, f"without a result: {sorted(missing)}"
        time.sleep(0.1)
