"""Sessions without a terminal, for short commands: a process each, in a session of its own (setsid(2)).

Starting one costs a fork and no server. Nobody can look at it or type to it; what it prints is in the task's
log as ever.

The only record of a session is a link of its name to `PID TICKS BOOT`, which tell the process for sure. A
forked wrapper waits until that is there; when we die before, it ends and did nothing. Beside it lies what the
process itself prints, which is nothing unless the wrapper failed (a task's own output is not there): when the
process has ended, that goes into the agent's log, and both files go. An agent that was killed leaves those of
its sessions; the next one removes those that are over when it starts its first.
"""

from __future__ import annotations

import os
import shlex
import signal
import threading
import time
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from agent import log
from agent.launchers.base import Immediate, LaunchError, SessionExists, Start
from agent.launchers.calls import detach
from agent.launchers.place import alone, beside_or, private_folder, short_hash
from agent.launchers.reaper import Reaper
from agent.launchers.wrappers import Forks, NotReadyError
from agent.proctree import boot_id, is_same, start_ticks
from spool.files import read_regular

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator, Mapping, Sequence

    from agent.launchers.wrappers import Waiting

PREFIX: Final = "task-"
STARTER: Final = "aispool-starter"
PATH_LIMIT_BYTES: Final = 3900
WORDS_BYTES: Final = 1 << 20
GONE_S: Final = 1.0
STARTER_AGAIN_S: Final = 60.0
FOLLOW: Final = (
    """echo "$1 has no terminal: this follows what it prints, as 'aispool logs -f $1' does; C-c leaves it" """
    """>&2; """
    """cd "$0/sessions/$1/attempts" && exec tail $2 -n +1 -f */stdout */stderr"""
)


