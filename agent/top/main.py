"""Running the app on a terminal, and leaving the terminal as it was, however it ends."""

from __future__ import annotations

import logging
import os
import select
import signal
import sys
import termios
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final

from agent.service.errors import ServiceError
from agent.top.attaching import STDERR, STDIN

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from agent.top.app import TopApp

PATIENCE_S: Final = 3.0
"""A terminal or a disk that does not answer may keep us no longer than this after we were told to end."""
ENDS: Final = (signal.SIGTERM, signal.SIGHUP)
LEAVE: Final = b"\x1b[?2004l\x1b[?7h\x1b[?1004l\x1b[?1049l\x1b[?25h"
"""Back to the screen that was there before, with a cursor: what Textual sends when it has the time."""


def run(root: Path, host: str | None) -> int:
    """Show the tasks until the person has seen enough; return an exit status.

    Raises:
        ServiceError: this is no terminal, or there is no such host.
        WorkspaceError: there is no workspace, or it is damaged or newer.
        ModuleNotFoundError: the extra `top` is not installed.
    """
    check_terminal()
    # they would stay on after a kill -9, and a shell is no good with them
    os.environ.setdefault("TEXTUAL_DISABLE_KITTY_KEY", "1")
    os.environ.setdefault("TEXTUAL_ANIMATIONS", "none")
    # the terminal knows its size, and it changes
    for name in ("COLUMNS", "LINES"):
        os.environ.pop(name, None)
    from agent.service.places import Desk  # noqa: PLC0415
    from agent.top.app import TopApp  # noqa: PLC0415 - Textual reads these when it is imported

    Desk(root).places(host)
    # nobody reads a log on this screen; what is wrong stands in its first line
    logging.getLogger("aispool").addHandler(logging.NullHandler())
    app = TopApp(root, host)
    with _told_to_end(app):
        app.run(mouse=False)
    if app.failure is not None:
        raise app.failure
    return app.return_code or 0


def check_terminal() -> None:
    """See to it that there is a terminal to draw on.

    Raises:
        ServiceError: there is none.
    """
    streams = {"input": sys.__stdin__, "output": sys.__stdout__, "error output": sys.__stderr__}
    for name, stream in streams.items():
        if stream is None or not stream.isatty():
            raise ServiceError(
                "invalid",
                f"standard {name} is not a terminal: run `aispool top` in one (ssh -t HOST aispool top); "
                "`aispool ls` prints a list anywhere",
            )
    if os.environ.get("TERM", "dumb") in {"", "dumb", "unknown"}:
        raise ServiceError(
            "invalid", "TERM names no terminal that can be drawn on: set it (TERM=xterm), or use `aispool ls`"
        )


@contextmanager
def _told_to_end(app: TopApp) -> Iterator[None]:
    """End the app when we are told to; and without it, when it does not."""
    attributes = termios.tcgetattr(STDIN)

    def end(number: int, _frame: object) -> None:
        hurry = threading.Timer(PATIENCE_S, _give_up, (attributes, 128 + number))
        hurry.daemon = True
        hurry.start()
        app.end(128 + number)

    before = {number: signal.signal(number, end) for number in ENDS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _give_up(attributes: list[Any], code: int) -> None:
    """End at once, with the terminal as it was, if it still takes anything."""
    with suppress(OSError, termios.error):
        termios.tcsetattr(STDIN, termios.TCSANOW, attributes)
        if select.select([], [STDERR], [], 0)[1]:
            os.write(STDERR, LEAVE)
    os._exit(code)
