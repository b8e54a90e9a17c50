"""Hosts reached by ssh: each an sshd of its own as an ordinary process on the loopback, with its own keys."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
START_LIMIT_S = 20.0


def new_key(file: Path) -> None:
    """Make a key pair without a passphrase."""
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", file], check=True, timeout=60)


def answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


def descendants(pid: int) -> list[int]:
    """Return the processes below one, in /proc's order."""
    parents: dict[int, int] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError):
                fields = Path("/proc", name, "stat").read_text().rpartition(")")[2].split()
                if fields[0] != "Z":
                    parents[int(name)] = int(fields[1])
    found, wanted = [], [pid]
    while wanted:
        parent = wanted.pop()
        children = [child for child, of in parents.items() if of == parent]
        found += children
        wanted += children
    return found


@dataclass(slots=True)
class Client:
    """Who connects: a key, an ssh_config, and the keys of the hosts that are known.

    Args:
        folder: a new one for all of this.
    """

    folder: Path

    def __post_init__(self) -> None:
        self.folder.mkdir(mode=0o700, exist_ok=True)
        if not self.key.exists():
            new_key(self.key)
        self.known_hosts.touch()
        self.config.write_text(f"UserKnownHostsFile {self.known_hosts}\nIdentityFile {self.key}\n")

    @property
    def key(self) -> Path:
        return self.folder / "user_key"

    @property
    def known_hosts(self) -> Path:
        return self.folder / "known_hosts"

    @property
    def config(self) -> Path:
        """What AISPOOL_SSH_CONFIG names."""
        return self.folder / "config"


@dataclass(slots=True)
class Sshd:
    """One sshd; what it runs finds `environment`.

    Args:
        folder: a new one for its keys, its options and its log.
        client: whose key it takes; it is made known to that client.
        authorized: the lines of its authorized_keys; the client's key alone when left out.
    """

    folder: Path
    client: Client
    environment: Mapping[str, str]
    authorized: tuple[str, ...] = ()
    port: int = 0
    process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self.folder.mkdir(mode=0o700)
        new_key(self.folder / "host_key")
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # privilege separation; absent without systemd
        if not self.port:
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                self.port = probe.getsockname()[1]
        lines = self.authorized or (self.client.key.with_suffix(".pub").read_text(),)
        (self.folder / "authorized_keys").write_text("\n".join(lines) + "\n")
        told = " ".join(f"{name}={value}" for name, value in self.environment.items())
        (self.folder / "sshd_config").write_text(
            f"Port {self.port}\nListenAddress 127.0.0.1\nHostKey {self.folder}/host_key\nPidFile none\n"
            f"AuthorizedKeysFile {self.folder}/authorized_keys\nStrictModes no\nPasswordAuthentication no\n"
            f"UsePAM no\nLogLevel VERBOSE\nMaxStartups 1000\nSetEnv {told}\n"
        )
        public = " ".join((self.folder / "host_key.pub").read_text().split()[:2])
        with self.client.known_hosts.open("a") as known:
            known.write(f"[127.0.0.1]:{self.port} {public}\n")

    @property
    def target(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        """Serve, and wait until it answers."""
        program = shutil.which("sshd", path=f"{SYSTEM_PATH}:{os.environ.get('PATH', '')}")
        assert program is not None, "sshd is not installed"
        command = [program, "-D", "-f", self.folder / "sshd_config", "-E", self.folder / "log"]
        self.process = subprocess.Popen(command)
        deadline = time.monotonic() + START_LIMIT_S
        while not answers(self.port):
            assert time.monotonic() < deadline, (self.folder / "log").read_text()
            time.sleep(0.02)

    def stop(self) -> None:
        """Take the host off the network: nobody is let in any more, and every connection ends."""
        if self.process is None:
            return
        if self.process.poll() is None:
            os.kill(self.process.pid, signal.SIGSTOP)  # lets nobody in while we look who is in
            self.cut()
        self.process.kill()
        self.process.wait(20)
        self.process = None

    def sessions(self) -> list[int]:
        """Return the processes of its connections, and what they run."""
        return descendants(self.process.pid) if self.process is not None else []

    def cut(self) -> None:
        """End every connection from this side, as a host that goes down does."""
        for pid in self.sessions():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def connections(self) -> int:
        """Return how many connections were ever let in."""
        return (self.folder / "log").read_text(errors="replace").count("Accepted publickey")
