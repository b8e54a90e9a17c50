"""The wrapper: runs one attempt in its session, with or without the agent and the terminal.

    python -I -S /path/to/agent/wrap.py /workspace/sessions/ID/attempts/001

1. Take wrap.lock; refuse when `started` exists: an attempt starts at most once.
2. Fork the child, which waits; write `started` (who and since when); only then let the child run the
   tool. A kill before `started` leaves nothing running, a kill after it leaves an attempt that is not
   started again.
3. Pass its output on to the attempt's files, the log and the pane; keep the time limit; watch `cancel`.
4. Write `exit` (into space that was taken in advance, so that a full disk cannot lose it), ring the bell.

Only paths stand in the command line. Standard library and spool.files only: no site-packages are read.
With `--serve` it forks wrappers that run so, each for an attempt that it is told (agent.wrapper.starter).
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import signal
import sys
import termios
import time
import tty
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).absolute().parent.parent))

from agent.proctree import Tree, boot_id, start_ticks
from agent.wrapper.child import Child, launch
from agent.wrapper.environment import EnvironmentFileError, environment
from agent.wrapper.pump import Ended, Pump, Sinks, clock_s
from agent.wrapper.sinks import CappedFile, Pane, RotatedLog
from spool.files import fsync_folder, put_new, read_regular, write_all

LOCK_PATIENCE_S = 5.0
"""A probe by the agent holds the lock for microseconds; another wrapper holds it for good."""
EXIT_BYTES = 4096
RECORD_AGAIN_S = 1.0
SERVE = "--serve"
REFUSED = 75
"""EX_TEMPFAIL of sysexits(3): this attempt is not ours to run."""


class NotOursError(Exception):
    """Another wrapper runs this attempt, ran it, or nobody intends it."""


class CannotStartError(Exception):
    """The tool was not started; the message says why."""


def main(arguments: list[str]) -> int:
    """Run the attempt whose folder is the only argument, or serve those who want wrappers."""
    if arguments[0] == SERVE:
        from agent.wrapper.starter import serve  # noqa: PLC0415 - sockets, which a wrapper needs none of

        return serve(arguments[1], main)
    attempt = Path(arguments[0]).absolute()
    for number in (signal.SIGHUP, signal.SIGQUIT, signal.SIGTSTP, signal.SIGPIPE):
        signal.signal(number, signal.SIG_IGN)
    try:
        wrap_lock = hold(attempt / "wrap.lock", LOCK_PATIENCE_S)
        check_first(attempt)
        tree_lock = hold(attempt / "tree.lock", LOCK_PATIENCE_S)
        intent = json.loads(read_regular(attempt / "intent"))
    except (NotOursError, FileNotFoundError) as error:
        print(f"aispool: {attempt} is not run: {error}", file=sys.stderr)  # noqa: T201 - for who attaches
        return REFUSED
    run_attempt(attempt, intent, wrap_lock, tree_lock)
    return 0


def check_first(attempt: Path) -> None:
    """Refuse an attempt that was started before; under wrap.lock the answer stays true."""
    if (attempt / "started").exists() or (attempt / "exit").exists():
        raise NotOursError("it was started before")


def hold(path: Path, patience_s: float) -> int:
    """Take a lock for as long as this process lives, and return its descriptor.

    Raises:
        NotOursError: another holds it.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    give_up_s = time.monotonic() + patience_s
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > give_up_s:
                os.close(descriptor)
                raise NotOursError(f"{path.name} is held by another process") from None
            time.sleep(0.01)  # flock(2) has no time limit of its own
        else:
            return descriptor


def run_attempt(attempt: Path, intent: dict[str, Any], wrap_lock: int, tree_lock: int) -> None:
    """Run the tool and record its end."""
    space = ExitFile(attempt)
    started_at = now_iso()
    began_s = clock_s()
    sinks = Sinks(
        {
            "stdout": CappedFile(attempt / "stdout", intent["max_output_bytes"]),
            "stderr": CappedFile(attempt / "stderr", intent["max_output_bytes"]),
        },
        RotatedLog(Path(intent["log"]), intent["max_log_bytes"]),
        Pane(1),
    )
    sinks.log.write(f"[aispool] {intent['task_id']}, attempt {intent['attempt']}, {started_at}\n".encode())
    error: str | None = None
    ended = Ended(None, None, None)
    try:
        check_unchanged(attempt, intent)
        env = environment(intent, attempt, os.environ)
        child = launch(intent, env, wrap_lock, tree_lock)
        record_start(attempt, child, started_at)
        child.release()
        ring(intent)
        ended = pump(attempt, intent, child, sinks)
        error = child.failure_text()
    except (CannotStartError, EnvironmentFileError) as problem:
        error = str(problem)
        put_new(attempt / "started", encode(start_record(os.getpid(), started_at)))
    for stream in sinks.streams.values():
        stream.close()
    if error:
        sinks.log.write(f"[aispool] not started: {error}\n".encode())
    space.write(
        {
            "exit_code": None if error else ended.exit_code,
            "signal": None if error else ended.signal,
            "ended_by": ended.ended_by,
            "error": error,
            "started_at": started_at,
            "finished_at": now_iso(),
            "duration_s": round(clock_s() - began_s, 3),
            "stdout_bytes": sinks.streams["stdout"].total_bytes,
            "stderr_bytes": sinks.streams["stderr"].total_bytes,
            "truncated": any(stream.truncated for stream in sinks.streams.values()),
        }
    )
    sinks.log.close()
    ring(intent)


