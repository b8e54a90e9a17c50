"""How far a long transfer is: told while it runs, and drawn on a terminal."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from fleet_network import COLLECTOR, wait_for
from fleet_terminal import Terminal

if TYPE_CHECKING:
    from fleet_network import Network

SIZE = 12 << 20


def test_a_transfer_tells_how_far_it_is(network: Network) -> None:
    """In bytes and as a share, up to the end, under the host's name."""
    network.host("a").finish("t1", os.urandom(SIZE))
    collector = network.collector()
    told: list[tuple[str, int, float]] = []
    collector.progress = lambda *what: told.append(what)
    assert collector.run_once()
    assert {host for host, _, _ in told} == {"a"}
    assert max(size for _, size, _ in told) >= SIZE
    assert any(share == 1.0 for _, _, share in told)


def test_a_long_transfer_is_drawn_on_a_terminal(network: Network) -> None:
    """The host's name, a bar, and how much; all of it is gone at the end."""
    network.host("a").finish("t1", os.urandom(SIZE))
    (network.workspace.configs / "agent.toml").write_text(
        f'name = "{COLLECTOR}"\n[collector]\nreserve_bytes = 0\ncompress = false\n'
    )
    words = [sys.executable, "-m", "agent", "-w", str(network.workspace.root)]
    terminal = Terminal(*words, "collector", "--once", "--bandwidth", "3000")
    try:
        wait_for(lambda: terminal.shows("/12.6 MB"), "the bar says how much there is", 60)
        assert terminal.ended() == 0
    finally:
        terminal.close()
