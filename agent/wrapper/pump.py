"""One attempt while it runs: output, time limit, cancellation, and the end of all its processes."""

from __future__ import annotations

import os
import re
import selectors
import signal
import time
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from agent.proctree import Ending
from agent.wrapper.child import copy_window_size
from agent.wrapper.terminal import Answers, Attendance, Screen

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from agent.proctree import Tree
    from agent.wrapper.child import Child
    from agent.wrapper.sinks import CappedFile, Pane, RotatedLog

TICK_S = 0.5
"""How often `cancel` and `waiting` are looked for."""
ENDING_TICK_S = 0.05
DRAIN_S = 1.0
"""How long a stream that somebody keeps open is read after the tool ended."""
CHUNK_BYTES = 1 << 16
SHUTDOWN_SIGNALS = frozenset({signal.SIGTERM, signal.SIGHUP, signal.SIGKILL})


def clock_s() -> float:
    """Return seconds that no clock setting changes and that go on while the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


@dataclass(slots=True)
class Sinks:
    """Where the output goes."""

    streams: dict[str, CappedFile]
    log: RotatedLog
    pane: Pane

    def write(self, name: str, chunk: bytes) -> None:
        """Give one part of a stream to all of them."""
        self.streams[name].write(chunk)
        self.log.write(chunk)
        self.pane.write(chunk)


@dataclass(slots=True)
class Ended:
    """How the tool's process ended."""

    exit_code: int | None
    signal: int | None
    ended_by: str | None


