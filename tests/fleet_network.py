"""A collector and hosts on this machine: real sshd, ssh and rsync, each host with a workspace of its own."""

from __future__ import annotations

import hashlib
import json
import random
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sshd import SYSTEM_PATH, Client, Sshd

from agent.collector import CollectorOptions
from agent.config import AgentConfig
from agent.fleet.engine import Collector
from agent.fleet.hosts import Host
from agent.fleet.layout import Mirror
from agent.fleet.state import HostState, read_state
from spool.enrol import enrol, mark
from spool.files import put
from spool.records import Output, Result, State, Status, utc_now
from spool.results import RESULT
from spool.workspace import Workspace, create

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

COLLECTOR = "laptop"


def wait_for(condition: Callable[[], object], what: str, limit_s: float = 30) -> None:
    """Wait until something is so, and fail with its name when it does not become so."""
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline, f"after {limit_s} s: {what}"
        time.sleep(0.02)


@dataclass(slots=True)
class Remote:
    """One host: its sshd, and the workspace that an agent would work on."""

    name: str
    home: Path
    sshd: Sshd
    workspace: Workspace
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def bin(self) -> Path:
        """Programs put here are found first by what runs on the host."""
        return self.home / "bin"

    def entry(self) -> Host:
        fields = {"name": self.name, "address": "127.0.0.1", "port": self.sshd.port}
        return Host.model_validate({**fields, "workspace": str(self.workspace.root), **self.options})

    def enrol(self) -> None:
        enrol(self.workspace, COLLECTOR)

    def wait(self, name: str, text: str = '{"tool": "shell", "command": "true"}') -> Path:
        """Let a task wait."""
        path = self.workspace.tasks / f"{name}.json"
        put(path, text.encode())
        return path

    def run(self, task_id: str, log: bytes = b"") -> Path:
        """Let a task run: its session, and what it printed so far."""
        folder = self.workspace.sessions / task_id
        folder.mkdir(exist_ok=True)
        status = Status(
            task_id=task_id,
            tool="shell",
            command="true",
            state=State.RUNNING,
            reason="it runs",
            since=utc_now(),
            attempt=1,
            agent=self.name,
            host=self.name,
            submitted_at=utc_now(),
            source_name=f"{task_id}.json",
        )
        status.write(folder / "status.json")
        self.log(task_id, log)
        return folder

    def log_file(self, task_id: str) -> Path:
        return self.workspace.logs / f"shell-{task_id}.log"

    def log(self, task_id: str, more: bytes) -> None:
        """Let a task print."""
        with self.log_file(task_id).open("ab") as file:
            file.write(more)

    def rotate(self, task_id: str) -> None:
        """Do as the wrapper does at a log's cap."""
        file = self.log_file(task_id)
        file.rename(f"{file}.1")
        file.touch()

    def finish(self, task_id: str, stdout: bytes = b"done\n", *, marked: bool = True, **more: Any) -> Path:
        """Let a task end, in the order of an agent: result, mark, move."""
        folder = self.workspace.sessions / task_id
        attempt = folder / "attempts" / "001"
        attempt.mkdir(parents=True, exist_ok=True)
        (attempt / "stdout").write_bytes(stdout)
        fields: dict[str, Any] = {
            "task_id": task_id,
            "tool": "shell",
            "command": "true",
            "state": State.SUCCEEDED,
            "reason": "it ended",
            "host": self.name,
            "source_name": f"{task_id}.json",
            "submitted_at": utc_now(),
            "finished_at": utc_now(),
            "output": Output(text="done", log=f"logs/shell-{task_id}.log"),
        }
        result = Result.model_validate(fields | more)
        result.write(folder / "result.json")
        if marked:
            mark(self.workspace, task_id, digest(folder))
        target = self.workspace.results / task_id
        folder.rename(target)
        (target / "status.json").unlink(missing_ok=True)
        return target


