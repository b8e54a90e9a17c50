"""One workspace of its own per case, the product's processes in it, and what is watched while they run.

A command is run by forking this process, which has the product imported already: a run costs 15 ms instead
of 300. It is the command line's own `main` in a process of its own; where a whole new interpreter matters,
`execute` starts one. A reader looks at every published file all the while (I6).
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from faults import checker
from faults.checker import Expected, History

if TYPE_CHECKING:
    from collections.abc import Callable

REPOSITORY = Path(__file__).resolve().parents[2]
PATIENCE_S = 40.0
AGENT_TOML = """\
scan_interval_s = 0.3
grace_s = 0.4
quiet_s = 0.05
reject_unparsable_after_s = 0.3
reserve_bytes = 0
allowed_paths = ["/"]
"""
CHILD_KILLED = frozenset({"kill-forked", "kill-exec"})
LEDGER_LINE = 'echo "$AISPOOL_ATTEMPT $$" >> "$LEDGER"; '


def libc() -> ctypes.CDLL:
    """Return this process's symbols, those of the shim among them."""
    return ctypes.CDLL(None, use_errno=True)


@dataclass(slots=True)
class Ran:
    """How a command ended."""

    code: int
    output: str
    timed_out: bool = False

    @property
    def killed(self) -> bool:
        """Tell whether a signal ended it."""
        return self.code < 0


