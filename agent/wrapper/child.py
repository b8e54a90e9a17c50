"""The tool's process: forked first, released later, so that its record is on disk before its first step."""

from __future__ import annotations

import fcntl
import os
import pty
import sys
import termios
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

CANNOT_START = 127


@dataclass(slots=True)
class Child:
    """A forked child that waits at its gate.

    Args:
        pid: its process, which leads a session and a group of its own.
        streams: descriptors to read → the stream's name.
        terminal: the master side of its terminal, for interactive tools.
    """

    pid: int
    pidfd: int
    gate: int
    failure: int
    streams: dict[int, str]
    terminal: int | None

    def release(self) -> None:
        """Let it run the tool; one that was killed meanwhile is found gone, like any other."""
        with suppress(BrokenPipeError):
            os.write(self.gate, b"!")
        os.close(self.gate)

    def failure_text(self) -> str | None:
        """Return why the tool could not be started, once the child is gone; None when it was."""
        text = b""
        while chunk := os.read(self.failure, 4096):
            text += chunk
        return text.decode(errors="replace") or None


def launch(intent: Mapping[str, Any], env: dict[str, str], wrap_lock: int, tree_lock: int) -> Child:
    """Fork the child; it waits for `release`, and ends by itself when we die before that.

    Args:
        intent: argv, setup_argv, cwd, stdin_file, interactive.
        env: its whole environment.
        wrap_lock: our own lock's descriptor, which the child lets go of.
        tree_lock: a locked descriptor, which the tool and its children inherit.
    """
    gate_read, gate_write = os.pipe()
    failure_read, failure_write = os.pipe()
    if intent["interactive"]:
        master, slave = pty.openpty()
        os.set_blocking(master, False)
        copy_window_size(0, master)
        streams, theirs = {master: "stdout"}, (slave, slave, slave)
    else:
        out_read, out_write = os.pipe()
        err_read, err_write = os.pipe()
        stdin = os.open(intent["stdin_file"] or os.devnull, os.O_RDONLY)
        master, streams, theirs = (
            None,
            {out_read: "stdout", err_read: "stderr"},
            (stdin, out_write, err_write),
        )
    pid = os.fork()
    if pid == 0:
        os.close(gate_write)
        os.close(wrap_lock)
        _become_tool(intent, env, gate_read, failure_write, theirs, tree_lock)
    for descriptor in {gate_read, failure_write, *theirs}:
        os.close(descriptor)
    return Child(pid, os.pidfd_open(pid), gate_write, failure_read, streams, master)


def copy_window_size(source: int, target: int) -> None:
    """Give a terminal the size of another; a source that is none changes nothing."""
    try:
        size = fcntl.ioctl(source, termios.TIOCGWINSZ, bytes(8))
    except OSError:
        return
    fcntl.ioctl(target, termios.TIOCSWINSZ, size)


def _become_tool(
    intent: Mapping[str, Any],
    env: dict[str, str],
    gate: int,
    failure: int,
    standard: Sequence[int],
    tree_lock: int,
) -> NoReturn:
    try:
        if os.read(gate, 1) != b"!":
            os._exit(CANNOT_START)  # the wrapper died: nothing may start
        if intent["interactive"]:
            os.login_tty(standard[0])
        else:
            os.setsid()
            for number, descriptor in enumerate(standard):
                os.dup2(descriptor, number)
        os.set_inheritable(tree_lock, True)
        _restore_signals()
        os.chdir(intent["cwd"])
        if intent["setup_argv"]:
            _set_up(list(intent["setup_argv"]), env)
        os.execve(intent["argv"][0], list(intent["argv"]), env)
    except BaseException as error:  # noqa: BLE001 - the child reports whatever it is, and ends here
        place = getattr(error, "filename", None)
        text = f"{getattr(error, 'strerror', None) or error}" + (f": {place}" if place else "")
        os.write(failure, text.encode(errors="replace")[:4000])
    finally:
        sys.stdout.flush()
        os._exit(CANNOT_START)


def _set_up(argv: list[str], env: dict[str, str]) -> None:
    code = os.spawnve(os.P_WAIT, argv[0], argv, env)
    if code != 0:
        raise RuntimeError(f"the set-up command {argv[0]} ended with {code}")


def _restore_signals() -> None:
    """Undo what the wrapper and Python itself ignore: an ignored signal stays ignored across exec."""
    import signal  # noqa: PLC0415 - in the child only

    signal.set_wakeup_fd(-1)
    for number in (
        signal.SIGHUP,
        signal.SIGINT,
        signal.SIGQUIT,
        signal.SIGTERM,
        signal.SIGPIPE,
        signal.SIGTSTP,
        signal.SIGXFSZ,
    ):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
