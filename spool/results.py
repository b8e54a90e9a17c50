"""Results: finishing a task, publishing its answer, and pruning without forgetting.

A result is written first and its folder renamed second, so that a reader of results/ sees it whole; a
crash between the two is finished by recovery. A pruned result leaves a tombstone, written before its
folder goes, so that a repeated delivery of its id is still a duplicate.
"""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from spool.attempt import attempts_of
from spool.claim import TASK
from spool.enrol import is_enrolled, mark
from spool.files import (
    NotRegularError,
    TooLargeError,
    fsync_folder,
    make_folder,
    move,
    put,
    put_new,
    read_regular,
    remove,
    remove_tree,
)
from spool.names import is_task_id, new_ulid
from spool.records import DamagedError, Result, Tombstone
from spool.task import AcceptedTask

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spool.workspace import Workspace

RESULT = "result.json"
STATUS = "status.json"
RETRY = "retry"
RESUME = "resume"
"""Content of a retry that goes on with the tool's conversation, and the file that then names it."""
CANCEL = "cancel"
LEFT_OUT = ".left-out"
"""On a collector: what a result is on its host beside files and folders, and is not here; a path a line."""


def finish(workspace: Workspace, folder: Path, result: Result) -> Path:
    """Write the result into a session or a claim and move it to results/.

    Raises:
        OSError: nothing was lost; call again.
    """
    result.write(folder / RESULT)
    return move_finished(workspace, folder)


def move_finished(workspace: Workspace, folder: Path) -> Path:
    """Move a folder that holds its result to results/."""
    target = workspace.results / folder.name
    if marked := is_enrolled(workspace):
        mark(workspace, folder.name, digest_of_result(folder))
    move(folder, target)
    finish_moving(workspace, target, marked=marked)
    return target


def finish_moving(workspace: Workspace, folder: Path, *, marked: bool = False) -> None:
    """Do what follows the move to results/; a status beside a result says that it is still to be done.

    Args:
        workspace: where.
        folder: the result's.
        marked: it was marked for the collector before it was moved.
    """
    # a collector may have come between the mark and the move
    if not marked and is_enrolled(workspace):
        mark(workspace, folder.name, digest_of_result(folder))
    # only now: until it is in results/, the status says whose session it is
    (folder / STATUS).unlink(missing_ok=True)


def digest_of_result(folder: Path) -> str:
    """Return the SHA-256 of a folder's result.json, which tells one run's result from another's.

    Raises:
        OSError: there is none that can be read.
    """
    return hashlib.sha256(read_regular(folder / RESULT)).hexdigest()


def reopen(folder: Path) -> None:
    """Make a claimed result ready for another run: its old result becomes a part of its last attempt."""
    attempts = attempts_of(folder)
    if (folder / RESULT).exists():
        _keep_conversation(folder)
        if attempts:
            move(folder / RESULT, attempts[-1].folder / RESULT)
        else:
            move(folder / RESULT, folder / "result.before.json")
    # a killed finishing leaves one: it says whose session it was, not whose it is
    remove(folder / STATUS)
    # the request goes last: until then a killed reopening is known for what it is
    remove(folder / CANCEL)
    remove(folder / RETRY)


def _keep_conversation(folder: Path) -> None:
    """Note the conversation with which the next run goes on, when the request says `resume`."""
    try:
        asked = read_regular(folder / RETRY, 4096).strip() == RESUME.encode()
    except FileNotFoundError:
        asked = False
    try:
        result = Result.read(folder / RESULT)
    except DamagedError:
        result = None
    if asked and result is not None and result.tool_session_id is not None:
        put(folder / RESUME, result.tool_session_id.encode())
    else:
        remove(folder / RESUME)


def wanted_conversation(folder: Path) -> str | None:
    """Return the conversation with which a person wants this run to go on."""
    try:
        return read_regular(folder / RESUME, 4096).decode().strip() or None
    except (FileNotFoundError, UnicodeDecodeError):
        return None


