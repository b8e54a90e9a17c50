"""Calls of ssh and rsync: the only module of the fleet that knows `sh`.

No call is without an end: it is stopped when it was silent for too long, when the collector stops, or when
whoever watches it says so. Every call is a process group of its own, and ends as one. What a host makes these
programs print is bounded, and is text for a message at most.
"""

from __future__ import annotations

import logging
import os
import re
import select
import shutil
import signal
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

import sh

from agent.fleet import ssh
from agent.launchers.calls import ANY_STATUS, environment
from agent.sanitize import one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from agent.fleet.ssh import Link

LOOK_S: Final = 0.5
GRACE_S: Final = 5.0
MAX_OUTPUT_BYTES: Final = 32 << 20
MAX_ERROR_BYTES: Final = 64 << 10
UNREACHED: Final = 255  # ssh(1): an error of ssh itself
SILENT: Final = 124  # as timeout(1) says it
STOPPED: Final = 125
CHECK_S: Final = 5.0
BYTES: Final = "latin-1"
"""`sh` hands out text, and this encoding changes no byte."""

logging.getLogger("sh").setLevel(
    logging.CRITICAL
)  # it logs between fork and exec, where a lock can hang (sh #607)


class CallError(Exception):
    """A program is missing or too old here; the message says what to install."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a call ended; `SILENT` and `STOPPED` are ours, the rest is the program's status."""

    code: int
    out: bytes
    err: str

    @property
    def said(self) -> str:
        """The last thing it complained of, safe to show."""
        lines = [line for line in self.err.splitlines() if line.strip()] or [f"exit status {self.code}"]
        return one_line(lines[-1])[:300]


@dataclass(slots=True)
class Watching:
    """Looks on while a call runs.

    Args:
        stop: ends the call when it is set.
        progress: told how much of a transfer is done, in bytes and of 1, in another thread.
        room: asked now and then; a sentence ends the call.
        quiet: told once when nothing was heard for a moment, so that others need not wait for this call.
    """

    stop: threading.Event = field(default_factory=threading.Event)
    progress: Callable[[int, float], None] | None = None
    room: Callable[[], str | None] | None = None
    quiet: Callable[[], None] | None = None


def program(name: str) -> str:
    """Return a program's path.

    Raises:
        CallError: it is not installed.
    """
    path = shutil.which(name)
    if path is None:
        package = "openssh-client" if name == "ssh" else name
        raise CallError(f"{name} is not on PATH: install it (Debian, Ubuntu: apt install {package})")
    return path


class _Call:
    """One running call: what it said so far, and when it last said anything."""

    def __init__(self, heard: Callable[[bytes], None] | None, *, keeps: bool) -> None:
        self._heard = heard
        self._keeps = keeps
        self._pieces: list[bytes] = []
        self._errors = bytearray()
        self._size = 0
        self.heard_s = time.monotonic()
        self.flooded = False

    def listening(self) -> dict[str, object]:
        """Return the arguments of `sh` by which we hear what it says, as it says it."""
        # 0: each byte by itself, 1: each line; an account of progress returns in its line
        return {
            "_out": self.out,
            "_err": self.err,
            "_out_bufsize": 0 if self._heard else 1,
            "_err_bufsize": 1,
        }

    def out(self, text: str) -> None:
        self.heard_s = time.monotonic()
        piece = text.encode(BYTES)
        if self._heard is not None:
            self._heard(piece)
        if not self._keeps:
            return
        self._size += len(piece)
        if self._size > MAX_OUTPUT_BYTES:
            self.flooded = True
        else:
            self._pieces.append(piece)

    def err(self, text: str) -> None:
        self.heard_s = time.monotonic()
        self._errors += text.encode(BYTES)
        del self._errors[:-MAX_ERROR_BYTES]

    def ended(self, code: int, why: str = "") -> Ended:
        text = self._errors.decode(errors="replace")
        return Ended(code, b"".join(self._pieces), f"{text}\n{why}" if why else text)


QUIET_S: Final = 5.0


def run(
    argv: Sequence[str],
    silence_s: float,
    watching: Watching | None = None,
    given: bytes | None = None,
    *,
    heard: Callable[[bytes], None] | None = None,
    keeps: bool = True,
    leaves_a_daemon: bool = False,
) -> Ended:
    """Run a program to its end, whatever its status.

    Args:
        argv: the program's name and its arguments.
        silence_s: it is ended when it says nothing for so long; a program that says nothing at all has so
            long in all.
        watching: who looks on.
        given: its standard input; nothing when left out.
        heard: told of every piece of standard output, in another thread.
        keeps: standard output is returned, up to a bound; more of it is an error.
        leaves_a_daemon: what it says is not read: its end would not be seen before the daemon's.

    Raises:
        CallError: the program is not installed.
    """
    watching = watching or Watching()
    call = _Call(heard, keeps=keeps)
    with Path(os.devnull).open("wb") as nowhere:
        running = sh.Command(program(argv[0]))(
            *argv[1:],
            _bg=True,
            _bg_exc=False,
            _in=given if given is not None else b"",
            **({"_out": nowhere, "_err": nowhere} if leaves_a_daemon else call.listening()),
            _encoding=BYTES,
            _env=environment(LC_ALL="C"),
            _tty_out=False,
            _ok_code=ANY_STATUS,
            _return_cmd=True,
            _new_session=True,
        )
        return _to_its_end(running, call, watching, silence_s)


