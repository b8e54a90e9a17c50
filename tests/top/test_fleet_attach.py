"""Attaching to a task on another host, over ssh, and back again."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

from fleet_agents import Agents, collector, drop
from fleet_network import Network, wait_for
from sshd import Client
from top_screen import until

from spool.workspace import create

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from top_screen import Screen


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> Iterator[Network]:
    with tempfile.TemporaryDirectory(prefix="top-") as name:
        folder = Path(name)
        (folder / "run").mkdir(mode=0o700)
        client = Client(folder / "client")
        monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder / "run"))
        monkeypatch.setenv("AISPOOL_SSH_CONFIG", str(client.config))
        network = Network(folder, create(folder / "collector"), client)
        yield network
        for remote in network.hosts.values():
            remote.sshd.stop()


@pytest.fixture
def agents(network: Network) -> Iterator[Agents]:
    agents = Agents(network)
    yield agents
    agents.close()


def test_attach_over_ssh(network: Network, agents: Agents, screens: Callable[..., Screen]) -> None:
    """The list shows the host's task; its session takes the terminal, and C-b d gives it back."""
    remote = network.host("a")
    agents.start(remote)
    drop(network, "a", "t1", command="while :; do echo it lives; sleep 0.2; done")
    status = network.mirror("a").workspace.sessions / "t1" / "status.json"
    for _ in range(30):
        collector(network).run_once()
        if status.exists() and '"attach": "' in status.read_text():
            break
    screen = screens()
    try:
        screen.run(network.workspace.root, "--host", "a")
        screen.shows("t1", "running", "log of t1 on a")
        screen.press("a")
        until(lambda: "log of t1" not in screen.text and "it lives" in screen.text, "it is attached")
        screen.press("C-b", "d")
        screen.shows("t1: back from its session", "log of t1 on a")
        screen.press("q")
        screen.shows("left with 0")
        assert screen.is_clean
    finally:
        (remote.workspace.sessions / "t1" / "cancel").touch()
        wait_for((remote.workspace.results / "t1").exists, "t1 is over", 60)