def read_task(folder: Path) -> AcceptedTask | None:
    """Return the validated copy in a session's or a result's folder.

    Raises:
        DamagedError: it is there, but not a task that this version can run.
    """
    path = folder / TASK
    try:
        return AcceptedTask.model_validate_json(read_regular(path))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (NotRegularError, TooLargeError) as error:
        raise DamagedError(f"{path} is damaged: {error}") from None
    except ValidationError as error:
        raise DamagedError(f"{path} is damaged: {error.errors(include_url=False)[0]['msg']}") from None


def read_result(workspace: Workspace, task_id: str) -> Result | None:
    """Return a task's result, or None while it has none."""
    return Result.read(workspace.results / task_id / RESULT)


def read_tombstone(workspace: Workspace, task_id: str) -> Tombstone | None:
    """Return what is left of a pruned result."""
    return Tombstone.read(workspace.tombstones / task_id)


def output_problem(workspace: Workspace, name: str) -> str | None:
    """Return why results/NAME cannot be made as a task's output, or None."""
    if os.path.lexists(workspace.results / name):
        return f"results/{name} exists already"
    if (workspace.tombstones / name).exists() or next(places_of_session(workspace, name), None):
        return f"results/{name} is where the result of the task {name} goes"
    return None


def place_output(workspace: Workspace, name: str, content: bytes) -> str | None:
    """Write the final answer as results/NAME; None when it is there, else why it is not.

    It is never a folder's place: whoever publishes a session of this name looks for the file after it,
    and we look for the session after the file is made, so that at least one of both sees the other.
    """
    target = workspace.results / name
    try:
        put_new(target, content)
    except FileExistsError:
        if target.is_file() and not target.is_symlink() and read_regular(target, 1 << 40) == content:
            return None
        return f"results/{name} exists already"
    if next(places_of_session(workspace, name), None):
        remove(target)
        return f"results/{name} is where the result of the task {name} goes"
    return None


def places_of_session(workspace: Workspace, task_id: str) -> Iterator[Path]:
    """Yield the folders in which a task of this id is claimed or in session."""
    if not is_task_id(task_id):
        return
    if (session := workspace.sessions / task_id).is_dir():
        yield session
    for agent in workspace.agents():
        if (claim := agent / task_id).is_dir():
            yield claim


def prune(workspace: Workspace, result: Result, source_sha256: str) -> None:
    """Remove a result, leaving its tombstone."""
    make_folder(workspace.tombstones)
    tombstone = Tombstone(
        task_id=result.task_id,
        state=result.state,
        source_sha256=source_sha256,
        finished_at=result.finished_at,
    )
    tombstone.write(workspace.tombstones / result.task_id)
    # out of results/ at once, so that no reader sees half a result
    doomed = workspace.tombstones / f".{result.task_id}.{new_ulid()}{_PRUNED}"
    try:
        move(workspace.results / result.task_id, doomed)
    except FileNotFoundError:
        if next(places_of_session(workspace, result.task_id), None):
            remove(workspace.tombstones / result.task_id)  # taken to be run again, not pruned
        return
    finish_pruning(workspace)


_PRUNED = ".pruned"


def finish_pruning(workspace: Workspace) -> None:
    """Remove what prunings that were cut off have left."""
    for name in os.listdir(workspace.tombstones):
        if name.startswith(".") and name.endswith(_PRUNED):
            with suppress(FileNotFoundError):  # another agent removes it, too; the next call looks again
                _remove_tree(workspace.tombstones / name)
    fsync_folder(workspace.tombstones)


def _remove_tree(folder: Path) -> None:
    """Remove a folder with all it holds; tools leave folders without write permission (Go's module cache)."""
    for parent, names, _ in os.walk(folder):
        for name in names:
            sub = Path(parent, name)
            if not sub.is_symlink():
                sub.chmod(0o700)
    remove_tree(folder)
