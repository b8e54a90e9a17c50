"""Waiting for programs that were started and stay: their process table entries, and what is left to tidy."""

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
    _living: dict[int, tuple[str, subprocess.Popen[bytes]]] = field(default_factory=dict)
    _pids: dict[str, int] = field(default_factory=dict)
    _epoll: select.epoll | None = None

    def add(self, name: str, process: subprocess.Popen[bytes]) -> None:
        """Wait for a process from now on."""
        if self._epoll is None:
            self._epoll = select.epoll()
            threading.Thread(target=self._work, args=(self._epoll,), name="reaper", daemon=True).start()
        descriptor = os.pidfd_open(process.pid)
        self._living[descriptor] = (name, process)
        self._pids[name] = process.pid
        self._epoll.register(descriptor, select.EPOLLIN)

    def pid_of(self, name: str) -> int | None:
        """Return the pid of a process that was added and has not ended."""
        return self._pids.get(name)

    def _work(self, epoll: select.epoll) -> None:
        while True:
            for descriptor, _ in epoll.poll():
                name, process = self._living.pop(descriptor)
                epoll.unregister(descriptor)
                os.close(descriptor)
                process.wait()
                if self._pids.get(name) == process.pid:
                    del self._pids[name]
                try:
                    self.on_end(name)
                except (OSError, LaunchError) as error:
                    log.warning("session not tidied", session=name, what=str(error))
