"""What becomes of tmux when the owner of a control client is killed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from agent.launchers.servers import server_pids

if TYPE_CHECKING:
    from conftest import Bench

pytestmark = pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")

OWNER = """
import os, sys
from pathlib import Path
from agent.launchers.control import ControlClient

socket = sys.argv[1]
opened = ["new-session", "-s", "held", "--", "cat"]
client = ControlClient(["tmux", "-S", socket, "-f", os.devnull, "-C", *opened], Path("/"), os.environ)
print("ready", flush=True)
sys.stdin.readline()
os.write(client._commands, b"new-session -d -s more -- true\\nkill-session -t held\\n")
os.kill(os.getpid(), 9)
"""
"""Opens a client, waits to be told, asks for answers and news, and is killed before it can read them."""


def test_killed_owner_leaves_neither_client_nor_server(workspace: Path, bench: Bench) -> None:
    """The server answers when nobody listens any more; with their last session both are gone."""
    socket = workspace / ".aispool.tmux"
    with subprocess.Popen(
        [sys.executable, "-c", OWNER, str(socket)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as owner:
        assert owner.stdin is not None
        assert owner.stdout is not None
        assert owner.stdout.readline() == b"ready\n"
        (server,) = server_pids(socket)
        os.kill(server, signal.SIGSTOP)
        owner.stdin.write(b"go\n")
        owner.stdin.flush()
        assert owner.wait(20) == -signal.SIGKILL
    os.kill(server, signal.SIGCONT)
    bench.wait_until(lambda: not _of(socket), "client and server are gone")


def _of(socket: Path) -> list[str]:
    wanted = os.fsencode(socket)
    return [name for name in os.listdir("/proc") if name.isdigit() and wanted in _command_line(name)]


def _command_line(pid: str) -> bytes:
    try:
        return Path("/proc", pid, "cmdline").read_bytes()
    except OSError:
        return b""