def digest(folder: Path) -> str:
    return hashlib.sha256((folder / "result.json").read_bytes()).hexdigest()


@dataclass(slots=True)
class Network:
    """The collector's machine, and the hosts around it."""

    folder: Path
    workspace: Workspace
    client: Client
    hosts: dict[str, Remote] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)

    def host(self, name: str, *, serving: bool = True, enrolled: bool = True, **options: Any) -> Remote:
        """Add a host with an empty workspace."""
        home = self.folder / name
        (home / "bin").mkdir(parents=True)
        environment = {"HOME": str(home), "PATH": f"{home}/bin:{SYSTEM_PATH}", "SHELL": "/bin/sh"}
        remote = Remote(
            name, home, Sshd(home / "sshd", self.client, environment), create(home / "ws"), options
        )
        if enrolled:
            remote.enrol()
        if serving:
            remote.sshd.start()
        self.hosts[name] = remote
        self.configure()
        return remote

    def configure(self) -> None:
        """Write configs/hosts.toml."""
        blocks = []
        for remote in self.hosts.values():
            fields = remote.entry().model_dump(exclude_defaults=True)
            lines = [f"{key} = {json.dumps(value)}" for key, value in fields.items()]
            blocks.append("\n".join(["[[hosts]]", *lines]))
        put(self.workspace.configs / "hosts.toml", "\n\n".join(blocks).encode() + b"\n")

    def config(self) -> AgentConfig:
        quick = {"interval_s": 0.3, "silence_s": 20.0, "slowest_retry_s": 2.0, "reserve_bytes": 0}
        options = CollectorOptions.model_validate(quick | self.options)
        return AgentConfig(name=COLLECTOR, collector=options)

    def collector(self) -> Collector:
        return Collector(self.workspace, self.config())

    def round(self) -> bool:
        """Make one round with every host, by a collector of its own, as cron does."""
        return self.collector().run_once()

    def mirror(self, name: str) -> Mirror:
        return Mirror(self.workspace.root / "fleet" / name)

    def state(self, name: str) -> HostState:
        state = read_state(self.mirror(name))
        assert state is not None
        return state

    def acknowledged(self, name: str) -> dict[str, str]:
        """Return what the host would be told that we hold."""
        collected: dict[str, str] = {}
        for file in sorted(self.mirror(name).outbox_controls.glob("*.json")):
            control = json.loads(file.read_bytes())
            if control["do"] == "ack":
                collected |= control["collected"]
        return collected


def faithful(network: Network, remote: Remote) -> int:
    """Check that all that is shown is as the host has it; return the number of results."""
    seen = network.mirror(remote.name).workspace
    if not seen.results.exists():
        return 0  # killed before it made anything
    shown = [folder for folder in seen.results.iterdir() if not folder.name.startswith(".")]
    for folder in shown:
        there = remote.workspace.results / folder.name
        assert (folder / RESULT).exists(), f"{folder} is torn"
        assert contents(folder) == contents(there), folder.name
        assert (seen.logs / f"shell-{folder.name}.log").read_bytes() == remote.log_file(
            folder.name
        ).read_bytes()
    for log in seen.logs.glob("shell-*.log"):
        assert (remote.workspace.logs / log.name).read_bytes().startswith(log.read_bytes()), log.name
    for task in seen.tasks.glob("*.json"):
        assert task.read_bytes() == (remote.workspace.tasks / task.name).read_bytes()
    told = network.acknowledged(remote.name)
    assert set(told) <= {folder.name for folder in shown}, "told of a result that is not here"
    return len(shown)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def fill(remote: Remote) -> None:
    """Give a host something of everything."""
    draw = random.Random(1)  # noqa: S311 - some bytes, no key
    for number in range(3):
        remote.wait(f"w{number}")
        remote.run(f"r{number}", draw.randbytes(20_000))
        remote.run(f"d{number}", draw.randbytes(30_000))
        remote.finish(f"d{number}", draw.randbytes(50_000))
