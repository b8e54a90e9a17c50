"""A terminal on another host that comes back by itself when the connection was lost."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from agent.backoff import delay_s
from agent.fleet import calls, ssh
from agent.fleet.rsync import TransferError, sentence

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.fleet.ssh import Link

PROBE_S: Final = 30.0
FIRST_S: Final = 1.0
SLOWEST_S: Final = 30.0


def attach(
    link: Link,
    command: str,
    is_over: Callable[[], bool],
    say: Callable[[str], None],
    wait: Callable[[float], None] = time.sleep,
) -> int:
    """Run a command on a host with our terminal; after a lost connection again, until it ends by itself.

    Args:
        link: how the host is reached; the terminal gets a connection of its own, which no transfer can hang.
        command: for the host's shell.
        is_over: whether there is nothing left to come back to.
        say: tells the person what happens.
        wait: lets so many seconds pass.

    Raises:
        TransferError: the host cannot be reached now, and was not before.
        CallError: ssh is missing here.
    """
    own = replace(link, socket=Path("none"))  # ssh_config(5), ControlPath
    _probe(own)
    while True:
        code = calls.on_terminal(ssh.command(own, command, terminal=True))
        if code != calls.UNREACHED or is_over():
            return code
        say(f"the connection to {link.host.name} was lost")
        _come_back(own, say, wait)


def _probe(link: Link) -> None:
    ended = calls.run(ssh.command(link, "true"), PROBE_S)
    if ended.code != 0:
        raise TransferError(sentence(ended), ended.code)


def _come_back(link: Link, say: Callable[[str], None], wait: Callable[[float], None]) -> None:
    failures = 0
    while True:
        try:
            _probe(link)
        except TransferError as error:
            failures += 1
            pause_s = delay_s("exponential", FIRST_S, SLOWEST_S, failures, 0.5)
            say(f"{error}; trying again in {pause_s:.0f} s, C-c ends")
            wait(pause_s)
        else:
            say("connected again")
            return
