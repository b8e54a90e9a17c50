"""What functions answer that change something."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Said:
    """What became of a request.

    Args:
        task_id: of the task; of a pause what is paused (`everything`, `tool NAME`, `group NAME`).
        host: None for our own workspace.
        said: one line for the person, to stand behind `task_id: `.
        warning: what the person should know besides, a sentence a line; None when there is nothing.
        changed: False when everything stood like that already.
        path: of the file that was made, where a person may want to see it.
    """

    task_id: str
    host: str | None
    said: str
    warning: str | None = None
    changed: bool = True
    path: str | None = None


@dataclass(frozen=True, slots=True)
class Submitted:
    """A task that was dropped.

    Args:
        task_id: its id; one without an id is given one.
        name: of its file in tasks/.
        host: None for our own workspace.
        warnings: of the task's fields, and that no agent or collector works here now.
        replayed: the same key was used before with the same bytes: this is that task, nothing was dropped.
        path: where it was dropped.
    """

    task_id: str
    name: str
    host: str | None
    warnings: tuple[str, ...] = ()
    replayed: bool = False
    path: str = ""


@dataclass(frozen=True, slots=True)
class Checked:
    """A task that would be accepted: its id when it brings one, and what is odd about it."""

    task_id: str | None
    tool: str
    warnings: tuple[str, ...] = ()
