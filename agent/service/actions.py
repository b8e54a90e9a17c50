"""What people ask of tasks. Every action is the same file that a person would write by hand.

    submit(desk, content, *, name=None, host=None, attachments={}, key=None, by=None) -> Submitted
    check(desk, content) -> Checked
    cancel(desk, task_id, *, host=None, by=None) -> Said          hold, release: the same
    retry(desk, task_id, *, host=None, resume=False, by=None) -> Said
    answer(desk, task_id, text, *, host=None, by=None) -> Said
    approve(desk, task_id, number, sha256, *, host=None, by=None) -> Said
    decline(desk, task_id, number, *, host=None, by=None) -> Said
    edit(desk, task_id, before_sha256, content, *, host=None, by=None) -> Said
    pause(desk, *, tool=None, group=None, host=None, by=None) -> Said      unpause: the same

`host` is where: None looks everywhere, `here` is our own workspace. `by` is who asks: what a person asks
through a server is noted in the audit log (logs/audit.jsonl) under that name; without it (the command line)
the files' owner tells. All raise `ServiceError`, `OSError` (the disk) and `ConfigError` (hosts.toml).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Said:
    """What became of a request.

    Args:
        task_id: of the task; of a pause what is paused (`everything`, `tool NAME`, `group NAME`).
        host: None for our own workspace.
        said: one line for the person, to stand behind `task_id: `.
        warning: what the person should know besides; None when there is nothing.
        changed: False when everything stood like that already.
    """

    task_id: str
    host: str | None
    said: str
    warning: str | None = None
    changed: bool = True


@dataclass(frozen=True, slots=True)
class Submitted:
    """A task that was dropped.

    Args:
        task_id: its id; None never happens today, a task without one is given one.
        name: of its file in tasks/.
        host: None for our own workspace.
        warnings: of the task's fields, and that no agent or collector works here now.
        replayed: the same key was used before with the same bytes: this is that task, nothing was dropped.
    """

    task_id: str | None
    name: str
    host: str | None
    warnings: tuple[str, ...] = ()
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class Checked:
    """A task that would be accepted: its id when it brings one, and what is odd about it."""

    task_id: str | None
    tool: str
    warnings: tuple[str, ...] = ()
