"""Tasks that a run has done for it: dropped once under an id that is always the same, awaited by files.

The spool is this workspace, or on a collector the mirror of a host, fleet/HOST: what is dropped into its
tasks/ is sent there, and its results/ come back. A run that was killed asks again and finds what it dropped.
"""

from __future__ import annotations

import shutil
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from spool.files import fsync_folder, make_folder, put_new, read_regular
from spool.known import place_of
from spool.names import FILES_SUFFIX, TASK_SUFFIX, error_name, is_task_id, new_ulid
from spool.records import DamagedError, Result
from spool.results import read_result
from spool.strictjson import StrictJSONError, parse_object
from spool.submit import encode
from spool.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from spool.task import TaskId

LOOK_AGAIN_S: Final = 0.2


class ChildError(Exception):
    """A task that was dropped for a run gave no result; the message says why, and what to do."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a result is waited for.

    Args:
        clock: monotonic seconds.
        sleep: for seconds; no file tells a client that it is there.
    """

    limit_s: float
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


def spool_of(workspace: Workspace, host: str | None) -> Workspace:
    """Return where a host's tasks are dropped: here, or its mirror on a collector.

    Raises:
        ChildError: no such host is collected here.
    """
    if host is None:
        return workspace
    spool = Workspace(workspace.root / "fleet" / host)
    if not is_task_id(host) or not spool.tasks.is_dir():
        raise ChildError(
            f"there is no host {host} here ({spool.tasks} is missing): `aispool fleet add` makes one known, "
            "`aispool fleet list` shows them"
        )
    return spool


def drop_once(spool: Workspace, fields: Mapping[str, Any], files: Mapping[str, bytes] | None = None) -> None:
    """Drop a task with a fixed id, unless it is known already.

    Args:
        spool: where.
        fields: of the task; the same fields every time.
        files: its input files, by name.

    Raises:
        OSError: the disk; nothing, or only the files, was dropped, and calling again goes on.
    """
    task_id: TaskId = fields["task_id"]
    name = task_id + TASK_SUFFIX
    if is_known(spool, task_id):
        return
    if files:
        _put_files(spool, task_id, files)
    with suppress(FileExistsError):
        put_new(spool.tasks / name, encode(dict(fields)))


def is_known(spool: Workspace, task_id: str) -> bool:
    """Tell whether a task of this id waits, runs, is over, or was refused."""
    name = task_id + TASK_SUFFIX
    waits = any((folder / name).exists() for folder in (spool.tasks, spool.held, spool.rejected))
    with suppress(FileNotFoundError):  # a mirror has only the folders that it needed so far
        return waits or place_of(spool, task_id) is not None
    return waits


def _put_files(spool: Workspace, task_id: str, files: Mapping[str, bytes]) -> None:
    target = spool.tasks / (task_id + FILES_SUFFIX)
    if target.is_dir():
        return  # made whole, by a run that was killed before it dropped the task
    hidden = spool.tasks / f".{new_ulid()}{FILES_SUFFIX}"
    make_folder(hidden)
    try:
        for name, content in files.items():
            put_new(hidden / name, content)
        hidden.rename(target)
    except BaseException:
        shutil.rmtree(hidden, ignore_errors=True)
        raise
    fsync_folder(spool.tasks)


def wait_for_result(spool: Workspace, task_id: str, patience: Patience) -> Result:
    """Return a task's result as soon as it is there.

    Raises:
        ChildError: it was refused, its result is damaged, or there is none in time.
    """
    end_s = patience.clock() + patience.limit_s
    while True:
        try:
            result = read_result(spool, task_id)
        except (DamagedError, OSError) as error:
            raise ChildError(f"the result of {task_id} cannot be read: {error}") from None
        if result is not None:
            return result
        if (why := refusal_of(spool, task_id)) is not None:
            raise ChildError(f"{task_id} was refused: {why}")
        if patience.clock() > end_s:
            raise ChildError(
                f"{task_id} has no result after {patience.limit_s:g} s: is an agent at work there? "
                f"`aispool show {task_id}` says where it stands"
            )
        patience.sleep(LOOK_AGAIN_S)


def refusal_of(spool: Workspace, task_id: str) -> str | None:
    """Return why a task was refused; None when it was not, or only as the second of two."""
    try:
        refusal = parse_object(read_regular(spool.rejected / error_name(task_id + TASK_SUFFIX)))
    except (OSError, StrictJSONError):
        return None  # not there, or not whole yet
    if refusal.get("duplicate_of") is not None:
        return None  # the first of the two counts
    return f"{refusal.get('what')}: {refusal.get('remedy')}"