@dataclass(slots=True)
class World:
    """One case: a workspace, its ledger, its plan of faults, its history."""

    base: Path
    history: History = field(default_factory=History)
    torn: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    names: int = 0
    patience_s: float = PATIENCE_S
    impatient: bool = False
    reads: bool = True
    on_poll: Callable[[], None] | None = None
    extra_points: list[tuple[str, str, str, str]] = field(default_factory=list)
    more_environment: dict[str, str] = field(default_factory=dict)

    @property
    def root(self) -> Path:
        """The workspace."""
        return self.base / "ws"

    @property
    def ledger(self) -> Path:
        """Where the tools write what they did."""
        return self.base / "ledger"

    @property
    def plan(self) -> Path:
        """The faults that the shim injects."""
        return self.base / "plan"

    @classmethod
    def fresh(
        cls, base: Path, template: Path | None = None, mount: Callable[[Path], None] | None = None
    ) -> World:
        """Make an empty world, or one as a template has it; `mount` puts a disk under its workspace."""
        shutil.rmtree(base, ignore_errors=True)
        base.mkdir(parents=True)
        world = cls(base)
        (base / "home").mkdir()
        if mount is not None:
            world.root.mkdir()
            mount(world.root)
        if template is not None:
            shutil.copytree(
                template,
                world.root,
                symlinks=True,
                dirs_exist_ok=True,
                ignore=shutil.ignore_patterns(".aispool.tmux*"),
            )
        else:
            for name in (
                *("tasks/held", "sessions", "results/.tombstones", "rejected", "logs"),
                *("configs/env", "configs/hooks", "scripts"),
            ):
                (world.root / name).mkdir(parents=True, mode=0o700)
            world.root.chmod(0o700)
            (world.root / "VERSION").write_text("1\n")
        (world.root / "configs" / "agent.toml").write_text(AGENT_TOML)
        return world

    def faults(self, planned: list[list[object]]) -> None:
        """Plan faults for the processes that start from now on: role, first, times, fault, perhaps a site."""
        text = "".join(" ".join(map(str, fault)) + "\n" for fault in planned)
        self.plan.write_text(text)

    def injected(self) -> list[list[str]]:
        """Return what the shim did."""
        log = Path(f"{self.plan}.log")
        return [line.split("\t") for line in log.read_text().splitlines()] if log.exists() else []

    # ---------------------------------------------------------------------------------------- processes

    def environment(self) -> dict[str, str]:
        """Return the environment of everything that runs in this world."""
        kept = {
            name: os.environ[name]
            for name in ("PATH", "LANG", "LD_PRELOAD", "VIRTUAL_ENV")
            if name in os.environ
        }
        kept["PATH"] = f"{self.base / 'bin'}:{kept.get('PATH', os.defpath)}"
        return kept | {
            "HOME": str(self.base / "home"),
            "AISPOOL_WORKSPACE": str(self.root),
            "AISPOOL_FAULTS": str(self.plan),
            "LEDGER": str(self.ledger),
            "PYTHONDONTWRITEBYTECODE": "1",
            **self.more_environment,
        }

    def start(self, role: str, *arguments: str, before: Callable[[], None] | None = None) -> tuple[int, Path]:
        """Fork a command; return its pid and where it writes. `before` is what its process does first."""
        self.names += 1
        output = self.base / f"out.{self.names}.{role}"
        pid = os.fork()
        if pid:
            return pid, output
        code = 70
        try:
            os.setsid()
            null = os.open(os.devnull, os.O_RDONLY)
            out = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            for number, descriptor in ((0, null), (1, out), (2, out)):
                os.dup2(descriptor, number)
            os.closerange(3, 256)
            if before is not None:
                before()
            environment = self.environment()
            os.environ.clear()
            os.environ.update(environment)
            os.chdir(self.base)
            sys.argv = ["aispool", *arguments]
            from agent.cli import main  # noqa: PLC0415 - imported by `warm` before

            libc().aispool_fault_arm(role.encode())
            code = main(list(arguments))
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
        finally:
            with contextlib.suppress(BaseException):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(code or 0)

    def execute(
        self, role: str, *arguments: str, more: dict[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        """Start a command in a new interpreter, as a person does."""
        self.names += 1
        with (self.base / f"out.{self.names}.{role}").open("wb") as output:
            return subprocess.Popen(
                [sys.executable, "-m", "agent", *arguments],
                env=self.environment() | {"AISPOOL_FAULT_ROLE": role} | (more or {}),
                cwd=REPOSITORY,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def wait(self, pid: int, output: Path, patience_s: float = PATIENCE_S) -> Ran:
        """Wait for a command's end, reading what it publishes all the while.

        Args:
            pid: the command's.
            output: where it writes.
            patience_s: how long; where faults are planned, less than usual counts from the first one on.
        """
        met = patience_s >= PATIENCE_S or not self.plan.read_text()
        deadline_s = time.monotonic() + (patience_s if met else PATIENCE_S)
        pause_s = 0.002
        while True:
            done, status = os.waitpid(pid, os.WNOHANG)
            if done:
                return Ran(os.waitstatus_to_exitcode(status), _text(output))
            self.read_all()
            if self.on_poll is not None:
                self.on_poll()
            if self.impatient and output.suffix == ".agent" and self._wrapper_died():
                # the agent would wait 15 s for a slow wrapper; another kill makes a new agent look at once
                self.extra_points.append(("agent", "observe", "after its wrapper died", "kill"))
                self.impatient = False
                deadline_s = 0
            if not met and self.injected():
                met, deadline_s = True, time.monotonic() + patience_s
            if time.monotonic() > deadline_s:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
                return Ran(-9, _text(output), timed_out=True)
            time.sleep(pause_s)
            pause_s = min(pause_s * 1.3, 0.02 if self.on_poll is None else 0.002)

    def run(self, role: str, *arguments: str, patience_s: float = PATIENCE_S) -> Ran:
        """Run a command to its end."""
        return self.wait(*self.start(role, *arguments), patience_s)

    def until(self, condition: object, patience_s: float = 10.0) -> bool:
        """Wait until a condition holds; False when it never did."""
        deadline_s = time.monotonic() + patience_s
        while time.monotonic() < deadline_s:
            if condition():  # type: ignore[operator]
                return True
            self.read_all()
            time.sleep(0.005)
        return False

    def read_all(self) -> None:
        """Read what others may read at any moment; nothing may be torn."""
        if not self.reads:
            return
        for folder, name in (("sessions", "status.json"), ("results", "result.json")):
            for task_id in checker.names(self.root / folder):
                if not task_id.startswith("."):
                    self._read(self.root / folder / task_id / name)
        for name in checker.names(self.root / "rejected"):
            if name.endswith(".error.json"):
                self._read(self.root / "rejected" / name)

    def _read(self, path: Path) -> None:
        try:
            json.loads(path.read_bytes())
        except (FileNotFoundError, NotADirectoryError):
            return
        except ValueError as error:
            self.torn.append(f"I6: a reader saw {path.relative_to(self.root)} torn: {error}")

    def _wrapper_died(self) -> bool:
        rows = self.injected()
        if any(row[0] == "agent" and row[2] in CHILD_KILLED for row in rows):
            return True
        wrappers = [
            row[1] for row in rows if row[0] == "tmux" or (row[0] == "wrapper" and row[2] not in CHILD_KILLED)
        ]
        return any(not Path("/proc", pid).exists() for pid in wrappers)

    # ---------------------------------------------------------------------------------------- the end

    def recover(self, name: str = "A", times: int = 4) -> list[Ran]:
        """Start the agent again until it ends by itself; earlier ones may be killed by the plan."""
        Path(f"{self.plan}.log.lifted").touch()  # the disk is mended
        ran = []
        for number in range(times):
            ran.append(self.run(f"recovery{number + 1}", "agent", "--name", name, "--slots", "2", "--drain"))
            if ran[-1].code == 0:
                break
        return ran

    def findings(self) -> list[str]:
        """Check everything from the outside, after the processes had a moment to go."""
        found = [*self.torn, *checker.check(self.root, self.ledger, self.history)]
        left: dict[int, str] = {}

        def gone() -> bool:
            nonlocal left
            left = checker.processes_of(self.base)
            return not left

        self.until(gone, 3.0)
        found += [f"I5: process {pid} is left: {line}" for pid, line in left.items()]
        return sorted(set(found))

    def kill_all(self) -> None:
        """Kill what is left of this world."""
        for _ in range(3):
            left = checker.processes_of(self.base)
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            if not left:
                break
            time.sleep(0.01)

    def end(self) -> None:
        """Kill what is left of this world and remove it."""
        self.kill_all()
        while os.path.ismount(self.root):
            subprocess.run(["umount", "--lazy", str(self.root)], check=True)
        shutil.rmtree(self.base, ignore_errors=True)

    def tail(self) -> str:
        """Return what helps to understand a violation."""
        logs = sorted(self.root.glob("logs/agent*.log"))
        texts = [path.read_text(errors="replace")[-3000:] for path in logs]
        texts += [
            f"{path.name}: {path.read_text(errors='replace')[-400:]}"
            for path in sorted(self.base.glob("out.*"))
        ]
        tree = [str(p.relative_to(self.root)) for p in sorted(self.root.rglob("*")) if p.is_file()]
        return "\n".join([*texts, *tree])[-9000:]

    # ---------------------------------------------------------------------------------------- tasks

    def drop(self, name: str, fields: dict[str, object], **expected: object) -> bytes:
        """Put a task file there, whole, as another program would; it is in the history from then on."""
        mark = f"mark-{name}-{len(self.history.tasks)}-"
        content = json.dumps(fields | {"metadata": {"mark": mark}}).encode()
        hidden = self.root / "tasks" / f".{name}.part"
        hidden.write_bytes(content)
        _fsync(hidden)
        hidden.rename(self.root / "tasks" / f"{name}.json")
        _fsync(self.root / "tasks")
        self.history.tasks.append(
            Expected(mark, fields.get("task_id"), content=content, **expected)  # type: ignore[arg-type]
        )
        return content


def state_of(pid: int) -> str:
    """Return a process's state as proc(5) names it; X when there is none."""
    try:
        return Path("/proc", str(pid), "stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return "X"


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)


def _text(path: Path) -> str:
    """Read what a command wrote; one that was killed at once wrote nothing."""
    return path.read_text(errors="replace") if path.exists() else ""


def warm() -> None:
    """Import the product once, so that a fork has it."""
    sys.path.insert(0, str(REPOSITORY))
    import importlib  # noqa: PLC0415
    import pkgutil  # noqa: PLC0415

    import agent  # noqa: PLC0415
    import spool  # noqa: PLC0415

    for package in (agent, spool):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not module.name.endswith(("__main__", "agent.wrap")):
                importlib.import_module(module.name)