def pump(attempt: Path, intent: dict[str, Any], child: Child, sinks: Sinks) -> Ended:
    """Pass on output until the tool is gone, with the pane's terminal set for its kind."""
    tree = Tree(str(attempt), attempt / "tree.lock", child.pid, start_ticks(child.pid))
    loop = Pump(
        child=child,
        intent=intent,
        session=attempt.parent.parent,
        waiting=attempt / "waiting",
        tree=tree,
        sinks=sinks,
        ring=lambda: ring(intent),
    )
    if child.terminal is None or not os.isatty(0):
        return loop.run()
    before = termios.tcgetattr(0)
    tty.setraw(0, termios.TCSANOW)  # what was typed before we came is kept
    try:
        return loop.run()
    finally:
        termios.tcsetattr(0, termios.TCSANOW, before)


def check_unchanged(attempt: Path, intent: dict[str, Any]) -> None:
    """Refuse a task that is not, byte for byte, the one that was validated."""
    content = read_regular(attempt.parent.parent / "task.json")
    if hashlib.sha256(content).hexdigest() != intent["task_sha256"]:
        raise CannotStartError("task.json was changed after it was validated: drop the task again")


def start_record(tool_pid: int, started_at: str) -> dict[str, Any]:
    """Return who runs the attempt."""
    return {
        "wrapper_pid": os.getpid(),
        "wrapper_start_ticks": start_ticks(os.getpid()),
        "tool_pid": tool_pid,
        "tool_start_ticks": start_ticks(tool_pid),
        "boot_id": boot_id(),
        "started_at": started_at,
    }


def record_start(attempt: Path, child: Child, started_at: str) -> None:
    """Write `started`; when that fails the child is never released, and ends with us."""
    record = start_record(child.pid, started_at)
    if record["tool_start_ticks"] is None:
        raise CannotStartError("its process was killed before it began")
    put_new(attempt / "started", encode(record))


class ExitFile:
    """The place of `exit`, taken on disk before the tool starts."""

    def __init__(self, attempt: Path) -> None:
        self._target = attempt / "exit"
        self._temporary = attempt / ".exit"
        self._fd = os.open(self._temporary, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        os.posix_fallocate(self._fd, 0, EXIT_BYTES)

    def write(self, record: dict[str, Any]) -> None:
        """Fill it and give it its name for good, as soon as the disk lets us: we are its only witness."""
        content = encode(record)
        while True:
            try:
                self._put(content)
            except FileNotFoundError:
                return  # the whole attempt was removed: nobody asks any more
            except OSError:
                if self._target.exists() or not self._target.parent.exists():
                    return  # it is told; only whether it survives a power cut is open
                # said by nobody: the log is on the same disk, and the pane may be gone
                time.sleep(RECORD_AGAIN_S)  # a disk tells nobody that it is writable again
            else:
                return

    def _put(self, content: bytes) -> None:
        os.lseek(self._fd, 0, os.SEEK_SET)
        write_all(self._fd, content)
        os.ftruncate(self._fd, len(content))
        os.fsync(self._fd)
        self._temporary.rename(self._target)
        fsync_folder(self._target.parent)


def encode(record: dict[str, Any]) -> bytes:
    """Write a record as JSON."""
    return (json.dumps(record, indent=2) + "\n").encode()


def now_iso() -> str:
    """Return the wall clock's UTC time in ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def ring(intent: dict[str, Any]) -> None:
    """Wake the agent; it finds out by itself when this is lost."""
    try:
        os.close(os.open(intent["bell"], os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
    except OSError as error:
        print(f"aispool: no bell: {error}", file=sys.stderr)  # noqa: T201 - for who attaches


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
