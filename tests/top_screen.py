"""A terminal of tmux in which a person works: what it shows, and the keys that are pressed."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

LIMIT_S = 30.0
PROMPT = "ready$ "


def until(condition: Callable[[], Any], what: str, limit_s: float = LIMIT_S) -> None:
    """Wait for something, or fail and say what did not happen."""
    deadline_s = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline_s, what
        time.sleep(0.05)


class Screen:
    """A shell in a tmux server of its own.

    `has_ended` is for a test that ended the shell, and the server with it.

    Args:
        folder: for its socket; its path is short.
        environment: of the shell, beside what tmux itself sets.
    """

    def __init__(self, folder: Path, width: int = 80, height: int = 24, **environment: str) -> None:
        self.has_ended = False
        self._socket = folder / "tmux.socket"
        given = [f"{name}={value}" for name, value in {"PS1": PROMPT, **environment}.items()]
        size = ["-x", str(width), "-y", str(height)]
        self.tmux("-f", "/dev/null", "new-session", "-d", "-s", "person", *size, "env", *given, "sh")
        self.shows(PROMPT.strip())

    def tmux(self, *words: str) -> str:
        """Ask our tmux server for something."""
        done = subprocess.run(
            ["tmux", "-u", "-S", str(self._socket), *words],
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
        )
        return done.stdout

    @property
    def text(self) -> str:
        """What is seen."""
        return self.tmux("capture-pane", "-p", "-t", "person")

    @property
    def coloured(self) -> str:
        """What is seen, with its colours as escape sequences."""
        return self.tmux("capture-pane", "-p", "-e", "-t", "person")

    @property
    def title(self) -> str:
        """The terminal's title, which programs may set."""
        return self.asked("pane_title")

    @property
    def is_clean(self) -> bool:
        """Tell whether the terminal is as a shell wants it: no second screen, a cursor, no mouse."""
        return self.asked("alternate_on,cursor_flag,mouse_any_flag,wrap_flag") == "0,1,0,1"

    def asked(self, names: str) -> str:
        """Return what tmux knows of the pane, by the names of its formats."""
        return self.tmux(
            "display-message", "-p", "-t", "person", ",".join(f"#{{{name}}}" for name in names.split(","))
        ).strip()

    def press(self, *keys: str) -> None:
        """Press keys, by the names that tmux gives them."""
        self.tmux("send-keys", "-t", "person", *keys)

    def type(self, text: str) -> None:
        """Type a text as it is."""
        self.tmux("send-keys", "-t", "person", "-l", "--", text)

    def run(self, root: Path, *arguments: str) -> None:
        """Start `aispool top` on a workspace, from the shell."""
        words = " ".join([sys.executable, "-m", "agent", "-w", str(root), "top", *arguments])
        self.type(f"clear; {words}; echo left with $?")
        self.press("Enter")

    def shows(self, *texts: str, limit_s: float = LIMIT_S) -> str:
        """Wait until all this is seen at once; return what is seen."""
        deadline_s = time.monotonic() + limit_s
        while True:
            seen = self.text
            if all(text in seen for text in texts):
                return seen
            missing = [text for text in texts if text not in seen]
            assert time.monotonic() < deadline_s, f"{missing} is not seen in\n{seen}"
            time.sleep(0.05)

    def close(self) -> None:
        """End the server and what runs in it."""
        if not self.has_ended:
            self.tmux("kill-server")
