"""What waits, counted; and what is paused."""

from __future__ import annotations

import os
from collections import Counter
from typing import TYPE_CHECKING, Final

from spool.names import is_dropped_name
from spool.view import in_session, waiting

if TYPE_CHECKING:
    from spool.workspace import Workspace

PAUSED: Final = "paused"


def counts(workspace: Workspace) -> dict[str, int]:
    """Return how many tasks stand in each state, results not counted."""
    states = Counter(str(view.state) for view in waiting(workspace))
    states.update(str(view.state) for view in in_session(workspace))
    return dict(sorted(states.items()))


def has_waiting(workspace: Workspace) -> bool:
    """Tell whether a file waits in the drop folder, without reading any."""
    with os.scandir(workspace.tasks) as entries:
        return any(is_dropped_name(entry.name) for entry in entries)


def pauses(workspace: Workspace) -> list[str]:
    """Return what is paused: `everything`, `tool NAME`, `group NAME`."""
    found = []
    for name in sorted(os.listdir(workspace.configs)):
        if name == PAUSED:
            found.append("everything")
        elif name.startswith((f"{PAUSED}.tool.", f"{PAUSED}.group.")):
            _, kind, subject = name.split(".", 2)
            found.append(f"{kind} {subject}")
    return found
