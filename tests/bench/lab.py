"""What every measure works with: a folder, the compiled probe, and agents on workspaces of their own."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench import procs

from agent.launchers import socket_path
from spool.workspace import Workspace, create

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).resolve().parents[2]
LIMIT_S = 6 * 3600.0
UP_S = 60.0
KEPT = {"keep_days": 36500, "keep_count": 100_000_000, "keep_bytes": 1 << 50, "reserve_bytes": 0}
"""Nothing is pruned while we measure."""


@dataclass(slots=True)
class Lab:
    """Where one run measures.

    Args:
        folder: for everything; its path is short, for sockets.
        rounds: how often each contender's turn comes.
        scale: factor for numbers of tasks and for times; 1 for real figures.
        direct: tasks name the program itself, not a command for /bin/sh.
    """

    folder: Path
    rounds: int
    scale: float
    direct: bool
    most: int
    _places: int = 0

    @property
    def probe(self) -> Path:
        """Return the compiled probe."""
        return self.folder / "probe"

    def number(self, full: int, least: int = 1) -> int:
        """Scale a number."""
        return max(round(full * self.scale), least)

    def seconds(self, full: float) -> float:
        """Scale a time, down to one second."""
        return max(full * self.scale, 1.0)

    @contextmanager
    def place(self) -> Iterator[Path]:
        """Make a folder that is removed afterwards."""
        self._places += 1
        path = self.folder / f"{self._places}"
        path.mkdir()
        try:
            yield path
        finally:
            shutil.rmtree(path)

    @contextmanager
    def host(self, **options: Any) -> Iterator[Host]:
        """Make a workspace; at the end all that was started in it is gone."""
        with self.place() as folder:
            one = Host(self, folder, create(folder / "ws"), f"{uuid.uuid4()}")
            one.configure(**options)
            try:
                yield one
            finally:
                one.close()

    def task(self, task_id: str, *words: str, **more: Any) -> bytes:
        """Make a task that runs a command."""
        if self.direct:
            command, *args = words[1:] or ("x",)  # /bin/true reads none
            fields = {"tool": Path(words[0]).name, "command": command, "parameters": {"args": args}}
        else:
            fields = {"tool": "shell", "command": " ".join(words)}
        return json.dumps({"task_id": task_id, **fields, **more}).encode()


@contextmanager
def lab(parent: Path | None, *, rounds: int, scale: float, direct: bool, most: int) -> Iterator[Lab]:
    """Make the folder and the probe."""
    folder = Path(tempfile.mkdtemp(prefix="b-", dir=parent)).resolve()
    try:
        source = Path(__file__).with_name("probe.c")
        subprocess.run(["cc", "-O2", "-static", "-o", folder / "probe", source], check=True)
        yield Lab(folder, rounds, scale, direct, most)
    finally:
        shutil.rmtree(folder)


@dataclass(slots=True)
class Host:
    """A workspace and the agent that works on it."""

    lab: Lab
    folder: Path
    ws: Workspace
    mark: str
    agent: subprocess.Popen[bytes] | None = None
    _staged: int = field(default=0)

    def configure(self, **options: Any) -> None:
        """Write the agent's options and the tools of `--direct`."""
        chosen = {"allowed_paths": [str(self.lab.folder)], **KEPT, **options}
        lines = [f"{name} = {json.dumps(value)}\n" for name, value in chosen.items()]
        (self.ws.configs / "agent.toml").write_text("".join(lines))
        tools = [
            f'[tools.{name}]\npath = "{path}"\nargv = ["$executable", "$command", "$args"]\n'
            for name, path in (("probe", self.lab.probe), ("true", "/bin/true"), ("sleep", "/bin/sleep"))
        ]
        if self.lab.direct:
            (self.ws.configs / "tools.toml").write_text("".join(tools))

    @property
    def env(self) -> dict[str, str]:
        """Return the environment of what is started here: by its mark it is found again."""
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith(("AISPOOL_", "TMUX"))
        }
        return kept | {"HOME": str(self.folder), procs.MARK: self.mark}

    @property
    def pid(self) -> int:
        """Return the agent's process."""
        assert self.agent is not None
        return self.agent.pid

    def command(self, *words: str) -> list[str]:
        """Return a call of the command line on this workspace."""
        return [str(Path(sys.executable).with_name("aispool")), "--workspace", str(self.ws.root), *words]

    def start(self) -> float:
        """Start the agent and return when."""
        began_s = time.monotonic()
        with (self.folder / "agent.out").open("wb") as out:
            self.agent = subprocess.Popen(
                self.command("agent", "--name", "bench"),
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
        return began_s

    def up(self) -> None:
        """Start the agent and wait until it works."""
        self.start()
        self.wait(lambda: self.beat().get("pid") == self.pid, "the agent is up", UP_S)

    def beat(self) -> dict[str, Any]:
        """Return what the agent says of itself."""
        try:
            said: dict[str, Any] = json.loads((self.ws.agent("bench") / "agent.json").read_text())
        except FileNotFoundError:
            return {}
        return said

    def wait(self, condition: Callable[[], object], what: str, limit_s: float = LIMIT_S) -> None:
        """Look ten times a second until something is so, or the agent has died."""
        deadline_s = time.monotonic() + limit_s
        while not condition():
            if time.monotonic() > deadline_s or (self.agent and self.agent.poll() is not None):
                said = (self.folder / "agent.out").read_text()[-2000:]
                raise TimeoutError(f"after {limit_s:g} s: {what}; the agent said: {said}")
            time.sleep(0.1)

    def drop(self, name: str, content: bytes) -> float:
        """Drop a task as a careful client does, and return the moment before it could be seen."""
        hidden = self.ws.tasks / f".{name}.part"
        hidden.write_bytes(content)
        began_s = time.monotonic()
        hidden.rename(self.ws.tasks / f"{name}.json")
        return began_s

    def staged(self, tasks: dict[str, bytes]) -> Path:
        """Write task files to a folder beside the workspace, on the same file system."""
        self._staged += 1
        folder = self.folder / f"staged{self._staged}"
        folder.mkdir()
        for name, content in tasks.items():
            (folder / f"{name}.json").write_bytes(content)
        return folder

    def stamps(self, path: Path, number: int = 1) -> list[tuple[float, float]]:
        """Wait until the probe has stamped so often; return when it began and ended, each time."""
        self.wait(
            lambda: path.exists() and path.read_bytes().count(b"\n") >= number, f"{path.name} is stamped"
        )
        return [(float(a), float(b)) for a, b in (line.split() for line in path.read_text().splitlines())]

    def stop(self) -> None:
        """Stop the agent; its sessions stay."""
        if self.agent is not None and self.agent.poll() is None:
            self.agent.send_signal(signal.SIGTERM)
            self.agent.wait(UP_S)

    def close(self) -> None:
        """End all that was started here."""
        try:
            self.stop()
        finally:
            procs.end(self.mark)
            socket_path(self.ws.root).unlink(missing_ok=True)
