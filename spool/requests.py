"""What people ask of a task, as files: hold, release, cancel, retry, pause.

One function for each, used by the command line and for what a collector sends. No name is ever overwritten,
and doing the same thing twice changes nothing.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from spool.exclusive import move_new
from spool.names import FILES_SUFFIX, TASK_ID_RULE, WHY_SUFFIX, is_task_id, stem_of
from spool.results import CANCEL, RESUME, RETRY, digest_of_result, read_result, read_task
from spool.submit import request, ring

if TYPE_CHECKING:
    from pathlib import Path

    from spool.view import View
    from spool.workspace import Workspace


class RequestError(Exception):
    """It cannot be done as things stand; the message says why, and what to do."""


def move_waiting(workspace: Workspace, view: View, *, to_hold: bool) -> bool:
    """Put a waiting task on hold, or release it; False when it lies there already.

    Raises:
        RequestError: it does not wait any more, or a name is taken.
    """
    if view.place not in {"tasks", "held"}:
        raise RequestError(f"{view.task_id} does not wait any more: it is {view.state} ({view.reason})")
    target = workspace.held if to_hold else workspace.tasks
    if view.path.parent == target:
        return False
    try:
        if to_hold:
            _hold(view, target)
        else:
            _release(view, target)
    except FileExistsError:
        raise RequestError(
            f"{target} holds {view.name} or its files already, another task's: rename one of them"
        ) from None
    except FileNotFoundError:
        raise RequestError(
            f"{view.task_id} was taken at this moment: look with `aispool show {view.task_id}`"
        ) from None
    return True


def _hold(view: View, held: Path) -> None:
    """Move the task before its input files, so that no agent takes it without them."""
    files, why = _companions(view)
    if (held / files.name).exists():
        raise FileExistsError(held / files.name)
    move_new(view.path, held / view.name)
    with suppress(FileNotFoundError):
        move_new(files, held / files.name)
    with suppress(FileNotFoundError):
        why.replace(held / why.name)  # it holds the id that the task was given


def _release(view: View, tasks: Path) -> None:
    """Move the input files before the task."""
    files, why = _companions(view)
    if (tasks / view.name).exists():
        raise FileExistsError(tasks / view.name)
    moved = False
    with suppress(FileNotFoundError):
        move_new(files, tasks / files.name)
        moved = True
    with suppress(FileNotFoundError):
        why.replace(tasks / why.name)
    try:
        move_new(view.path, tasks / view.name)
    except OSError:
        if moved:
            move_new(tasks / files.name, files)
        raise


def _companions(view: View) -> tuple[Path, Path]:
    stem = stem_of(view.name)
    return view.path.with_name(stem + FILES_SUFFIX), view.path.with_name(stem + WHY_SUFFIX)


def ask_to_cancel(workspace: Workspace, session: Path) -> bool:
    """Ask for the end of a task in session; False when its folder is gone."""
    try:
        request(session / CANCEL)
    except (FileNotFoundError, NotADirectoryError):
        return False
    ring(workspace, session.name)
    return os.path.lexists(session / CANCEL)


def ask_to_retry(workspace: Workspace, view: View, *, resume: bool, sha256: str | None = None) -> None:
    """Ask for another run of a task that is over.

    Args:
        workspace: where.
        view: the task.
        resume: go on with the tool's conversation.
        sha256: of the result.json that is meant; a later result is left alone.

    Raises:
        RequestError: it is not over, or cannot run again.
    """
    task_id = view.task_id
    if view.place != "results":
        raise RequestError(f"{task_id} is not over: it is {view.state} ({view.reason})")
    if not view.path.is_dir():
        raise RequestError(f"the result of {task_id} was pruned, and its task with it: submit it again")
    if read_task(view.path) is None:
        raise RequestError(f"{view.path} holds no task.json to run: submit the task again")
    if resume and ((result := read_result(workspace, task_id)) is None or not result.tool_session_id):
        raise RequestError(f"{task_id} has no conversation to go on with: retry it without --resume")
    try:
        if sha256 not in {None, digest_of_result(view.path)}:
            raise RequestError(f"{task_id} has run again since: look at its new result first")
        request(view.path / RETRY, f"{RESUME}\n".encode() if resume else b"")
    except FileNotFoundError:
        raise RequestError(f"{task_id} was pruned, or is run again already: see `aispool ls`") from None
    ring(workspace, task_id)


def pause_marker(workspace: Workspace, tool: str | None, group: str | None) -> Path:
    """Return the file that stops claiming: in all, of one tool, or of one group.

    Raises:
        RequestError: it is not a name.
    """
    name = tool or group
    if name is None:
        return workspace.configs / "paused"
    if not is_task_id(name):
        raise RequestError(f"{name!r} is not a name: use {TASK_ID_RULE}")
    return workspace.configs / f"paused.{'tool' if tool else 'group'}.{name}"
