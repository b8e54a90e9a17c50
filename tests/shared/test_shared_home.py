"""Several hosts on one network home: what each sees of it is stale for a while, and answers get lost."""

from __future__ import annotations

import ctypes.util
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from agent.launchers.tmux import socket_path
from spool.locks import agent_lock_path, is_network
from spool.workspace import Workspace, create

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TESTS = Path(__file__).parents[1]
LIMIT_S = 240.0

pytestmark = pytest.mark.timeout(900)

OPTIONS = """\
slots = 3
scan_interval_s = 0.5
quiet_s = 0.3
grace_s = 1.0
reserve_bytes = 0
allowed_paths = ["/"]
"""


def wait_for(condition: Callable[[], object], what: str, seen: Callable[[], object] = str) -> None:
    """Wait; `seen` says what is there when it takes too long."""
    deadline_s = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < deadline_s, f"still not after {LIMIT_S:g} s: {what}; {seen()}"
        time.sleep(0.2)


@dataclass(slots=True)
class SharedHost:
    """One host: its mount of the shared folder, and its agent."""

    name: str
    mount: Path
    server: subprocess.Popen[bytes]
    agent: subprocess.Popen[bytes] | None = None

    @property
    def workspace(self) -> Workspace:
        return Workspace(self.mount / "ws")

    def start(self) -> None:
        """Start its agent, and wait until it says that it works."""
        words = ("-m", "agent", "--workspace", str(self.workspace.root), "agent", "--name", self.name)
        with (self.mount.parent / f"{self.name}.out").open("ab") as output:
            self.agent = subprocess.Popen(
                [sys.executable, *words], stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                cwd="/", start_new_session=True,
            )  # fmt: skip
        wait_for(self._is_up, f"{self.name} works: {self.said}")

    def _is_up(self) -> bool:
        assert self.agent is not None
        assert self.agent.poll() is None, self.said
        try:
            beat = json.loads((self.workspace.agent(self.name) / "agent.json").read_bytes())
        except (OSError, ValueError):
            return False
        return bool(beat["pid"] == self.agent.pid)

    @property
    def said(self) -> str:
        return (self.mount.parent / f"{self.name}.out").read_text()[-2000:]

    def kill(self) -> None:
        assert self.agent is not None
        self.agent.kill()
        self.agent.wait(30)

    def drop(self, task_id: str, command: str, **more: object) -> None:
        """Drop a task on this host, as a careful client does."""
        content = json.dumps({"task_id": task_id, "tool": "shell", "command": command, **more})
        hidden = self.workspace.tasks / f".{task_id}.part"
        hidden.write_text(content)
        again = True
        while again:
            try:
                hidden.rename(self.workspace.tasks / f"{task_id}.json")
                again = False
            except FileNotFoundError:
                again = hidden.exists()  # an answer that got lost is none

    def close(self) -> None:
        if self.agent is not None and self.agent.poll() is None:
            self.agent.terminate()
            self.agent.wait(60)
        socket = socket_path(self.workspace.root)
        subprocess.run(["tmux", "-S", str(socket), "kill-server"], capture_output=True, check=False)
        agent_lock_path(self.workspace, self.name).unlink(missing_ok=True)
        subprocess.run(["umount", "--lazy", str(self.mount)], check=True)
        self.server.wait(30)


@dataclass(slots=True)
class SharedHome:
    """The folder itself, which only its server sees without a cache, and the hosts."""

    folder: Path
    hosts: list[SharedHost] = field(default_factory=list)

    @property
    def backing(self) -> Workspace:
        return Workspace(self.folder / "disk" / "ws")

    @property
    def ledger(self) -> list[str]:
        path = self.folder / "ledger"
        return path.read_text().split() if path.exists() else []

    def command(self, task_id: str, rest: str = ":") -> str:
        return f"echo {task_id} >> {self.folder}/ledger; {rest}"

    def states(self) -> dict[str, str]:
        found = self.backing.results.glob("*/result.json")
        return {path.parent.name: json.loads(path.read_bytes())["state"] for path in found}

    def finished(self, ids: set[str]) -> None:
        """Wait until all these tasks have a result."""
        wait_for(lambda: self.states().keys() >= ids, "all are over", lambda: self.left(ids))

    def left(self, ids: set[str]) -> str:
        """Say where those are that are not over, and what the agents said last."""
        missing = sorted(ids - self.states().keys())
        status = {name: (self.backing.sessions / name / "status.json") for name in missing}
        told = {name: path.read_text() if path.exists() else None for name, path in status.items()}
        lines = {name: path.read_text() for path in self.backing.tasks.glob("*.why") for name in [path.stem]}
        logs = (self.backing.logs / "agent.log").read_text().splitlines()
        about = [
            line
            for line in logs
            if any(f"task_id={name}" in line for name in missing) or " INFO " not in line
        ]
        said = "\n".join((*about, *(host.said for host in self.hosts)))
        return f"missing: {missing}\n{told}\n{lines}\n{said}"


