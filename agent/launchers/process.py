"""Sessions without a terminal, for short commands: a process each, in a session of its own (setsid(2)).

Starting one costs one new process and no server. Nobody can look at it or type to it; what it prints is in
the task's log as ever.

The only record of a session is a file of its name, to which its process prints and whose lock (flock(2)) it
holds by that: the lock ends with the process, whoever started it. The file goes when its process has ended,
what is in it (a task's own output is not) into the agent's log. An agent that was killed leaves the files of
its sessions; the next one removes those that are over when it starts its first.
"""

from __future__ import annotations

import fcntl
import os
import shlex
import signal
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from agent import log
from agent.launchers.base import Immediate, LaunchError, SessionExists
from agent.launchers.calls import detach
from agent.launchers.place import alone, beside_or, private_folder, short_hash
from agent.launchers.reaper import Reaper
from spool.files import read_regular
from spool.locks import is_held

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

PREFIX: Final = "task-"
PATH_LIMIT_BYTES: Final = 3900
WORDS_BYTES: Final = 1 << 20
GONE_S: Final = 1.0
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
        self._swept = False

    def available(self) -> str | None:
        """Return None: nothing but the system itself is needed."""
        return None

    def session_name(self, task_id: str) -> str:
        """Name the session of a task; every id is a file's name."""
        return PREFIX + task_id

    def start(self, task_id: str, argv: Sequence[str], cwd: Path) -> None:
        """Run `argv` as a process of its own, which outlives us."""
        name = self.session_name(task_id)
        private_folder(self._folder)
        with self._alone():
            self._sweep()
            descriptor = self._take(name)
            if descriptor is None:
                attach = shlex.join(self.attach_command(task_id))
                raise SessionExists(f"a process has the session {name} already; attach: {attach}")
            try:
                process = detach(argv, cwd=cwd, output=descriptor)
            except LaunchError:
                (self._folder / name).unlink(missing_ok=True)
                raise
            finally:
                os.close(descriptor)
            self._reaper.add(name, process)

    def attach_command(self, task_id: str) -> list[str]:
        """Give the words that say that there is no terminal, and follow what the task prints to its end."""
        name = self.session_name(task_id)
        pid = self._reaper.pid_of(name) or next(iter(self._pids(name)), None)
        until = f"--pid={pid}" if pid else ""
        return ["sh", "-c", FOLLOW, str(self._workspace), task_id, until]

    def sessions(self) -> set[str]:
        """List the names of all sessions whose process lives."""
        if not self._folder.exists():
            return set()
        with self._alone():
            return {name for name in self._names() if is_held(self._folder / name)}

    def exists(self, task_id: str) -> bool:
        """Say whether the task has a session."""
        return self.session_name(task_id) in self.sessions()

    def end(self, task_id: str) -> None:
        """Hang up on the session's process; one that ignores it outlives its session, as it does in tmux."""
        name = self.session_name(task_id)
        for pid in self._pids(name):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGHUP)
        deadline = time.monotonic() + GONE_S
        while self.exists(task_id) and time.monotonic() < deadline:
            time.sleep(0.002)
        (self._folder / name).unlink(missing_ok=True)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        with self._mutex, alone(self._folder / ".lock"):
            yield

    def _take(self, name: str) -> int | None:
        """Open and lock the file of a new session; None when its process lives."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
        try:
            descriptor = os.open(self._folder / name, flags, 0o600)
        except OSError as error:
            message = (
                f"cannot write in {self._folder}: {error.strerror}; make it writable and free some space"
            )
            raise LaunchError(message) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        return descriptor

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
        """Remove the file of a session that is over."""
        file = self._folder / name
        if not file.exists() or is_held(file):
            return
        if file.stat().st_size:
            said = read_regular(file, WORDS_BYTES).decode(errors="replace")
            log.warning("a session's process printed something", session=name, what=said[-500:])
        file.unlink()

    def _names(self) -> list[str]:
        return [name for name in os.listdir(self._folder) if name.startswith(PREFIX)]

    def _pids(self, name: str) -> list[int]:
        """Find the processes that print to a session's file (proc(5))."""
        try:
            wanted = (self._folder / name).stat()
        except FileNotFoundError:
            return []
        found = []
        for process in os.listdir("/proc"):
            if process.isdigit():
                with suppress(OSError):  # another user's, or it just ended
                    out = Path(f"/proc/{process}/fd/1").stat()
                    if (out.st_dev, out.st_ino) == (wanted.st_dev, wanted.st_ino):
                        found.append(int(process))
        return found
