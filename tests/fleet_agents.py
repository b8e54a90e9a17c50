"""Real agents on the hosts of a `Network`, and the ledger of what they ran."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from fleet_network import wait_for
from sshd import SYSTEM_PATH

from agent.fleet.main import make
from agent.launchers.servers import server_pids
from agent.launchers.tmux import socket_path
from spool.records import Result

if TYPE_CHECKING:
    from pathlib import Path

    from fleet_network import Network, Remote

    from agent.fleet.engine import Collector
    from spool.workspace import Workspace

QUICK = """scan_interval_s = 0.5
grace_s = 1.0
quiet_s = 0.3
reserve_bytes = 0
launcher = "tmux"
"""


@dataclass(slots=True)
class Agents:
    """The agents of a network's hosts."""

    network: Network
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def ledger(self) -> Path:
        """Each run of `command` is a line: the task's id and the host."""
        return self.network.folder / "ledger"

    def command(self, host: str = "$HOST_OF_TEST", then: str = "true") -> str:
        return f'echo "$AISPOOL_TASK_ID {host}" >> {self.ledger}; {then}'

    def ran(self) -> list[str]:
        return sorted(self.ledger.read_text().split("\n")[:-1]) if self.ledger.exists() else []

    def start(self, remote: Remote, slots: int = 2, **options: Any) -> None:
        """Start a host's agent, and wait until it works."""
        ws = remote.workspace
        more = "".join(f"{name} = {json.dumps(value)}\n" for name, value in options.items())
        allowed = f'allowed_paths = ["{self.network.folder}"]\n'
        (ws.configs / "agent.toml").write_text(QUICK + allowed + more)
        command = [sys.executable, "-m", "agent", "-w", str(ws.root), "agent", "--name", remote.name]
        output = (remote.home / "agent.out").open("ab")
        self.processes[remote.name] = subprocess.Popen(
            [*command, "--slots", str(slots)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={
                "HOME": str(remote.home),
                "PATH": f"{remote.bin}:{SYSTEM_PATH}",
                "LANG": "C.UTF-8",
                "HOST_OF_TEST": remote.name,
            },
            cwd=self.network.folder,
            start_new_session=True,
        )
        output.close()
        beat = ws.agent(remote.name) / "agent.json"
        pid = self.processes[remote.name].pid
        wait_for(lambda: beat.exists() and f'"pid": {pid}' in beat.read_text(), f"{remote.name} works")

    def kill(self, name: str) -> None:
        process = self.processes.pop(name)
        process.kill()
        process.wait(30)

    def close(self) -> None:
        for process in self.processes.values():
            process.terminate()
        for process in self.processes.values():
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(20)
        for remote in self.network.hosts.values():
            for pid in server_pids(socket_path(remote.workspace.root)):
                os.kill(pid, signal.SIGKILL)


def collector(network: Network) -> Collector:
    """Return a collector that sends."""
    return make(network.workspace, network.config())


def drop(network: Network, to: str, task_id: str, **fields: Any) -> Path:
    """Drop a task into fleet/TO/tasks/ as a person does."""
    folder = network.workspace.root / "fleet" / to / "tasks"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{task_id}.json"
    path.write_text(json.dumps({"task_id": task_id, "tool": "shell", "command": "true", **fields}))
    return path


def result(workspace: Workspace, task_id: str) -> Result | None:
    return Result.read(workspace.results / task_id / "result.json")
