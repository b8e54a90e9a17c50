"""Wrappers that start at once: one process that has all of the wrapper imported forks one for each attempt.

    python -I -S /path/to/agent/wrap.py --serve NAME PADDING

PADDING is room in the command line for that of a wrapper, so that ps(1) tells which attempt is whose.

An interpreter needs some 50 ms of processor time until it has imported the wrapper; a fork needs one. The
server runs in a session of the workspace's tmux server. It connects to its owner on the abstract socket NAME
(unix(7)), and ends with that connection. Each byte from there brings one end of a connection (SCM_RIGHTS)
for a new wrapper:

    asked:  the attempt's folder, a line
    told:   PID and FD, a line: /proc/PID/fd/FD is a pipe that ends when the wrapper does
    asked:  the terminal of its session, a line, perhaps empty; without it the wrapper ends and did nothing
"""

from __future__ import annotations

import gc
import os
import signal
import socket
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Final, NoReturn

from agent.proctree import boot_id

if TYPE_CHECKING:
    from collections.abc import Callable

    Run = Callable[[list[str]], int]

MOST_BYTES: Final = 8192
_ARG_START: Final = 45
"""Of /proc/PID/stat, counted behind the name (proc(5), field 48)."""


def serve(name: str, run: Run) -> int:
    """Fork wrappers until the owner is gone.

    Args:
        name: of the owner's abstract socket.
        run: what a wrapper does, given its attempt's folder.
    """
    owner = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        owner.connect(f"\0{name}")
    except OSError:
        return 0  # it is gone already
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel buries them
    _retitle(["--serve", name])
    boot_id()  # read once, for all of them
    gc.freeze()  # what is ours stays shared
    while True:
        asked, connections, _, _ = socket.recv_fds(owner, 1, 1)
        if not asked:
            return 0
        for descriptor in connections:
            with suppress(OSError):  # no more processes: the connection ends, and who asked hears of it
                if os.fork() == 0:
                    owner.close()
                    _become_wrapper(socket.socket(fileno=descriptor), run)
            os.close(descriptor)


def _become_wrapper(connection: socket.socket, run: Run) -> NoReturn:
    code = 1
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.setsid()
        attempt = _line(connection)
        ends_with_us, _held = os.pipe()
        connection.sendall(f"{os.getpid()} {ends_with_us}\n".encode())
        terminal = _line(connection)
        connection.close()
        if attempt is not None and terminal is not None:
            _retitle([attempt])
            _take_terminal(terminal or os.devnull)
            code = run([attempt])
    except OSError as error:
        print(f"aispool: no wrapper: {error}", file=sys.stderr)  # noqa: T201 - for who attaches
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _line(connection: socket.socket) -> str | None:
    """Read a line; None when the other side is gone."""
    text = b""
    while not text.endswith(b"\n"):
        piece = connection.recv(MOST_BYTES)
        if not piece:
            return None
        text += piece
    return os.fsdecode(text[:-1])


def _take_terminal(path: str) -> None:
    """Make it our standard streams; its signals go to its own session, which passes them on."""
    terminal = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    for number in (0, 1, 2):
        os.dup2(terminal, number)
    os.close(terminal)


def _retitle(words: list[str]) -> None:
    """Say in our command line what we are now: `python -I -S …/wrap.py WORDS`."""
    with open("/proc/self/stat", "rb") as file:  # noqa: PTH123 - as below
        fields = file.read().rpartition(b")")[2].split()
    start, end = int(fields[_ARG_START]), int(fields[_ARG_START + 1])
    given = [sys.executable, "-I", "-S", sys.argv[0], *words]
    title = b"\0".join(map(os.fsencode, given))[: end - start - 1]
    with suppress(OSError), open("/proc/self/mem", "r+b", buffering=0) as memory:  # noqa: PTH123
        memory.seek(start)
        memory.write(title.ljust(end - start, b"\0"))
