"""A real sshd as an ordinary process on the loopback, for the writers that come over the network."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

PLACES = "/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin"
START_LIMIT_S = 20.0


def program() -> str | None:
    """Return the path of sshd; None when it is not installed."""
    return shutil.which("sshd", path=f"{PLACES}:{os.environ.get('PATH', '')}")


@dataclass(frozen=True, slots=True)
class Server:
    """A running sshd.

    Args:
        options: let ssh, scp and sftp reach 127.0.0.1 there.
        pid: its listening process.
    """

    options: tuple[str, ...]
    pid: int

    def sessions(self) -> list[int]:
        """Return the processes of its connections."""
        parents = {}
        for name in os.listdir("/proc"):
            if name.isdigit():
                with contextlib.suppress(OSError):
                    fields = Path("/proc", name, "stat").read_text().rpartition(")")[2].split()
                    if fields[0] != "Z":
                        parents[int(name)] = int(fields[1])
        found, wanted = [], [self.pid]
        while wanted:
            parent = wanted.pop()
            children = [pid for pid, of in parents.items() if of == parent]
            found += children
            wanted += children
        return found

    def cut(self) -> None:
        """End every connection from this side, as a host that goes down does."""
        for pid in self.sessions():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


@contextlib.contextmanager
def sshd(folder: Path) -> Iterator[Server]:
    """Serve on a free port.

    Args:
        folder: a new one, for keys and options; its path is known to whoever looks for leftovers.
    """
    found = program()
    assert found is not None, "sshd is not installed"
    folder.mkdir(mode=0o700)
    for name in ("host_key", "user_key"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)], check=True)
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # privilege separation; absent without systemd
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (folder / "sshd_config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {folder}/host_key\nPidFile none\nUsePAM no\n"
        f"AuthorizedKeysFile {folder}/user_key.pub\nStrictModes no\nPasswordAuthentication no\n"
        "Subsystem sftp internal-sftp\n"
    )
    public = (folder / "host_key.pub").read_text().split()[:2]
    (folder / "known_hosts").write_text(f"[127.0.0.1]:{port} {' '.join(public)}\n")
    (folder / "config").write_text(
        f"Host *\nPort {port}\nIdentityFile {folder}/user_key\nIdentitiesOnly yes\nBatchMode yes\n"
        f"UserKnownHostsFile {folder}/known_hosts\n"
    )
    command = [found, "-D", "-f", str(folder / "sshd_config"), "-E", str(folder / "log")]
    with subprocess.Popen(command, env={"PATH": PLACES}, stdin=subprocess.DEVNULL) as process:
        try:
            _wait_for(port, process)
            yield Server(("-F", str(folder / "config")), process.pid)
        finally:
            process.terminate()


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline_s = time.monotonic() + START_LIMIT_S
    while time.monotonic() < deadline_s:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        if process.poll() is not None:
            raise ChildProcessError(f"sshd ended {process.returncode}")
        time.sleep(0.02)
    raise TimeoutError("sshd does not answer")