class ProcessLauncher(Immediate):
    """Sessions `task-ID` that are plain processes."""

    name: Final = "process"

    def __init__(self, workspace: Path) -> None:
        self._workspace = workspace.resolve()
        fallback = Path(f"/tmp/aispool-process-{os.getuid()}-{short_hash(str(self._workspace))}")  # noqa: S108 - checked
        self._folder = beside_or(self._workspace, ".aispool.process", fallback, PATH_LIMIT_BYTES)
        self._mutex = threading.Lock()  # the file lock alone is polled for, which costs milliseconds
        self._reaper = Reaper(self._clear)
        self._forks: Forks | None = None
        self._forks_again_s = 0.0
        self._swept = False

    def available(self) -> str | None:
        """Return None: nothing but the system itself is needed."""
        return None

    def session_name(self, task_id: str) -> str:
        """Name the session of a task; every id is a file's name."""
        return PREFIX + task_id

    def warm_up(self) -> None:
        """Start the process that forks wrappers, unless there is one."""
        if self._forks is None and time.monotonic() >= self._forks_again_s:
            forks = Forks(STARTER)
            try:
                process = _detach(forks.argv, self._workspace, Path(os.devnull))
            except LaunchError:
                forks.close()
                self._forks_again_s = time.monotonic() + STARTER_AGAIN_S
                return
            self._reaper.add(STARTER, process.pid, process)
            self._forks = forks

    def close(self) -> None:
        """End the process that forks wrappers; what runs goes on, and the next start makes another."""
        if self._forks is not None:
            self._forks.close()
            self._forks = None

    def start(self, task_id: str, argv: Sequence[str], cwd: Path) -> None:
        """Run `argv` as a process of its own, which outlives us."""
        self._start(Start(task_id, tuple(argv), cwd), None)

    def start_all(self, starts: Sequence[Start]) -> dict[str, LaunchError]:
        """Start them; the wrappers that may be forked are, all at once."""
        errors = {}
        with ExitStack() as asked:
            forked = self._ask_for({start.task_id: start.attempt for start in starts if start.attempt})
            for wrapper in forked.values():
                asked.enter_context(wrapper)
            for start in starts:
                try:
                    self._start(start, forked.get(start.task_id))
                except LaunchError as error:
                    errors[start.task_id] = error
        return errors

    def attach_command(self, task_id: str) -> list[str]:
        """Give the words that say that there is no terminal, and follow what the task prints to its end."""
        pid = self._living(self.session_name(task_id))
        until = f"--pid={pid}" if pid else ""
        return ["sh", "-c", FOLLOW, str(self._workspace), task_id, until]

    def sessions(self) -> set[str]:
        """List the names of all sessions whose process lives."""
        if not self._folder.exists():
            return set()
        return {name for name in self._names() if self._living(name)}

    def exists(self, task_id: str) -> bool:
        """Say whether the task has a session."""
        return self._living(self.session_name(task_id)) is not None

    def end(self, task_id: str) -> None:
        """Hang up on the session's process; one that ignores it outlives its session, as it does in tmux."""
        name = self.session_name(task_id)
        pid = self._living(name)
        if pid is None:
            return
        with suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGHUP)
        deadline = time.monotonic() + GONE_S
        while self._living(name) == pid and time.monotonic() < deadline:
            time.sleep(0.002)
        with self._alone():
            self._unlink(name)

    def _ask_for(self, attempts: Mapping[str, Path]) -> dict[str, Waiting]:
        """Have wrappers forked; none when nobody can do that now."""
        if not attempts:
            return {}
        self.warm_up()
        if self._forks is None:
            return {}
        try:
            return dict(zip(attempts, self._forks.ask_for(*attempts.values()), strict=True))
        except NotReadyError:
            if not self._forks.has_begun:
                self._forks_again_s = time.monotonic() + STARTER_AGAIN_S
            self.close()
            return {}

    def _start(self, start: Start, wrapper: Waiting | None) -> None:
        name = self.session_name(start.task_id)
        private_folder(self._folder)
        try:
            with self._alone():
                self._sweep()
                if self._living(name):
                    attach = shlex.join(self.attach_command(start.task_id))
                    raise SessionExists(f"a process has the session {name} already; attach: {attach}")
                self._unlink(name)
                if wrapper is None:
                    self._spawn(name, start)
                else:
                    self._begin(name, wrapper)
        except ProcessLookupError as error:
            raise LaunchError(f"the process of {name} was killed before it began") from error
        except OSError as error:
            message = (
                f"cannot write in {self._folder}: {error.strerror}; make it writable and free some space"
            )
            raise LaunchError(message) from error

    def _begin(self, name: str, wrapper: Waiting) -> None:
        """Let a forked wrapper begin, once it is known by its record."""
        self._words(name).touch(0o600)
        self._record(name, wrapper.pid)
        wrapper.begin(str(self._words(name)))

    def _spawn(self, name: str, start: Start) -> None:
        try:
            process = _detach(start.argv, start.cwd, self._words(name))
        except LaunchError:
            self._unlink(name)
            raise
        self._record(name, process.pid, process)

    def _record(self, name: str, pid: int, process: subprocess.Popen[bytes] | None = None) -> None:
        """Write down whose session it is; one that has ended already is cleared by the reaper."""
        self._reaper.add(name, pid, process)
        (self._folder / name).symlink_to(f"{pid} {start_ticks(pid) or 0} {boot_id()}")

    def _living(self, name: str) -> int | None:
        """Return the pid of a session's process; None when it has none, or that has ended."""
        try:
            pid, ticks, boot = (self._folder / name).readlink().name.split()
        except FileNotFoundError:
            return None
        return int(pid) if is_same(int(pid), int(ticks), boot) else None

    @contextmanager
    def _alone(self) -> Iterator[None]:
        with self._mutex, alone(self._folder / ".lock"):
            yield

    def _sweep(self) -> None:
        """Clear once what an agent left that was killed."""
        if not self._swept:
            self._swept = True
            for name in self._names():
                self._remove(name)

    def _clear(self, name: str) -> None:
        """Take note of a session's end; in the reaper's thread."""
        if self._folder.exists():
            with self._alone():
                self._remove(name)

    def _remove(self, name: str) -> None:
        """Remove the files of a session that is over, and log what its process printed."""
        if self._living(name):
            return
        words = self._words(name)
        if words.exists() and words.stat().st_size:
            said = read_regular(words, WORDS_BYTES).decode(errors="replace")
            log.warning("a session's process printed something", session=name, what=said[-500:])
        self._unlink(name)

    def _unlink(self, name: str) -> None:
        (self._folder / name).unlink(missing_ok=True)
        self._words(name).unlink(missing_ok=True)

    def _words(self, name: str) -> Path:
        return self._folder / f".{name}.out"

    def _names(self) -> set[str]:
        """Return the names of all sessions of which anything lies there."""
        names = {name.removeprefix(".").removesuffix(".out") for name in os.listdir(self._folder)}
        return {name for name in names if name.startswith(PREFIX)}


def _detach(argv: Sequence[str], cwd: Path, output: Path) -> subprocess.Popen[bytes]:
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
    descriptor = os.open(output, flags, 0o600)
    try:
        return detach(argv, cwd=cwd, output=descriptor)
    finally:
        os.close(descriptor)
