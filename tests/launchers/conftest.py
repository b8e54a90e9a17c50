from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

from agent.launchers import LAUNCHERS, Launcher
from agent.launchers.process import ProcessLauncher
from agent.launchers.screen import screen_folder
from agent.launchers.slurm import SlurmLauncher
from agent.launchers.tmux import socket_path

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

T = TypeVar("T")

RECORDER = r"""
import json, os, signal, sys

def target(fd):
    try:
        return os.readlink(f"/proc/self/fd/{fd}")
    except OSError:
        return None

def put(path, content):
    with open(path + ".new", "wb") as file:
        file.write(content)
    os.rename(path + ".new", path)

out = sys.argv[1]
record = {
    "argv": [os.fsencode(word).decode("latin-1") for word in sys.argv[2:]],
    "cwd": os.getcwd(),
    "env": dict(os.environ),
    "fds": {fd: target(fd) for fd in os.listdir("/proc/self/fd") if target(fd)},
    "pid": os.getpid(),
}
put(out, json.dumps(record).encode())
print("ready for you", flush=True)
for number, line in enumerate(sys.stdin.buffer):
    put(f"{out}.line{number}", line)
if not sys.stdin.isatty():
    signal.pause()
"""


def wait_until(condition: Callable[[], T], what: str, deadline_s: float = 15.0) -> T:
    """Poll until `condition` gives something true, and give that."""
    end = time.monotonic() + deadline_s
    while not (value := condition()):
        if time.monotonic() > end:
            pytest.fail(f"still not after {deadline_s:g} s: {what}")
        time.sleep(0.01)
    return value


def servers(workspace: Path) -> list[int]:
    """List the living tmux servers and screens of a workspace."""
    marks = (os.fsencode(socket_path(workspace)), os.fsencode(screen_folder(workspace)) + b"/.screenrc")
    found = {}
    for process in Path("/proc").iterdir():
        try:
            comm = (process / "comm").read_text().strip()
            facts = (process / "stat").read_text()
            words = (process / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if comm in {"tmux: server", "screen"} and any(mark in words for mark in marks):
            found[int(process.name)] = int(facts.rpartition(")")[2].split()[1])
    # a child looks like its server until it becomes the program
    return sorted(pid for pid, parent in found.items() if parent not in found)


def jobs(workspace: Path) -> list[int]:
    """List what runs of a workspace's Slurm jobs: job.py, with its tmux server as a child."""
    mark = os.fsencode(workspace / ".aispool.slurm") + b"/"
    found = []
    for process in Path("/proc").iterdir():
        try:
            if mark in (process / "cmdline").read_bytes():
                found.append(int(process.name))
        except OSError:
            continue
    return sorted(found)


class Bench:
    """What the tests share: waiting, finding and ending servers, and a program that records its start."""

    wait_until = staticmethod(wait_until)
    servers = staticmethod(servers)
    jobs = staticmethod(jobs)

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._records = 0

    def recorder(self, *words: str) -> tuple[Path, list[str]]:
        """Make a command that writes to the path how it was started, then each line that is typed to it."""
        self._records += 1
        script, out = self._folder / "recorder.py", self._folder / f"record-{self._records}"
        script.write_text(RECORDER)
        return out, [sys.executable, "-I", "-S", str(script), str(out), *words]

    def record(self, out: Path) -> dict[str, Any]:
        wait_until(out.exists, f"{out} is written")
        record: dict[str, Any] = json.loads(out.read_text())
        return record

    def line(self, out: Path, number: int) -> bytes:
        typed = Path(f"{out}.line{number}")
        wait_until(typed.exists, f"{typed} is written")
        return typed.read_bytes()

    def reap(self, workspace: Path) -> None:
        """End the servers of a workspace and remove what they left outside of it."""
        for pid in servers(workspace):
            os.kill(pid, signal.SIGCONT)
            os.kill(pid, signal.SIGTERM)
        wait_until(lambda: not servers(workspace), f"no server of {workspace} lives")
        process = ProcessLauncher(workspace)
        for session in process.sessions():
            process.end(session.removeprefix("task-"))
        files = workspace / ".aispool.process"
        wait_until(lambda: not any(files.glob("*task-*")), "what has ended is cleared")
        if (workspace / ".aispool.slurm").exists():
            slurm = SlurmLauncher(workspace)
            for session in slurm.sessions():
                slurm.end(session.removeprefix("task-").replace("~", "."))
            wait_until(lambda: not (slurm.sessions() or jobs(workspace)), "no job is left", 60)
        for path in (socket_path(workspace), screen_folder(workspace)):
            if workspace.resolve() in path.parents:
                continue
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder with a path short enough for sockets."""
    path = Path(tempfile.mkdtemp(prefix="al-", dir="/tmp")).resolve()
    yield path
    shutil.rmtree(path)


@pytest.fixture
def bench(folder: Path) -> Bench:
    return Bench(folder)


@pytest.fixture
def workspace(folder: Path, bench: Bench) -> Iterator[Path]:
    """A workspace whose servers are ended with it."""
    path = folder / "ws"
    path.mkdir(mode=0o700)
    yield path
    bench.reap(path)


@pytest.fixture(params=sorted(LAUNCHERS))
def kind(request: pytest.FixtureRequest) -> str:
    """Every launcher."""
    name: str = request.param
    if name == "slurm":
        request.getfixturevalue("cluster")
    return name


@pytest.fixture(params=sorted(LAUNCHERS.keys() - {"process"}))
def terminal(request: pytest.FixtureRequest) -> str:
    """Every launcher whose sessions a person can look at and type to, by a program of its own."""
    name: str = request.param
    if name == "slurm":
        request.getfixturevalue("cluster")
    return name


@pytest.fixture(params=["screen", "tmux"])
def multiplexer(request: pytest.FixtureRequest) -> str:
    """Every launcher with sockets of its own on this machine."""
    name: str = request.param
    return name


@pytest.fixture
def launcher(kind: str, workspace: Path) -> Launcher:
    return LAUNCHERS[kind](workspace)
