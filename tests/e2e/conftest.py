from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

from agent.launchers.screen import screen_folder
from agent.launchers.tmux import socket_path
from spool.workspace import Workspace, create

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

T = TypeVar("T")

QUICK: dict[str, Any] = {
    "scan_interval_s": 0.5,
    "grace_s": 1.0,
    "quiet_s": 0.3,
    "reject_unparsable_after_s": 1.0,
    "reserve_bytes": 0,
    "hook_timeout_s": 2.0,
}
"""Options under which a test need not wait long for what a person waits for."""

ACTOR = """#!/bin/sh
# Runs one act of a scripted tool; the first thing it does is to say that it ran, in a file of its own.
echo "$AISPOOL_TASK_ID ${AISPOOL_ATTEMPT##*/}" >>"@LEDGER@"
act=$1
[ $# -eq 0 ] || shift
case $act in
finish) echo "finished $*" ;;
fail)
    runs=$(grep -c "^$AISPOOL_TASK_ID " "@LEDGER@")
    [ "$runs" -gt "$1" ] || exit "${2:-1}"
    echo "worked at run $runs" ;;
nap) sleep "$1" ;;
hang) exec sleep 300 ;;
stubborn)
    trap '' TERM HUP INT
    while :; do sleep 300; done ;;
daemon)
    # a session of its own, twice forked: only the lock and the environment tell whose it is
    setsid sh -c 'setsid sleep 300 >/dev/null 2>&1 </dev/null & echo $! >"$1"' - "@FOLDER@/daemon.pid"
    ${1:-true} ;;
closed)
    exec @PYTHON@ -I -S -c '
import os, time
os.closerange(0, 4096)
child = os.fork()
if child:
    while os.getsid(child) != child: time.sleep(0.005)
    os._exit(0)
os.setsid()
time.sleep(300)' ;;
flood) head -c "$1" /dev/zero | tr '\\0' x; echo "the end" ;;
ask)
    echo "may I go on?" >"$AISPOOL_WAITING"
    until [ -n "$(ls "$AISPOOL_ANSWERS")" ]; do sleep 0.05; done
    rm "$AISPOOL_WAITING"
    cat "$AISPOOL_ANSWERS"/* ;;
gate)
    until [ -e "@FOLDER@/$1" ]; do sleep 0.02; done
    echo "let through" ;;
read) cat "$@" ;;
die) kill -"$1" $$ ;;
esac
"""


def wait_until(condition: Callable[[], T], what: str, limit_s: float = 20.0) -> T:
    """Poll until the condition gives something true, and give that."""
    end_s = time.monotonic() + limit_s
    while not (value := condition()):
        if time.monotonic() > end_s:
            pytest.fail(f"still not after {limit_s:g} s: {what}")
        time.sleep(0.02)
    return value


def read_json(path: Path) -> dict[str, Any] | None:
    try:
        document: dict[str, Any] = json.loads(path.read_text())
    except (FileNotFoundError, NotADirectoryError):
        return None
    return document


def processes_of(root: Path) -> dict[int, str]:
    """Every living process that has something to do with a folder, with its command line."""
    needle = os.fsencode(root)
    found = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            cmdline = (entry / "cmdline").read_bytes()
            if needle in cmdline or needle in (entry / "environ").read_bytes():
                found[int(entry.name)] = cmdline.replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
    return found


def end_processes(pids: Iterator[int] | list[int]) -> None:
    for pid in pids:
        try:
            os.kill(pid, signal.SIGCONT)
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


@dataclass(slots=True)
class Agent:
    """One agent's process."""

    name: str
    process: subprocess.Popen[bytes]
    folder: Path
    output: Path

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def said(self) -> str:
        return self.output.read_text()

    def is_up(self) -> bool:
        if self.process.poll() is not None:
            pytest.fail(f"the agent {self.name} ended with {self.process.returncode}: {self.said}")
        beat = read_json(self.folder / "agent.json")
        return beat is not None and beat["pid"] == self.pid

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def stop(self) -> int:
        """Ask it to leave, and return its exit code."""
        if self.process.poll() is None:
            self.process.terminate()
        return self.process.wait(30)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(30)


