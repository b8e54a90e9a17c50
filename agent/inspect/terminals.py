"""Sessions of people on this machine: those that `init-ai-session.sh` opens, named ai-work-DATE-TIME."""

from __future__ import annotations

import shutil
import subprocess
from typing import Final

PREFIX: Final = "ai-work-"
TIMEOUT_S: Final = 5.0


def ai_work_sessions() -> list[str]:
    """Return their names on the user's own tmux server; none when there is no tmux or no server."""
    tmux = shutil.which("tmux")
    if tmux is None:
        return []
    try:
        done = subprocess.run(
            [tmux, "list-sessions", "-F", "#{session_name}"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return []  # a stopped server: `doctor` says more
    names = done.stdout.decode(errors="replace").splitlines()
    return sorted(name for name in names if name.startswith(PREFIX))