def _to_its_end(running: sh.RunningCommand, call: _Call, watching: Watching, silence_s: float) -> Ended:
    told_quiet = False
    while True:
        if _has_ended(running, LOOK_S):
            return call.ended(running.exit_code, "it said too much" if call.flooded else "")
        silent_s = time.monotonic() - call.heard_s
        if silent_s > QUIET_S and not told_quiet and watching.quiet is not None:
            watching.quiet()
            told_quiet = True
        why = _why_end(call, watching, silent_s, silence_s)
        if why is not None:
            _end(running)
            return call.ended(*why)


def on_terminal(argv: Sequence[str]) -> int:
    """Run a program that has our terminal, and return its exit status.

    Raises:
        CallError: the program is not installed.
    """
    try:
        sh.Command(program(argv[0]))(*argv[1:], _fg=True, _env=environment())
    except sh.ErrorReturnCode as error:
        return int(error.exit_code)
    return 0


def _why_end(call: _Call, watching: Watching, silent_s: float, silence_s: float) -> tuple[int, str] | None:
    if watching.stop.is_set():
        return STOPPED, "stopped"
    if silent_s > silence_s:
        return SILENT, f"nothing was heard for {silence_s:g} s"
    if call.flooded:
        return STOPPED, "it said too much"
    if watching.room is not None and (full := watching.room()) is not None:
        return STOPPED, full
    return None


def _end(running: sh.RunningCommand) -> None:
    """End a call with its process group, and wait for it."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            running.signal_group(number)
        with suppress(ProcessLookupError):
            running.signal_group(signal.SIGCONT)
        if _has_ended(running, GRACE_S):
            return


def _has_ended(running: sh.RunningCommand, wait_s: float) -> bool:
    """Wait for a call's end and the rest of what it said, which `sh`'s own wait with a limit leaves out."""
    try:
        process = os.pidfd_open(running.pid)
    except ProcessLookupError:
        pass  # it is over, and `sh` has seen it
    else:
        try:
            looking = select.poll()
            looking.register(process, select.POLLIN)
            if not looking.poll(wait_s * 1000):
                return False
        finally:
            os.close(process)
    running.process.wait()
    return True


def is_open(link: Link, watching: Watching | None = None) -> bool:
    """Tell whether the multiplexed connection is open, and its master answers."""
    return link.socket.exists() and run(ssh.check(link), CHECK_S, watching).code == 0


def connect(link: Link, watching: Watching | None = None) -> Ended:
    """Open the multiplexed connection; `code` is 0 when it is open.

    A master that is there is ended first: it may be one whose network died.
    """
    if link.socket.exists():
        disconnect([link])
    log = link.socket.with_suffix(".log")
    log.unlink(missing_ok=True)
    ended = run(ssh.master(link, log), ssh.CONNECT_TIMEOUT_S + GRACE_S, watching, leaves_a_daemon=True)
    with suppress(FileNotFoundError):
        text = log.read_bytes()[:MAX_ERROR_BYTES].decode(errors="replace")
        ended = Ended(ended.code, b"", f"{text}\n{ended.err}".strip())
        log.unlink()
    return ended


def disconnect(links: Sequence[Link]) -> None:
    """End the masters of these connections and whatever else hangs on their sockets, stopped or not."""
    names = {os.fsencode(link.socket) for link in links}
    for process in Path("/proc").iterdir():
        if process.name.isdigit() and _speaks_through(process, names):
            with suppress(ProcessLookupError, PermissionError):
                os.kill(int(process.name), signal.SIGKILL)
    for link in links:
        link.socket.unlink(missing_ok=True)


def _speaks_through(process: Path, sockets: set[bytes]) -> bool:
    """Tell an ssh of ours by its command line; a master calls itself `ssh: SOCKET [mux]` there."""
    try:
        if process.stat().st_uid != os.getuid() or (process / "comm").read_bytes() != b"ssh\n":
            return False
        line = (process / "cmdline").read_bytes()
    except OSError:
        return False  # it ended while we looked
    return any(re.search(rb"[ =]" + re.escape(socket) + rb"[ \0]", line) for socket in sockets)


def rsync_version() -> tuple[int, int, int]:
    """Return the version of our own rsync.

    Raises:
        CallError: it is missing, or does not say.
    """
    ended = run(["rsync", "--version"], CHECK_S)
    match = re.search(rb"version v?(\d+)\.(\d+)\.(\d+)", ended.out)
    if match is None:
        raise CallError("rsync --version does not say its version: install rsync 3.2.5 or newer")
    return int(match[1]), int(match[2]), int(match[3])
