"""Waiting for processes that stay when we go: the entries of our children, and what each leaves to tidy."""

from __future__ import annotations

import os
import select
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from agent import log
from agent.launchers.base import LaunchError

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable


@dataclass(slots=True)
class Reaper:
    """A thread that sleeps until one of them ends (pidfd_open(2)); there is none before the first.

    Args:
        on_end: is told the name of what has ended, in that thread.
    """

    on_end: Callable[[str], None]
    _living: dict[int, tuple[str, subprocess.Popen[bytes] | None]] = field(default_factory=dict)
    _epoll: select.epoll | None = None

    def add(self, name: str, pid: int, child: subprocess.Popen[bytes] | None = None) -> None:
        """Wait for a process from now on.

        Args:
            name: what `on_end` is told.
            pid: a process that lives, or a child that was not waited for.
            child: it, when it is ours to wait for.

        Raises:
            ProcessLookupError: it has ended, and is nobody's any more.
        """
        if self._epoll is None:
            self._epoll = select.epoll()
            threading.Thread(target=self._work, args=(self._epoll,), name="reaper", daemon=True).start()
        descriptor = os.pidfd_open(pid)
        self._living[descriptor] = (name, child)
        self._epoll.register(descriptor, select.EPOLLIN)

    def _work(self, epoll: select.epoll) -> None:
        while True:
            for descriptor, _ in epoll.poll():
                name, child = self._living.pop(descriptor)
                epoll.unregister(descriptor)
                os.close(descriptor)
                if child is not None:
                    child.wait()
                try:
                    self.on_end(name)
                except (OSError, LaunchError) as error:
                    log.warning("session not tidied", session=name, what=str(error))
