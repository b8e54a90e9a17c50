"""`aispool attach --host`: a real terminal, a real tmux on the other side, and a connection that is cut."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest
from fleet_agents import Agents, collector, drop
from fleet_network import wait_for
from fleet_terminal import Terminal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fleet_network import Network


@pytest.fixture
def agents(network: Network) -> Iterator[Agents]:
    agents = Agents(network)
    yield agents
    agents.close()


def test_the_terminal_comes_back_after_a_cut(network: Network, agents: Agents) -> None:
    """Attached, cut, attached again by itself, and left with the keys of tmux."""
    remote = network.host("a")
    agents.start(remote)
    drop(network, "a", "t1", command="while :; do echo it lives; sleep 0.2; done")
    status = network.mirror("a").workspace.sessions / "t1" / "status.json"
    for _ in range(30):
        collector(network).run_once()
        if status.exists() and '"attach": "' in status.read_text():
            break
    words = [sys.executable, "-m", "agent", "-w", str(network.workspace.root)]
    terminal = Terminal(*words, "attach", "--host", "a", "t1")
    try:
        wait_for(lambda: terminal.shows("it lives"), "the pane is seen", 60)
        terminal.seen = ""
        remote.sshd.cut()
        wait_for(lambda: terminal.shows("was lost"), "the cut is noticed", 60)
        wait_for(lambda: terminal.shows("connected again"), "it comes back", 60)
        terminal.seen = ""
        wait_for(lambda: terminal.shows("it lives"), "the pane is seen again", 60)
        assert terminal.ended("\x02d") == 0
    finally:
        terminal.close()
        (remote.workspace.sessions / "t1" / "cancel").touch()
        wait_for((remote.workspace.results / "t1").exists, "t1 is over", 60)


def test_a_host_with_restricted_keys_says_so(network: Network) -> None:
    """Its keys can do nothing but collect and send."""
    remote = network.host("a", serving=False, restricted=True)
    folder = network.mirror("a").workspace.sessions / "t1"
    network.mirror("a").make()
    there = remote.run("t1")
    folder.mkdir()
    text = (there / "status.json").read_text().replace('"attach": null', '"attach": "tmux attach"')
    (folder / "status.json").write_text(text)
    words = [sys.executable, "-m", "agent", "-w", str(network.workspace.root), "attach", "--host", "a", "t1"]
    terminal = Terminal(*words)
    try:
        assert terminal.ended() == 1
        assert "may only collect and send" in terminal.seen
    finally:
        terminal.close()
