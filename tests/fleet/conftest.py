"""A collector and hosts on this machine."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

from fleet_network import Network, wait_for
from sshd import Client

from spool.workspace import create

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture
def until() -> Callable[..., None]:
    return wait_for


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> Iterator[Network]:
    with tempfile.TemporaryDirectory(prefix="aispool-") as name:
        folder = Path(name)
        sockets = folder / "run"
        sockets.mkdir(mode=0o700)
        client = Client(folder / "client")
        monkeypatch.setenv("XDG_RUNTIME_DIR", str(sockets))
        monkeypatch.setenv("AISPOOL_SSH_CONFIG", str(client.config))
        network = Network(folder, create(folder / "collector"), client)
        yield network
        for remote in network.hosts.values():
            remote.sshd.stop()
        _end_masters(sockets)


def _end_masters(sockets: Path) -> None:
    """End what a killed collector left: ssh processes that name our folder of sockets."""
    wanted = os.fsencode(sockets)
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            try:
                line = (process / "cmdline").read_bytes()
            except OSError:
                continue
            if line.startswith(b"ssh") and wanted in line:
                os.kill(int(process.name), 9)


@pytest.fixture
def tree() -> Callable[[Path], dict[str, bytes]]:
    """What a folder holds, by relative path."""
    return lambda folder: {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
