"""Real shells, a real tmux, a real sshd; only the agent may be a stand-in, and then the test says so."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

from sshd import Client, Sshd

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SCRIPTS = Path(__file__).parents[2] / "scripts"
SYSTEM_PATH = "/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin"

# Holds the lock that tells an agent lives, and writes its pid where the fixture finds it.
STAND_IN_AGENT = """#!{python}
import fcntl, os, pathlib, sys, time
assert sys.argv[1] == "--workspace" and sys.argv[3:] == ["agent", "--if-idle"], sys.argv
folder = pathlib.Path(sys.argv[2], "sessions/.agent-stand-in")
folder.mkdir(exist_ok=True)
with open("{pids}", "a") as pids:
    pids.write(f"{os.getpid()}\\n")
lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
time.sleep(600)
"""


def wait_for(condition: Callable[[], object], what: str, limit_s: float = 20) -> None:
    """Wait until something is so, and fail with its name when it does not become so."""
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline, f"after {limit_s} s: {what}"
        time.sleep(0.02)


@pytest.fixture
def until() -> Callable[[Callable[[], object], str], None]:
    """Wait for a condition, as in `until(path.exists, "the log is there")`."""
    return wait_for


@dataclass(frozen=True, slots=True)
class Shell:
    """A person's machine: a home folder, a workspace, and a PATH on which no aispool is."""

    home: Path
    workspace: Path
    environment: dict[str, str]

    def start(self, script: str, *arguments: str | Path, **environment: str) -> subprocess.Popen[str]:
        """Start one of our scripts."""
        return subprocess.Popen(
            [str(SCRIPTS / script), *map(str, arguments)],
            env=self.environment | environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(
        self, script: str, *arguments: str | Path, given: str = "", **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Run one of our scripts to its end."""
        with self.start(script, *arguments, **environment) as process:
            output, errors = process.communicate(given, timeout=60)
        return subprocess.CompletedProcess(process.args, process.returncode, output, errors)

    def tmux(self, *arguments: str) -> str:
        """Ask the person's own tmux server."""
        done = subprocess.run(
            ["tmux", *arguments], env=self.environment, capture_output=True, text=True, check=False
        )
        return done.stdout


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """A folder whose path is short enough for sockets."""
    with tempfile.TemporaryDirectory(prefix="aispool-") as name:
        yield Path(name)


@pytest.fixture
def bare_shell(short_folder: Path) -> Iterator[Shell]:
    """A machine without a workspace; its tmux server ends with the test."""
    home = short_folder / "home"
    (home / "bin").mkdir(parents=True)
    (short_folder / "tmux").mkdir(mode=0o700)
    environment = {
        "HOME": str(home),
        "PATH": f"{home}/bin:{SYSTEM_PATH}",
        "TMUX_TMPDIR": str(short_folder / "tmux"),
        "SHELL": "/bin/sh",
        "TERM": "xterm",
        "LANG": "C.UTF-8",
    }
    shell = Shell(home, home / "ai-workspace", environment)
    yield shell
    shell.tmux("kill-server")


@pytest.fixture
def shell(bare_shell: Shell) -> Shell:
    """A machine with a workspace, made by the set-up script."""
    done = bare_shell.run("setup-ai-protocol.sh")
    assert done.returncode == 0, done.stderr
    return bare_shell


@pytest.fixture
def stand_in_agent(shell: Shell) -> Iterator[Path]:
    """An `aispool` on PATH that only holds the agent's lock; ended by the pids it wrote."""
    pids = shell.home / "agent.pids"
    program = shell.home / "bin/aispool"
    program.write_text(STAND_IN_AGENT.replace("{python}", sys.executable).replace("{pids}", str(pids)))
    program.chmod(0o700)
    yield pids
    for pid in pids.read_text().split() if pids.exists() else ():
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(pid), signal.SIGKILL)


@dataclass(frozen=True, slots=True)
class Host:
    """Another host: an sshd of our own on the loopback, and the ssh_config that reaches it."""

    name: str
    config: Path
    process: subprocess.Popen[bytes]


@pytest.fixture
def host(shell: Shell, short_folder: Path) -> Iterator[Host]:
    """An sshd as an ordinary process; what it runs sees the shell's machine, so one machine plays both."""
    there = {name: shell.environment[name] for name in ("PATH", "TMUX_TMPDIR", "HOME", "SHELL")}
    client = Client(short_folder / "ssh")
    server = Sshd(short_folder / "sshd", client, there)
    server.start()
    try:
        assert server.process is not None
        yield Host(server.target, client.config, server.process)
    finally:
        server.stop()
