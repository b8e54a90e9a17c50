"""Dropping a task as a client: files first, then the JSON under a name that nobody has.

It needs no running agent: dropping is writing a file.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spool.exclusive import move_new
from spool.files import fsync_folder, fsync_tree, make_folder, put_new, remove_tree
from spool.names import (
    FILES_SUFFIX,
    MAX_TASK_NAME_BYTES,
    TASK_SUFFIX,
    given_id,
    new_ulid,
    stem_of,
    with_suffix_number,
)
from spool.refusal import Refusal
from spool.strictjson import StrictJSONError, parse_object
from spool.task import parse_task

if TYPE_CHECKING:
    from spool.workspace import Workspace


def with_id(content: bytes, stem: str, given: str | None = None) -> tuple[bytes, str] | Refusal:
    """Return the task's bytes and its id; a task without one gets one, so that the client can follow it.

    Args:
        content: a task file, as a person wrote it.
        stem: the readable part of a given id.
        given: the id that it was given before, if it was.
    """
    parsed = parse_task(content)
    if isinstance(parsed, Refusal):
        return parsed
    task, _warnings = parsed
    if task.task_id is not None:
        return content, task.task_id
    try:
        fields: dict[str, Any] = parse_object(content)
    except StrictJSONError as error:
        return Refusal(error.what, error.remedy, place=error.place)
    task_id = given or given_id(stem)
    # "task_id": null is there, and none
    return encode({"task_id": None, **fields} | {"task_id": task_id}), task_id


def encode(fields: dict[str, Any]) -> bytes:
    """Write a task's fields as the bytes of a task file."""
    return (json.dumps(fields, indent=2, ensure_ascii=False) + "\n").encode()


Attachments = Sequence[Path] | Mapping[str, bytes]
"""Files and folders that are copied, or names and what they hold."""


def drop(workspace: Workspace, content: bytes, stem: str, attachments: Attachments = ()) -> Path:
    """Put a task into the drop folder and return its path.

    Args:
        workspace: where.
        content: the task file's bytes.
        stem: NAME of NAME.json; a number is added when it is taken.
        attachments: what goes into NAME.files/.

    Raises:
        OSError: nothing was dropped.
    """
    stem = _short(stem)
    hidden = _copied(workspace, attachments) if attachments else None
    try:
        return _drop_all(workspace, content, stem, hidden)
    except BaseException:
        if hidden is not None:
            shutil.rmtree(hidden, ignore_errors=True)
        raise


def drop_once(workspace: Workspace, content: bytes, stem: str, attachments: Attachments = ()) -> Path:
    """Put a task into the drop folder under a name that is its alone, and return its path.

    What a killed call for the same name left is replaced; the caller keeps others from this name meanwhile.

    Args:
        workspace: where.
        content: the task file's bytes.
        stem: NAME of NAME.json.
        attachments: what goes into NAME.files/.

    Raises:
        FileExistsError: it is there already; nothing was changed.
        OSError: doing it again goes on.
    """
    target = workspace.tasks / (stem + TASK_SUFFIX)
    files = workspace.tasks / (stem + FILES_SUFFIX)
    if os.path.lexists(target):
        raise FileExistsError(f"{target} is there already")
    if os.path.lexists(files):
        remove_tree(files)
    if attachments:
        hidden = _copied(workspace, attachments)
        try:
            move_new(hidden, files)
        except BaseException:
            shutil.rmtree(hidden, ignore_errors=True)
            raise
    put_new(target, content)
    return target


def _drop_all(workspace: Workspace, content: bytes, stem: str, hidden: Path | None) -> Path:
    for number in count(1):
        target = workspace.tasks / with_suffix_number(stem + TASK_SUFFIX, number)
        files = target.with_name(stem_of(target.name) + FILES_SUFFIX)
        # a name with files is another task's, even while that task is not there yet, or is on hold
        if os.path.lexists(target) or os.path.lexists(files):
            continue
        try:
            if hidden is not None:
                move_new(hidden, files)
            put_new(target, content)
        except FileExistsError:
            if hidden is not None and not hidden.exists():
                move_new(files, hidden)
        except OSError:
            if hidden is not None and not hidden.exists():
                move_new(files, hidden)
            raise
        else:
            return target
    raise AssertionError


def _short(stem: str) -> str:
    room = MAX_TASK_NAME_BYTES - len(TASK_SUFFIX) - 10
    plain = "".join(c if c.isprintable() and c != "/" else "-" for c in stem)
    return plain.encode(errors="ignore")[:room].decode(errors="ignore").lstrip(".") or "task"


def _copied(workspace: Workspace, attachments: Attachments) -> Path:
    """Copy the attachments to a dot folder and make them durable."""
    if not isinstance(attachments, Mapping):
        names = [path.name for path in attachments]
        if len(set(names)) != len(names):
            raise FileExistsError("two attachments have the same name: rename one")
    hidden = workspace.tasks / f".{new_ulid()}{FILES_SUFFIX}"
    make_folder(hidden)
    try:
        if isinstance(attachments, Mapping):
            for name, content in attachments.items():
                put_new(hidden / name, content)
        else:
            for path in attachments:
                _copy(path, hidden / path.name)
        fsync_folder(hidden)
    except BaseException:
        shutil.rmtree(hidden, ignore_errors=True)
        raise
    return hidden


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target)
    else:
        shutil.copy2(source, target)
    fsync_tree(target)


def request(path: Path, content: bytes = b"") -> None:
    """Make a request file (`cancel`, `retry`, a pause) durable; one that is there already is fine."""
    try:
        put_new(path, content)
    except FileExistsError:
        return


def ring(workspace: Workspace, task_id: str) -> None:
    """Tell every agent here to look at a task now; they find out by themselves a little later."""
    for agent in workspace.agents():
        bell = agent / ".bell"
        if bell.is_dir():
            (bell / task_id).touch()
