from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from spool import locks
from spool.locks import NameTakenError, agent_lock_path, is_held, is_network, take_agent_lock

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spool.workspace import Workspace

HOLDER = """
import sys
from pathlib import Path
from spool.locks import take_agent_lock
from spool.workspace import Workspace
lock = take_agent_lock(Workspace(Path(sys.argv[1])), sys.argv[2])
print("held", flush=True)
sys.stdin.read()
"""


@contextmanager
def another_agent(workspace: Workspace, name: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run another process that holds an agent's name."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, workspace.root, name], stdin=-1, stdout=-1
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        yield process
        process.kill()


def test_held_by_any_process(tmp_path: Path) -> None:
    """A missing file is held by nobody, and a probe leaves no trace."""
    path = tmp_path / "lock"
    assert not is_held(path)
    assert not path.exists()
    with path.open("w") as file:
        assert not is_held(path)
        for how in (fcntl.LOCK_EX, fcntl.LOCK_UN, fcntl.LOCK_EX):
            fcntl.flock(file, how)
            assert is_held(path) is (how == fcntl.LOCK_EX)
    assert not is_held(path)


def test_a_lock_outlives_its_taker_in_a_child(tmp_path: Path) -> None:
    """An inherited descriptor holds the lock: so tree.lock tells of grandchildren."""
    path = tmp_path / "tree.lock"
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        child = subprocess.Popen(["cat"], stdin=-1, pass_fds=[file.fileno()])
    assert is_held(path)
    child.communicate()
    assert not is_held(path)


def test_the_probe_never_follows_a_link(tmp_path: Path) -> None:
    """A link in place of a lock is an error, not an answer."""
    (tmp_path / "lock").symlink_to("/etc/passwd")
    with pytest.raises(OSError, match="symbolic links"):
        is_held(tmp_path / "lock")


def test_one_name_one_agent(workspace: Workspace) -> None:
    """A second agent of the same name is refused with what to do; another name is fine."""
    with another_agent(workspace, "a"):
        assert is_held(agent_lock_path(workspace, "a"))
        with pytest.raises(NameTakenError, match="choose another --name"):
            take_agent_lock(workspace, "a")
        with take_agent_lock(workspace, "b"):
            pass


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_dead_agents_name_is_free(workspace: Workspace, how: signal.Signals) -> None:
    """The kernel releases it, however the agent dies; nothing is left to clean."""
    with another_agent(workspace, "a") as process:
        process.send_signal(how)
        process.wait()
        with take_agent_lock(workspace, "a"):
            assert is_held(agent_lock_path(workspace, "a"))


def test_the_lock_is_this_processs_not_a_threads(workspace: Workspace) -> None:
    """Taking a name twice in one process is refused, too."""
    with take_agent_lock(workspace, "a"), pytest.raises(NameTakenError):
        take_agent_lock(workspace, "a")


def test_a_remote_workspace_has_its_locks_on_a_local_disk(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Flock says nothing on NFS; two workspaces never share a lock."""
    monkeypatch.setattr(locks, "is_network", lambda _: True)
    monkeypatch.setattr(locks, "LOCAL_LOCKS", tmp_path / "var")
    paths = {agent_lock_path(workspace, name) for name in ("a", "b")}
    assert len(paths) == 2
    assert {path.parent for path in paths} == {tmp_path / "var" / f"aispool-{os.getuid()}"}
    with take_agent_lock(workspace, "a"), pytest.raises(NameTakenError):
        take_agent_lock(workspace, "a")


@pytest.mark.skipif(os.getuid() != 0, reason="only root gives folders away")
def test_a_lock_folder_of_another_user_is_not_trusted(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """/var/tmp is everybody's: its owner could hold our name for ever."""
    monkeypatch.setattr(locks, "is_network", lambda _: True)
    monkeypatch.setattr(locks, "LOCAL_LOCKS", tmp_path)
    folder = tmp_path / f"aispool-{os.getuid()}"
    folder.mkdir()
    os.chown(folder, 65534, 65534)
    with pytest.raises(PermissionError, match="another user"):
        take_agent_lock(workspace, "a")


def test_file_systems_are_told_apart(tmp_path: Path) -> None:
    """The temporary folder is local, and /proc is what it is."""
    assert not is_network(tmp_path)
    assert locks.file_system_of(Path("/proc")) == "proc"


def test_what_happens_when_a_held_lock_is_removed(workspace: Workspace) -> None:
    """Whoever removes the file of a living agent lets a second one in: so nothing here ever does."""
    with another_agent(workspace, "a") as process:
        before = agent_lock_path(workspace, "a").stat().st_ino
        with pytest.raises(NameTakenError):
            take_agent_lock(workspace, "a")
        assert agent_lock_path(workspace, "a").stat().st_ino == before
        agent_lock_path(workspace, "a").unlink()
        with take_agent_lock(workspace, "a"):
            assert process.poll() is None
