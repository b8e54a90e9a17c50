"""Cut anywhere, killed anywhere: nothing is lost, repeated or torn, and the next round goes on."""
# ruff: noqa: S311 - draws cases, not keys

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest
from fleet_network import COLLECTOR, Network, Remote, faithful, fill

from agent.fleet.exchange import connect, exchange
from agent.fleet.rsync import TransferError
from spool import exclusive

if TYPE_CHECKING:
    from collections.abc import Callable

CUT = """#!{python} -IS
# An rsync whose answers end after so many bytes.
import os, subprocess, sys
limit = os.environ["HOME"] + "/cut"
if not os.path.exists(limit):
    os.execv("/usr/bin/rsync", ["rsync", *sys.argv[1:]])
left = int(open(limit).read())
real = subprocess.Popen(["/usr/bin/rsync", *sys.argv[1:]], stdout=subprocess.PIPE)
while left and (piece := os.read(real.stdout.fileno(), min(left, 65536))):
    sys.stdout.buffer.write(piece)
    sys.stdout.buffer.flush()
    left -= len(piece)
if not left:
    real.kill()
sys.exit(real.wait() if left else 12)
"""

RUN = """
import signal, sys
from pathlib import Path
from agent.collector import CollectorOptions
from agent.config import AgentConfig
from agent.fleet.engine import Collector
from spool.workspace import Workspace
options = CollectorOptions(interval_s=0.1, slowest_retry_s=0.5, reserve_bytes=0)
config = AgentConfig(name=sys.argv[2], collector=options)
collector = Collector(Workspace(Path(sys.argv[1])), config)
signal.signal(signal.SIGTERM, lambda *_: collector.end())
collector.run()
"""


def put_cutter(remote: Remote) -> None:
    program = remote.bin / "rsync"
    program.write_text(CUT.replace("{python}", sys.executable))
    program.chmod(0o700)


def test_cut_at_any_byte(network: Network) -> None:
    """The host's side of every transfer ends after so many bytes; then it ends nowhere."""
    remote = network.host("a")
    put_cutter(remote)
    fill(remote)
    draw = random.Random(7)
    lengths = [0, 4, 300, 2000, *(draw.randrange(1000, 400_000) for _ in range(7))]
    for length in lengths:
        (remote.home / "cut").write_text(str(length))
        network.round()
        faithful(network, remote)
    (remote.home / "cut").unlink()
    assert network.round()
    assert faithful(network, remote) == 3
    assert set(network.acknowledged("a")) == {"d0", "d1", "d2"}


def test_a_cut_transfer_goes_on_where_it_was(network: Network) -> None:
    """What has arrived of a large file is not sent again."""
    remote = network.host("a")
    put_cutter(remote)
    remote.run("big", b"begins\n")
    remote.finish("big", random.Random(3).randbytes(3_000_000))
    (remote.home / "cut").write_text("2000000")
    assert not network.round()
    partial = network.mirror("a").incoming / "results/big/attempts/001/.rsync-partial/stdout"
    assert partial.stat().st_size > 1_000_000
    (remote.home / "cut").write_text("1700000")
    assert network.round(), network.state("a").error
    assert faithful(network, remote) == 1


class KilledError(BaseException):
    """The collector dies here."""


CALLS = ("rename", "replace", "link", "unlink", "mkdir", "rmdir", "write", "fsync")


def dying_after(patch: pytest.MonkeyPatch, number: int) -> list[int]:
    """Let the process die at its n-th call that changes something; return how many are left."""
    left = [number]
    ours = os.getpid()

    def dying(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **more: Any) -> Any:
            # `sh` between fork and exec, and its threads, are not ours to kill
            if os.getpid() != ours or threading.current_thread() is not threading.main_thread():
                return real(*arguments, **more)
            if left[0] <= 0:
                raise KilledError
            left[0] -= 1
            return real(*arguments, **more)

        return call

    for name in CALLS:
        patch.setattr(os, name, dying(getattr(os, name)))
    patch.setattr(exclusive, "_renameat2", dying(exclusive._renameat2))
    return left


def test_killed_at_any_of_its_own_steps(network: Network) -> None:
    """Each round dies a few steps later than the one before; then one lives."""
    remote = network.host("a")
    fill(remote)
    one = network.collector().peers["a"]
    steps = 0
    while True:
        with pytest.MonkeyPatch.context() as patch:
            left = dying_after(patch, steps)
            try:
                connect(one)
                exchange(one, None)
            except KilledError:
                left = []
        faithful(network, remote)
        if left:
            break
        steps += 5
        one = network.collector().peers["a"]  # what it had in memory is gone
        remote.log("r0", b"more\n")
    assert steps >= 30
    assert faithful(network, remote) == 3
    assert set(network.acknowledged("a")) == {"d0", "d1", "d2"}


def test_collector_killed_at_random(network: Network) -> None:
    """SIGKILL, with whatever it runs going on for a moment, while the host goes on writing."""
    remote = network.host("a")
    fill(remote)
    draw = random.Random(5)
    for number in range(8):
        process = subprocess.Popen(
            [sys.executable, "-c", RUN, network.workspace.root, COLLECTOR], stderr=subprocess.DEVNULL
        )
        try:
            remote.run(f"k{number}", draw.randbytes(10_000))
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(draw.uniform(0.9, 2.2))
            remote.finish(f"k{number}", draw.randbytes(200_000))
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait(20)
        faithful(network, remote)
    assert network.round()
    assert faithful(network, remote) == 11


def test_host_that_goes_down_in_the_middle(network: Network) -> None:
    """Its connections end at some moment of the round; it comes back, and the round is made whole."""
    remote = network.host("a", bandwidth_kib_s=400)
    remote.run("big", b"begins\n")
    remote.finish("big", random.Random(3).randbytes(400_000))
    collector = network.collector()
    one = collector.peers["a"]
    heard: list[int] = []

    def room() -> str | None:
        heard.append(1)
        if len(heard) == 2:
            remote.sshd.stop()
        return None

    connect(one)
    one.watching.room = None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("agent.fleet.exchange._no_room", lambda _peer: room())
        with pytest.raises(TransferError):
            exchange(one, None)
    assert faithful(network, remote) == 0
    remote.sshd.start()
    assert collector.run_once()
    assert faithful(network, remote) == 1