@pytest.fixture
def home() -> Iterator[SharedHome]:
    """Three hosts with one home."""
    if os.geteuid() != 0 or not os.access("/dev/fuse", os.R_OK | os.W_OK):
        pytest.skip("cannot run here: no FUSE: only root may mount, and only where /dev/fuse is")
    if not (ctypes.util.find_library("fuse") or ctypes.util.find_library("fuse3")):
        pytest.skip("cannot run here: no FUSE: libfuse is not installed")
    with tempfile.TemporaryDirectory(prefix="ash-", dir="/tmp") as name:
        home = SharedHome(Path(name))
        create(home.backing.root)
        (home.backing.configs / "agent.toml").write_text(OPTIONS)
        try:
            for number in range(3):
                home.hosts.append(_mounted(home, number))
            yield home
        finally:
            for host in home.hosts:
                host.close()


def _mounted(home: SharedHome, number: int) -> SharedHost:
    mount = home.folder / f"h{number}"
    mount.mkdir()
    words = ("-m", "nfs_like", str(home.folder / "disk"), str(mount), str(number))
    server = subprocess.Popen([sys.executable, *words], cwd=TESTS)
    wait_for(lambda: os.path.ismount(mount), f"{mount} is mounted")
    return SharedHost(f"h{number}", mount, server)


def test_it_is_known_for_a_network(home: SharedHome) -> None:
    """So the agents' locks are on each host's own disk."""
    workspace = home.hosts[0].workspace
    assert is_network(workspace.sessions)
    assert agent_lock_path(workspace, "h0").is_relative_to("/var/tmp")


def test_each_task_runs_once_on_whichever_host(home: SharedHome) -> None:
    """Dropped on all of them, taken by all of them, with files and dependencies."""
    for host in home.hosts:
        host.start()
    ids = {f"t{number:02d}" for number in range(30)}
    for number, task_id in enumerate(sorted(ids)):
        needs = [f"t{number - 3:02d}"] if number >= 3 and number % 5 == 0 else []
        home.hosts[number % 3].drop(task_id, home.command(task_id), dependencies=needs)
    home.finished(ids)
    assert sorted(home.ledger) == sorted(ids)
    assert set(home.states().values()) == {"succeeded"}
    assert [path.name for path in home.backing.rejected.iterdir()] == []
    assert {path.name for path in home.backing.tasks.glob("*.json")} == set()


def test_an_agent_that_is_killed_is_not_taken_for_dead_by_other_hosts(home: SharedHome) -> None:
    """Its lock is on its own disk, where they cannot look; it goes on by itself when it is started again."""
    first, second, _ = home.hosts
    first.start()
    first.drop("runs", home.command("runs", f"until [ -e {home.folder}/gate ]; do sleep 0.1; done"))
    wait_for(lambda: "runs" in home.ledger, "it runs")
    first.kill()
    second.start()
    second.drop("other", home.command("other"))
    home.finished({"other"})
    (home.folder / "gate").touch()
    second.drop("more", home.command("more"))
    home.finished({"more"})
    assert "runs" not in home.states(), "its host has not said how it ended"
    first.start()
    home.finished({"runs"})
    assert home.states() == {"runs": "succeeded", "other": "succeeded", "more": "succeeded"}
    assert sorted(home.ledger) == ["more", "other", "runs"]


def test_what_a_collector_delivers_is_taken_once(home: SharedHome) -> None:
    """By whichever host's agent; pushed twice through one host, as after a cut connection."""
    for host in home.hosts[:2]:
        host.start()
    outgoing = home.folder / "outgoing"
    outgoing.mkdir()
    ids = {f"d{number}" for number in range(10)}
    for task_id in ids:
        task = {"task_id": task_id, "tool": "shell", "command": home.command(task_id)}
        (outgoing / f"{task_id}.json").write_text(json.dumps(task))

    def push() -> bool:
        target = home.hosts[2].workspace.inbox_tasks
        done = subprocess.run(
            ["rsync", "-rt", f"{outgoing}/", f"{target}/"], capture_output=True, check=False
        )
        return done.returncode == 0

    wait_for(push, "it is pushed")
    wait_for(push, "it is pushed again")
    home.finished(ids)
    wait_for(push, "it is pushed once more")
    wait_for(lambda: not list(home.backing.inbox_tasks.glob("*.json")), "the inbox is empty")
    assert sorted(home.ledger) == sorted(ids)
    assert [path.name for path in home.backing.rejected.iterdir()] == []
