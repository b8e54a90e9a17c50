"""Results that were asked to run again: `retry` files, found a slice at a time.

On the way it removes what a kill at the last step of a task left: a status beside a result.

The command line rings the bell, so its requests are taken up at once; a `touch` by hand is found within
one round over results/, which is one scan for each thousand of them.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from spool.names import is_task_id
from spool.results import RETRY, STATUS, finish_moving

if TYPE_CHECKING:
    from spool.workspace import Workspace

SLICE = 1000


class RerunSearch:
    """Goes round results/, a slice at every call."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._left: list[str] = []

    def next_slice(self) -> list[str]:
        """Return the ids in the next slice that were asked to run again."""
        if not self._left:
            self._left = [name for name in os.listdir(self._workspace.results) if is_task_id(name)]
        names, self._left = self._left[-SLICE:], self._left[:-SLICE]
        for name in names:
            folder = self._workspace.results / name
            if os.path.lexists(folder / STATUS):
                with suppress(FileNotFoundError):  # taken to be run again, or pruned
                    finish_moving(self._workspace, folder)
        return [name for name in names if is_asked(self._workspace, name)]


def is_asked(workspace: Workspace, task_id: str) -> bool:
    """Tell whether somebody asked to run a finished task again."""
    return os.path.lexists(workspace.results / task_id / RETRY)
