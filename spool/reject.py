"""Refusing: the file goes to rejected/ untouched, beside a `.error.json` that says why.

The explanation is written first, under a name that nobody has (link(2) is exclusive), and so reserves
the place; then the file is renamed to it, never replacing one. A refusal cut off between the two goes
on under the same name, known by the refused file's inode; two agents that refuse one file at once
agree in the same way.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from typing import TYPE_CHECKING

from spool.exclusive import move_new
from spool.files import put, put_new, read_regular
from spool.names import (
    FILES_SUFFIX,
    MAX_NAME_BYTES,
    TASK_SUFFIX,
    WHY_SUFFIX,
    error_name,
    shortened,
    with_suffix_number,
)
from spool.records import iso, utc_now

if TYPE_CHECKING:
    from pathlib import Path

    from spool.refusal import Refusal
    from spool.workspace import Workspace

MAX_SAME_NAMES = 100_000


def reject(
    workspace: Workspace, path: Path, refusal: Refusal, by: str, files: Path | None = None
) -> Path | None:
    """Move a file to rejected/ with its explanation; None when it is gone.

    Args:
        workspace: where.
        path: the refused file, link, folder or device.
        refusal: why.
        by: who refuses, for the explanation.
        files: the folder of what came with it; NAME.files beside it when left out.

    Raises:
        OSError: rejected/ cannot be written; the file lies where it lay.
    """
    try:
        status = path.lstat()
    except FileNotFoundError:
        return None
    identity = {"device": status.st_dev, "inode": status.st_ino}
    stem = path.name.removesuffix(TASK_SUFFIX)
    came_with = files or path.with_name(stem + FILES_SUFFIX)
    while True:
        target = _reserve(workspace, path.name, refusal, by, identity)
        # files before the file: killed between the two, it is refused again, and nobody inherits them
        _take_along(came_with, _beside(target))
        try:
            move_new(path, target)
        except FileExistsError:
            # another file took the name between the two: leave it, and look for the next name
            _take_along(_beside(target), came_with)
            continue
        except FileNotFoundError:
            _withdraw(target, came_with)
            return None
        break
    if not _is_same(target, identity):
        # the file was replaced in this moment: what we refused is gone, what came is not refused
        move_new(target, path)
        _withdraw(target, came_with)
        return None
    path.with_name(stem + WHY_SUFFIX).unlink(missing_ok=True)
    return target


def _withdraw(target: Path, came_with: Path) -> None:
    """Take back an explanation that explains nothing; another agent may just have refused the same file."""
    if not os.path.lexists(target):
        _take_along(_beside(target), came_with)
        (target.parent / error_name(target.name)).unlink(missing_ok=True)


def _is_same(path: Path, identity: dict[str, int]) -> bool:
    try:
        status = path.lstat()
    except FileNotFoundError:
        return False
    return identity == {"device": status.st_dev, "inode": status.st_ino}


def _beside(target: Path) -> Path:
    return target.with_name(shortened(target.name, FILES_SUFFIX))


def _reserve(workspace: Workspace, name: str, refusal: Refusal, by: str, identity: dict[str, int]) -> Path:
    for number in range(1, MAX_SAME_NAMES):
        candidate = with_suffix_number(name, number)
        if len(os.fsencode(candidate)) > MAX_NAME_BYTES:
            candidate = with_suffix_number(shortened(name, TASK_SUFFIX), number)
        explanation = workspace.rejected / error_name(candidate)
        target = workspace.rejected / candidate
        content = refusal.document(file=candidate, rejected_at=iso(utc_now()), by=by, identity=identity)
        if os.path.lexists(target):
            continue
        try:
            put_new(explanation, content)
        except FileExistsError:
            if not _is_ours(explanation, identity) or os.path.lexists(target):
                continue
            # written anew: an inode is used again, and then its old explanation is of another file
            put(explanation, content)
        return target
    raise FileExistsError(f"{workspace.rejected} holds too many files named like {name}: run `aispool clean`")


def _is_ours(explanation: Path, identity: dict[str, int]) -> bool:
    try:
        # not the device: its number is another one after a reboot
        return bool(json.loads(read_regular(explanation))["source"]["inode"] == identity["inode"])
    except (OSError, ValueError, TypeError, KeyError):
        return False


def _take_along(files: Path, target: Path) -> None:
    """Move the input files of a refused task beside it, so that a later NAME.json does not inherit them."""
    if os.path.lexists(files):
        with suppress(FileExistsError, FileNotFoundError):
            move_new(files, target)