@dataclass(slots=True)
class Host:
    """A workspace, what people do to it, and the agents that work on it."""

    folder: Path
    ws: Workspace
    env: dict[str, str]
    agents: list[Agent] = field(default_factory=list)
    options: dict[str, Any] = field(default_factory=lambda: dict(QUICK))

    wait = staticmethod(wait_until)
    clock = staticmethod(time.monotonic)
    read = staticmethod(read_json)

    # ---- what the owner sets

    def configure(self, **options: Any) -> None:
        """Write agent.toml; tables come last, as TOML wants it."""
        self.options.update(options)
        plain = {k: v for k, v in self.options.items() if not isinstance(v, dict)}
        tables = {k: v for k, v in self.options.items() if isinstance(v, dict)}
        lines = [f"{name} = {json.dumps(value)}" for name, value in plain.items()]
        for name, table in tables.items():
            lines += [f"[{name}]", *(f"{key} = {json.dumps(value)}" for key, value in table.items())]
        (self.ws.configs / "agent.toml").write_text("\n".join(lines) + "\n")

    def tools(self, extra: str = "", actor: str = "") -> None:
        """Write tools.toml: the scripted tool `actor`, and what a test adds."""
        (self.ws.configs / "tools.toml").write_text(
            f'[tools.actor]\npath = "{self.folder}/bin/actor"\n'
            f'argv = ["$executable", "$command", "$args"]\n{actor}\n{extra}\n'
        )

    def program(self, name: str, text: str) -> Path:
        """Put an executable on the agent's PATH."""
        path = self.folder / "bin" / name
        path.write_text(text)
        path.chmod(0o755)
        return path

    # ---- what people do

    def drop(
        self, task_id: str, act: str = "finish", *args: str, name: str | None = None, **more: Any
    ) -> Path:
        """Drop a task of the scripted tool, as a careful client does: whole, then renamed."""
        fields: dict[str, Any] = {"task_id": task_id, "tool": "actor", "command": act}
        if args:
            fields["parameters"] = {"args": list(args)}
        return self.put(name or f"{task_id}.json", json.dumps({**fields, **more}).encode())

    def shell(self, task_id: str, script: str, **more: Any) -> Path:
        fields = {"task_id": task_id, "tool": "shell", "command": script, **more}
        return self.put(f"{task_id}.json", json.dumps(fields).encode())

    def put(self, name: str, content: bytes) -> Path:
        target = self.ws.tasks / name
        hidden = self.ws.tasks / f".{name[:100]}.part"
        hidden.write_bytes(content)
        hidden.rename(target)
        return target

    def cancel(self, task_id: str) -> None:
        (self.ws.sessions / task_id / "cancel").touch()

    def open_gate(self, name: str) -> None:
        (self.folder / name).touch()

    # ---- what people see

    def result(self, task_id: str, limit_s: float = 20.0) -> dict[str, Any]:
        """Wait for a task's end and return its result."""
        path = self.ws.results / task_id / "result.json"
        wait_until(path.exists, f"{task_id} has a result{self._log_tail}", limit_s)
        found = read_json(path)
        assert found is not None
        return found

    def results(self, *task_ids: str, limit_s: float = 30.0) -> dict[str, str]:
        """Wait for the ends of several tasks and return their states."""
        return {task_id: self.result(task_id, limit_s)["state"] for task_id in task_ids}

    def status(self, task_id: str) -> dict[str, Any] | None:
        return read_json(self.ws.sessions / task_id / "status.json")

    def wait_for_state(self, task_id: str, state: str) -> dict[str, Any]:
        """Wait until a session says that it is in a state, and return what it says."""

        def there() -> dict[str, Any] | None:
            status = self.status(task_id)
            return status if status is not None and status["state"] == state else None

        return wait_until(there, f"{task_id} is {state}, not {self.status(task_id)}")

    def wait_for_run(self, task_id: str, number: int = 1) -> None:
        """Wait until the tool itself said that it runs."""
        line = f"{task_id} {number:03d}"
        wait_until(lambda: line in self.ledger(), f"{line} in the ledger")

    def why(self, name: str, part: str) -> str:
        """Wait until the line beside a waiting file says something, and return all of it."""
        path = self.ws.tasks / f"{name}.why"

        def said() -> str:
            text = path.read_text() if path.exists() else ""
            return text if part in text else ""

        return wait_until(said, f"{path} says {part!r}")

    def refusal(self, name: str, limit_s: float = 20.0) -> dict[str, Any]:
        """Wait until a file was rejected and return the explanation."""
        path = self.ws.rejected / f"{name}.error.json"
        wait_until(
            lambda: path.exists() and os.path.lexists(self.ws.rejected / name), f"{name} rejected", limit_s
        )
        found = read_json(path)
        assert found is not None
        assert found["what"]
        assert found["remedy"]
        return found

    def ledger(self) -> list[str]:
        """Return every run of the scripted tool: `ID ATTEMPT`, in order."""
        path = self.folder / "ledger"
        return path.read_text().splitlines() if path.exists() else []

    def states(self) -> dict[str, str]:
        """Return where every session stands, for the message of a failure."""
        found = {path.parent.name: read_json(path) for path in self.ws.sessions.glob("*/status.json")}
        return {name: f"{s['state']}: {s['reason']}" for name, s in found.items() if s is not None}

    def on_a_mount(self, mount: Callable[..., None], *options: str) -> Host:
        """Move the workspace to a file system of its own; tools and ledger stay where they are."""
        shutil.rmtree(self.ws.root)
        self.ws.root.mkdir(mode=0o700)
        mount(self.ws.root, *options)
        create(self.ws.root)
        self.configure()
        self.tools()
        return self

    def agent_log(self) -> str:
        return "".join(path.read_text() for path in sorted(self.ws.logs.glob("agent*.log")))

    @property
    def _log_tail(self) -> str:
        return "\n" + self.agent_log()[-1500:]

    # ---- agents

    def spawn(self, *options: str, name: str = "a1", slots: int = 2, **env: str) -> Agent:
        """Start an agent and do not wait for anything."""
        output = self.folder / f"agent-{len(self.agents)}.out"
        command = [sys.executable, "-m", "agent", "--workspace", str(self.ws.root), "agent"]
        with output.open("wb") as file:
            process = subprocess.Popen(
                [*command, "--name", name, "--slots", str(slots), *options],
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                env={**self.env, **env},
                cwd=self.folder,
                start_new_session=True,
            )
        agent = Agent(name, process, self.ws.agent(name), output)
        self.agents.append(agent)
        return agent

    def start(self, *options: str, name: str = "a1", slots: int = 2, **env: str) -> Agent:
        """Start an agent and wait for its first sign of life."""
        agent = self.spawn(*options, name=name, slots=slots, **env)
        wait_until(agent.is_up, f"{name} is up")
        return agent

    def drain(self, slots: int = 2, name: str = "a1", limit_s: float = 60.0, **env: str) -> None:
        """Run an agent until nothing is left to do."""
        agent = self.spawn("--drain", name=name, slots=slots, **env)
        code = agent.process.wait(limit_s)
        assert code == 0, agent.said

    def processes(self) -> dict[int, str]:
        return processes_of(self.folder)

    def multiplexers(self) -> list[int]:
        """Return the workspace's tmux servers and screens, parents first."""
        marks = (str(socket_path(self.ws.root)), str(screen_folder(self.ws.root)))
        found = []
        for pid, line in self.processes().items():
            try:
                comm = Path(f"/proc/{pid}/comm").read_text().strip()
            except OSError:
                continue
            if comm in {"tmux: server", "screen"} and any(mark in line for mark in marks):
                found.append(pid)
        return sorted(found)

    def close(self) -> dict[int, str]:
        """End everything; return what still ran although all tasks were over and all servers ended."""
        for agent in self.agents:
            if agent.process.poll() is None:
                agent.process.terminate()
        for agent in self.agents:
            try:
                agent.process.wait(15)
            except subprocess.TimeoutExpired:
                agent.kill()
        end_processes(self.multiplexers())
        end_s = time.monotonic() + 5
        while (left := self.processes()) and time.monotonic() < end_s:
            time.sleep(0.02)
        end_processes(list(left))
        for path in (socket_path(self.ws.root), screen_folder(self.ws.root)):
            if self.folder not in path.parents and path.exists():
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        return left


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder whose path is short enough for sockets."""
    path = Path(tempfile.mkdtemp(prefix="ae-", dir="/tmp")).resolve()
    yield path
    shutil.rmtree(path)


@pytest.fixture
def host(folder: Path) -> Iterator[Host]:
    """A workspace with a scripted tool and no agent yet; at the end nothing of it may still run."""
    for name in ("bin", "home"):
        (folder / name).mkdir()
    env = {
        "HOME": str(folder / "home"),
        "PATH": f"{folder}/bin:/usr/local/bin:/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "TERM": "xterm-256color",
    }
    one = Host(folder, create(folder / "ws"), env)
    script = ACTOR.replace("@LEDGER@", str(folder / "ledger")).replace("@FOLDER@", str(folder))
    one.program("actor", script.replace("@PYTHON@", sys.executable))
    one.configure(allowed_paths=[str(folder)])
    one.tools()
    yield one
    left = one.close()
    assert not left, f"still running after the end: {left}"


@pytest.fixture
def agent(host: Host) -> Agent:
    """An agent at work."""
    return host.start()


@pytest.fixture
def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
