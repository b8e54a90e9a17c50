"""Refusing: the file goes to rejected/ untouched, beside a `.error.json` that says why.

The explanation is written first, under a name that nobody has (link(2) is exclusive), and so reserves
the place; then the file is renamed to it. A refusal cut off between the two goes on with the same
explanation, known by the refused file's inode.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from spool.files import move, put_new, read_regular
from spool.names import FILES_SUFFIX, TASK_SUFFIX, WHY_SUFFIX, error_name, with_suffix_number
from spool.records import iso, utc_now

if TYPE_CHECKING:
    from pathlib import Path

    from spool.refusal import Refusal
    from spool.workspace import Workspace

MAX_SAME_NAMES = 100_000


def reject(workspace: Workspace, path: Path, refusal: Refusal, by: str) -> Path | None:
    """Move a file to rejected/ with its explanation; None when it is gone.

    Args:
        workspace: where.
        path: the refused file, link, folder or device.
        refusal: why.
        by: who refuses, for the explanation.

    Raises:
        OSError: rejected/ cannot be written; the file lies where it lay.
    """
    try:
        status = path.lstat()
    except FileNotFoundError:
        return None
    identity = {"device": status.st_dev, "inode": status.st_ino}
    target = _reserve(workspace, path.name, refusal, by, identity)
    try:
        move(path, target)
    except FileNotFoundError:
        (target.parent / error_name(target.name)).unlink(missing_ok=True)
        return None
    stem = path.name.removesuffix(TASK_SUFFIX)
    _take_along(path.with_name(stem + FILES_SUFFIX), target.with_name(target.name + FILES_SUFFIX))
    path.with_name(stem + WHY_SUFFIX).unlink(missing_ok=True)
    return target


def _reserve(workspace: Workspace, name: str, refusal: Refusal, by: str, identity: dict[str, int]) -> Path:
    for number in range(1, MAX_SAME_NAMES):
        candidate = with_suffix_number(name, number)
        explanation = workspace.rejected / error_name(candidate)
        target = workspace.rejected / candidate
        content = refusal.document(file=candidate, rejected_at=iso(utc_now()), by=by, identity=identity)
        try:
            put_new(explanation, content)
        except FileExistsError:
            if _is_ours(explanation, identity) and not _exists(target):
                return target
            continue
        if not _exists(target):
            return target
        explanation.unlink()
    raise FileExistsError(f"{workspace.rejected} holds too many files named like {name}: run `aispool clean`")


def _is_ours(explanation: Path, identity: dict[str, int]) -> bool:
    try:
        return bool(json.loads(read_regular(explanation)).get("source") == identity)
    except (OSError, ValueError, AttributeError):
        return False


def _exists(path: Path) -> bool:
    try:
        path.lstat()
    except FileNotFoundError:
        return False
    return True


def _take_along(files: Path, target: Path) -> None:
    """Move the input files of a refused task beside it, so that a later NAME.json does not inherit them."""
    if _exists(files) and not _exists(target):
        move(files, target)
