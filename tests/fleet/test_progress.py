"""How far a long transfer is: told while it runs, and drawn on a terminal."""

from __future__ import annotations

import os
import re
import sys
from typing import TYPE_CHECKING

from fleet_network import COLLECTOR, digest, faithful
from fleet_terminal import Terminal

from spool.enrol import mark

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
        assert terminal.ended() == 0, terminal.seen
        # rsync tells the share in whole percents, from which the whole is reckoned
        assert re.search(r"/1[123]\.\d MB", terminal.seen), f"how much there is: {terminal.seen!r}"
        assert "bytes" not in terminal.seen
    finally:
        terminal.close()


SLOW_DISK = """#!/bin/sh
# The host's side takes its time before it says anything about checksums.
case "$*" in *--server*' -'[!e]*c*e.*) echo checksum >> "$HOME/asked"; sleep 4 ;; esac
exec /usr/bin/rsync "$@"
"""


def test_reading_a_large_file_is_no_silence(network: Network) -> None:
    """While both sides read it for its checksum nothing is heard: they get the time of a slow disk."""
    network.options["silence_s"] = 1.0
    remote = network.host("a")
    remote.run("t1", b"begins\n")
    folder = remote.finish("t1", marked=False)
    with (folder / "attempts/001/stdout").open("wb") as file:
        file.truncate(40 << 20)
    mark(remote.workspace, "t1", digest(folder))
    program = remote.bin / "rsync"
    program.write_text(SLOW_DISK)
    program.chmod(0o700)
    assert network.round(), network.state("a").error
    assert (remote.home / "asked").exists()
    assert faithful(network, remote) == 1
