"""What was delivered, remembered for a while: so that a delivery which comes again is known for one.

A delivery is its name, its bytes and its modification time, which rsync keeps. It is noted before it is moved
and after that.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from spool.files import make_folder, put, read_regular

if TYPE_CHECKING:
    from pathlib import Path

    from spool.admit import Ready, Sight
    from spool.workspace import Workspace

REMEMBERED_S = 30 * 86400.0
MOST_REMEMBERED = 100_000


class Noted(Enum):
    """How far a delivery was taken: to be moved, or moved, or refused."""

    BEGUN = "begun"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class Arrival:
    """A finished file of the inbox."""

    path: Path
    ready: Ready
    sight: Sight

    @property
    def _delivery(self) -> str:
        """Return what tells this delivery from another one of the same name."""
        return f"{self.ready.sha256} {self.sight.signature.mtime_ns}"

    def noted(self, workspace: Workspace) -> Noted | None:
        """Return how far this very delivery was taken before; None when it never came."""
        try:
            note = read_regular(workspace.delivered / "tasks" / self.path.name, 4096).decode(errors="replace")
        except FileNotFoundError:
            return None
        delivery, _, how = note.strip().rpartition(" ")
        return Noted(how) if delivery == self._delivery and how in {"begun", "done"} else None

    def note(self, workspace: Workspace, how: Noted) -> None:
        """Remember how far it was taken."""
        folder = workspace.delivered / "tasks"
        make_folder(folder)
        put(folder / self.path.name, f"{self._delivery} {how.value}\n".encode())


def forget_delivered(workspace: Workspace) -> None:
    """Forget the oldest deliveries."""
    now_s = time.time()
    for folder in (workspace.delivered / "tasks", workspace.delivered / "control"):
        if not folder.is_dir():
            continue
        with os.scandir(folder) as entries:
            noted = sorted(((e.stat(follow_symlinks=False).st_mtime, e.name) for e in entries), reverse=True)
        for position, (noted_s, name) in enumerate(noted):
            if position >= MOST_REMEMBERED or noted_s < now_s - REMEMBERED_S:
                (folder / name).unlink(missing_ok=True)