@dataclass(slots=True)
class Pump:
    """The loop around one tool."""

    child: Child
    intent: Mapping[str, Any]
    session: Path
    waiting: Path
    tree: Tree
    sinks: Sinks
    ring: Callable[[], None]
    _selector: selectors.BaseSelector = field(default_factory=selectors.DefaultSelector)
    _asked_by_signal: str | None = None
    _ended_by: str | None = None
    _ending: Ending | None = None
    _gone_at_s: float | None = None
    _active_s: float = 0.0
    _waiting_s: float | None = None
    _last_s: float = 0.0
    _typed: bytearray = field(default_factory=bytearray)
    _attendance: Attendance = field(init=False)
    _line: bytes = b""
    _at_limit: bool = False

    def __post_init__(self) -> None:
        screen = Screen(self.intent["waiting_title"], self.intent["waiting_text"])
        self._attendance = Attendance(
            self.waiting, screen, Answers(self.session / "answer", self.waiting.with_name("answered"))
        )

    def run(self) -> Ended:
        """Pass on output until the tool and its group are gone."""
        self._last_s = clock_s()
        wake = self._watch_signals()
        self._register(self.child.pidfd, self._on_gone)
        self._register(wake, lambda: self._on_signal(os.read(wake, 64)))
        for descriptor, name in self.child.streams.items():
            self._register(descriptor, partial(self._on_output, descriptor, name))
        if self.child.terminal is not None and os.isatty(0):
            self._register(0, self._on_typing)
        while not self._step():
            pass
        _, status = os.waitpid(self.child.pid, 0)
        with suppress(BlockingIOError):
            self._on_signal(os.read(wake, 64))  # a shutdown that ended the tool a moment before it told us
        return self._verdict(os.waitstatus_to_exitcode(status))

    def _step(self) -> bool:
        tick_s = TICK_S if self._ending is None else ENDING_TICK_S
        for key, _ in self._selector.select(tick_s):
            key.data()
        now_s = clock_s()
        if self.child.terminal is not None:
            self._typed += self._attendance.attend(now_s)
            self._pass_typing()
        self._account(now_s)
        if self._ending is None and self._gone_at_s is None:
            self._ended_by = self._reason_to_end()
            if self._ended_by:
                self._ending = Ending(self.tree, self.intent["grace_s"])
        if self._gone_at_s is not None and self._ending is None:
            # what a tool leaves behind in its group ends with it; a daemon of its own session may stay
            self._ending = Ending(self.tree, self.intent["grace_s"], group_only=True)
        if self._ending is None or not self._ending.step(now_s):
            return False
        if self._gone_at_s is None:
            return False
        return not self._streams_open() or now_s >= self._gone_at_s + DRAIN_S

    def _account(self, now_s: float) -> None:
        """Count the time that is the tool's own: waiting for a person is not."""
        if self.waiting.exists():
            if self._waiting_s is None:
                self._waiting_s = 0.0
                self.ring()
            self._waiting_s += now_s - self._last_s
        else:
            if self._waiting_s is not None:
                self._waiting_s = None
                self.ring()
            self._active_s += now_s - self._last_s
        self._last_s = now_s

    def _reason_to_end(self) -> str | None:
        if self._asked_by_signal:
            return self._asked_by_signal
        if (self.session / "cancel").exists():
            return "cancel"
        if self._active_s >= self.intent["timeout_s"]:
            return "timeout"
        if self._waiting_s is not None and self._waiting_s >= self.intent["waiting_timeout_s"]:
            return "waiting_timeout"
        if self._at_limit:
            return "limit"
        return None

    def _verdict(self, code: int) -> Ended:
        ended_by = self._ended_by
        if ended_by is None and self._asked_by_signal == "shutdown" and -code in SHUTDOWN_SIGNALS:
            ended_by = "shutdown"  # the machine ended us both at once
        if code < 0:
            return Ended(None, -code, ended_by)
        return Ended(code, None, ended_by)

    def _register(self, descriptor: int, act: Callable[[], None]) -> None:
        self._selector.register(descriptor, selectors.EVENT_READ, act)

    def _streams_open(self) -> bool:
        registered = self._selector.get_map()
        return any(descriptor in registered for descriptor in self.child.streams)

    def _on_output(self, descriptor: int, name: str) -> None:
        try:
            chunk = os.read(descriptor, CHUNK_BYTES)
        except BlockingIOError:
            return
        except OSError:
            chunk = b""  # a terminal whose other side is closed says EIO for end of file
        if chunk:
            self.sinks.write(name, chunk)
            if self.intent["limit_text"] and name == "stdout":
                self._look_for_limit(chunk)
            if self._attendance.screen.is_watched:
                self._attendance.screen.feed(chunk)
        else:
            self._selector.unregister(descriptor)

    def _look_for_limit(self, chunk: bytes) -> None:
        """Look at each finished line, and keep the one that is not finished yet."""
        *lines, rest = (self._line + chunk).split(b"\n")
        self._line = rest[-CHUNK_BYTES:]
        sign = self.intent["limit_text"]
        self._at_limit = self._at_limit or any(
            re.search(sign, line.decode(errors="replace")) for line in lines
        )

    def _on_gone(self) -> None:
        self._gone_at_s = clock_s()
        self._selector.unregister(self.child.pidfd)

    def _on_typing(self) -> None:
        """Take what a person types; more than the tool reads waits here, so that it cannot stall us."""
        try:
            typed = os.read(0, CHUNK_BYTES)
        except OSError:
            typed = b""
        if not typed or self._gone_at_s is not None:
            self._selector.unregister(0)
            return
        self._typed += typed
        self._pass_typing()

    def _pass_typing(self) -> None:
        if self._typed and self.child.terminal is not None:
            with suppress(BlockingIOError):
                del self._typed[: os.write(self.child.terminal, self._typed)]

    def _on_signal(self, numbers: bytes) -> None:
        for number in numbers:
            if number == signal.SIGTERM:
                self._asked_by_signal = "shutdown"
            elif number == signal.SIGINT and self._asked_by_signal is None:
                self._asked_by_signal = "cancel"
            elif number == signal.SIGWINCH and self.child.terminal is not None:
                copy_window_size(0, self.child.terminal)

    def _watch_signals(self) -> int:
        read, write = os.pipe()
        os.set_blocking(write, False)
        os.set_blocking(read, False)
        signal.set_wakeup_fd(write)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGWINCH):
            signal.signal(number, lambda *_: None)
        return read
