from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

import agent.wrap
from spool.records import Intent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

T = TypeVar("T")

WRAPPER = Path(agent.wrap.__file__).absolute()
CLEAN = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8"}


def wait_until(condition: Callable[[], T], what: str, limit_s: float = 15.0) -> T:
    """Poll until the condition gives something true, and give that."""
    end_s = time.monotonic() + limit_s
    while not (value := condition()):
        if time.monotonic() > end_s:
            pytest.fail(f"still not after {limit_s:g} s: {what}")
        time.sleep(0.01)
    return value


def marked(folder: Path) -> dict[int, str]:
    """Every living process whose command line or environment names the folder."""
    needle = os.fsencode(folder)
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


@dataclass(slots=True)
class Bench:
    """One attempt's folder as an agent prepares it, and the wrappers that a test starts on it."""

    root: Path
    wrappers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    wait = staticmethod(wait_until)

    @property
    def session(self) -> Path:
        return self.root / "sessions" / "t"

    @property
    def attempt(self) -> Path:
        return self.session / "attempts" / "001"

    @property
    def log(self) -> Path:
        return self.root / "logs" / "shell-t.log"

    @property
    def ran(self) -> list[str]:
        """What the tool itself said, in a file of its own, each time that it ran."""
        path = self.root / "ran"
        return path.read_text().splitlines() if path.exists() else []

    def prepare(self, script: str = "true", **changes: Any) -> None:
        """Write task.json and intent; `script` is for /bin/sh, with $RAN as its ledger."""
        for folder in (self.attempt, self.root / "logs", self.session / "answer", self.session / "artifacts"):
            folder.mkdir(parents=True, exist_ok=True)
        task = b'{"task_id": "t"}\n'
        (self.session / "task.json").write_bytes(task)
        facts: dict[str, Any] = {
            "task_id": "t",
            "attempt": 1,
            "agent": "a1",
            "host": "here",
            "boot_id": "b",
            "task_sha256": hashlib.sha256(task).hexdigest(),
            "argv": ("/bin/sh", "-c", script, "tool"),
            "cwd": str(self.root),
            "env": {"RAN": str(self.root / "ran")},
            "timeout_s": 60.0,
            "waiting_timeout_s": 60.0,
            "grace_s": 0.5,
            "max_output_bytes": 1 << 20,
            "max_log_bytes": 1 << 20,
            "log": str(self.log),
            "bell": str(self.root / "bell"),
            "launcher": "tmux",
            "session": "task-t",
            "created_at": datetime.now(UTC),
        }
        env = {**facts["env"], **changes.pop("env", {})}
        Intent(**{**facts, "env": env, **changes}).write(self.attempt / "intent")

    @property
    def command(self) -> list[str]:
        return [sys.executable, "-I", "-S", str(WRAPPER), str(self.attempt)]

    def spawn(self, *before: str, **how: Any) -> subprocess.Popen[bytes]:
        """Start a wrapper; `before` is put in front of its command line."""
        how = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT} | how
        env = {**CLEAN, **how.pop("env", {})}
        wrapper = subprocess.Popen([*before, *self.command], env=env, start_new_session=True, **how)
        self.wrappers.append(wrapper)
        return wrapper

    def run(self, script: str = "true", **changes: Any) -> dict[str, Any]:
        """Prepare an attempt, run it to its end, and return its `exit`."""
        self.prepare(script, **changes)
        wrapper = self.spawn()
        said, _ = wrapper.communicate(timeout=30)
        assert wrapper.returncode == 0, said
        return self.exit()

    def exit(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.attempt / "exit").read_text())
        return found

    def started(self) -> dict[str, Any]:
        wait_until((self.attempt / "started").exists, "it is started")
        found: dict[str, Any] = json.loads((self.attempt / "started").read_text())
        return found

    @property
    def stdout(self) -> bytes:
        return (self.attempt / "stdout").read_bytes()

    def processes(self) -> dict[int, str]:
        return marked(self.root)

    def close(self) -> dict[int, str]:
        for wrapper in self.wrappers:
            if wrapper.poll() is None:
                wrapper.kill()
            wrapper.wait(10)
            if wrapper.stdout is not None:
                wrapper.stdout.close()
        end_s = time.monotonic() + 2
        while (left := self.processes()) and time.monotonic() < end_s:
            time.sleep(0.01)
        for pid in left:
            os.kill(pid, signal.SIGKILL)
        return left


@pytest.fixture
def bench() -> Iterator[Bench]:
    """An attempt's folder; at the end nothing that it started may still run."""
    root = Path(tempfile.mkdtemp(prefix="aw-", dir="/tmp")).resolve()
    one = Bench(root)
    yield one
    left = one.close()
    if root.is_mount():
        subprocess.run(["umount", "--lazy", root], check=True)
    shutil.rmtree(root)
    assert not left, f"still running after the end: {left}"
