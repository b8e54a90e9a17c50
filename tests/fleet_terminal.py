"""A person's terminal, in which one command runs."""

from __future__ import annotations

import os
import pty
import select
import time


class Terminal:
    """A person's terminal in which one command runs."""

    def __init__(self, *words: str) -> None:
        self.pid, self._descriptor = pty.fork()
        if self.pid == 0:
            os.environ["TERM"] = "xterm"
            os.execv(words[0], words)
        self.seen = ""

    def shows(self, text: str) -> bool:
        ready, _, _ = select.select([self._descriptor], [], [], 0.05)
        if ready:
            try:
                self.seen += os.read(self._descriptor, 65536).decode(errors="replace")
            except OSError:
                return text in self.seen
        return text in self.seen

    def type(self, text: str) -> None:
        os.write(self._descriptor, text.encode())

    def ended(self, keys: str = "", limit_s: float = 60) -> int:
        """Wait for the end, typing some keys now and then: tmux drops what comes while it starts."""
        deadline_s, again_s = time.monotonic() + limit_s, time.monotonic()
        while True:
            self.shows("")
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                return os.waitstatus_to_exitcode(status)
            now_s = time.monotonic()
            assert now_s < deadline_s, self.seen[-2000:]
            if keys and now_s >= again_s:
                again_s = now_s + 3.0
                self.type(keys)

    def close(self) -> None:
        os.close(self._descriptor)
