from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

from top_screen import Screen, until

from agent.launchers.servers import server_pids
from agent.launchers.tmux import socket_path
from agent.top.app import TopApp
from spool.files import make_folder
from spool.records import Output, Result, State, Status
from spool.task import AcceptedTask
from spool.workspace import Workspace, create

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from textual.pilot import Pilot

QUICK = """scan_interval_s = 0.5
grace_s = 1.0
quiet_s = 0.3
reserve_bytes = 0
launcher = "tmux"
"""
LIMIT_S = 20.0


class Tasks:
    """Tasks as an agent leaves them, and what people drop."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self.now = datetime.now(UTC)

    def waits(self, task_id: str, *, held: bool = False, **fields: Any) -> Path:
        """Drop a task."""
        folder = self.workspace.held if held else self.workspace.tasks
        path = folder / f"{task_id}.json"
        path.write_text(json.dumps({"task_id": task_id, "tool": "shell", "command": "true", **fields}))
        return path

    def runs(self, task_id: str, state: State = State.RUNNING, log: bytes = b"", **fields: Any) -> Path:
        """Make a task that is in session."""
        folder = self.workspace.sessions / task_id
        make_folder(folder / "attempts" / "001")
        self._describe(folder, task_id)
        given: dict[str, Any] = {"reason": "attempt 1 runs", "since": self.now, **fields}
        Status(
            task_id=task_id,
            tool="shell",
            command="true",
            state=state,
            attempt=1,
            agent="test",
            host="here",
            submitted_at=self.now,
            source_name=f"{task_id}.json",
            log=f"logs/shell-{task_id}.log",
            **given,
        ).write(folder / "status.json")
        self.log(task_id, log)
        return folder

    def is_over(
        self,
        task_id: str,
        state: State = State.SUCCEEDED,
        text: str = "",
        log: bytes = b"",
        ago_s: float = 0,
        **fields: Any,
    ) -> Path:
        """Make a result."""
        folder = self.workspace.results / task_id
        make_folder(folder)
        self._describe(folder, task_id)
        given: dict[str, Any] = {
            "tool": "shell",
            "reason": "exit code 0",
            "submitted_at": self.now,
            "finished_at": self.now - timedelta(seconds=ago_s),
            "output": Output(text=text, log=f"logs/shell-{task_id}.log"),
        }
        Result(
            task_id=task_id,
            command="true",
            state=state,
            host="here",
            source_name=f"{task_id}.json",
            **(given | fields),
        ).write(folder / "result.json")
        if log:
            self.log(task_id, log)
        return folder

    def log(self, task_id: str, content: bytes) -> None:
        """Print something more."""
        with (self.workspace.logs / f"shell-{task_id}.log").open("ab") as file:
            file.write(content)

    def _describe(self, folder: Path, task_id: str) -> None:
        task = AcceptedTask(
            task_id=task_id,
            tool="shell",
            command="true",
            source_name=f"{task_id}.json",
            source_sha256="0" * 64,
            submitted_at=self.now,
        )
        (folder / "task.json").write_text(task.model_dump_json())


class Person:
    """Somebody at the app: presses keys, and sees what is drawn."""

    def __init__(self, app: TopApp, pilot: Pilot[None]) -> None:
        self.app = app
        self.pilot = pilot

    @property
    def text(self) -> str:
        """What is seen."""
        strips = self.app.screen._compositor.render_strips()
        return "\n".join("".join(segment.text for segment in strip).rstrip() for strip in strips)

    async def press(self, *keys: str) -> None:
        """Press keys."""
        await self.pilot.press(*keys)

    async def type(self, text: str) -> None:
        """Type a text."""
        await self.pilot.press(*text)

    async def presses_until(self, key: str, text: str) -> None:
        """Press a key again and again until this is seen."""
        for _ in range(1000):
            await self.pilot.press(key)
            await self.pilot.pause(0.02)
            if text in self.text:
                return
        pytest.fail(f"{text} is not seen after pressing {key}")

    async def sees(self, *texts: str, without: str = "") -> str:
        """Wait until all this is seen at once; return what is seen."""
        deadline_s = time.monotonic() + LIMIT_S
        while True:
            await self.pilot.pause()
            seen = self.text
            if all(text in seen for text in texts) and not (without and without in seen):
                return seen
            assert time.monotonic() < deadline_s, f"{texts} is not seen, without {without!r}, in\n{seen}"
            await asyncio.sleep(0.02)


@pytest.fixture
def tasks(workspace: Workspace) -> Tasks:
    return Tasks(workspace)


@pytest.fixture
def shown(workspace: Workspace) -> Callable[..., Any]:
    """Show a workspace to a person; gives them back."""

    @asynccontextmanager
    async def show(width: int = 80, height: int = 24, host: str | None = None) -> AsyncIterator[Person]:
        app = TopApp(workspace.root, host)
        async with app.run_test(size=(width, height)) as pilot:
            yield Person(app, pilot)

    return show


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """A folder whose path is short enough for sockets."""
    folder = Path(tempfile.mkdtemp(prefix="top-", dir="/tmp"))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def screens(short_folder: Path) -> Iterator[Callable[..., Screen]]:
    """Open terminals."""
    opened: list[Screen] = []

    def open_one(width: int = 80, height: int = 24, **environment: str) -> Screen:
        folder = short_folder / f"screen-{len(opened)}"
        folder.mkdir()
        opened.append(Screen(folder, width, height, **environment))
        return opened[-1]

    yield open_one
    for screen in opened:
        screen.close()


@pytest.fixture
def living(short_folder: Path) -> Iterator[Workspace]:
    """A workspace on which a real agent works."""
    workspace = create(short_folder / "ws")
    (workspace.configs / "agent.toml").write_text(f'{QUICK}allowed_paths = ["{short_folder}"]\n')
    with (short_folder / "agent.out").open("wb") as output:
        agent = subprocess.Popen(
            [sys.executable, "-m", "agent", "-w", str(workspace.root), "agent", "--name", "a"],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    until((workspace.agent("a") / "agent.json").exists, "the agent works")
    yield workspace
    for folder in workspace.sessions.iterdir():
        if not folder.name.startswith("."):
            (folder / "cancel").touch()
    until(
        lambda: all(folder.name.startswith(".") for folder in workspace.sessions.iterdir()), "all tasks ended"
    )
    agent.terminate()
    agent.wait(30)
    for pid in server_pids(socket_path(workspace.root)):
        subprocess.run(["kill", str(pid)], check=False)
