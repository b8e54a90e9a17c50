"""What broken-off writers leave: hidden files and folders that nobody touched for a day."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, Final

from spool.files import TEMPORARY
from spool.names import FILES_SUFFIX
from spool.view import rejected

if TYPE_CHECKING:
    from pathlib import Path

    from spool.workspace import Workspace

OLD_S: Final = 86400.0


def leftovers(workspace: Workspace, now_s: float) -> list[Path]:
    """Return the leftovers: anything hidden in the drop folders, elsewhere only temporary files of ours."""
    found = []
    for folder in (workspace.tasks, workspace.held, workspace.inbox_tasks, workspace.inbox_control):
        found += [p for p in _hidden(folder) if _is_old(p, now_s)]
    places = (workspace.root, workspace.results, workspace.rejected, workspace.configs, workspace.logs)
    for folder in (*places, *workspace.agents()):
        found += [p for p in _hidden(folder) if p.name.endswith(TEMPORARY) and _is_old(p, now_s)]
    return found


def remove_temporary(workspace: Workspace, now_s: float) -> list[Path]:
    """Remove the leftovers and return what is gone."""
    return [path for path in leftovers(workspace, now_s) if _remove(path)]


def remove_rejected(workspace: Workspace, before_s: float) -> list[Path]:
    """Remove rejected files with their explanations and input files, rejected before a moment."""
    gone = []
    for file in rejected(workspace):
        try:
            if file.explanation.stat().st_mtime >= before_s:
                continue
        except FileNotFoundError:
            continue
        _remove(file.path.with_name(file.path.name + FILES_SUFFIX))
        _remove(file.path)
        if _remove(file.explanation):  # last: it names what is left if we are killed before
            gone.append(file.path)
    return gone


def _hidden(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []  # a workspace of an older version has no inbox yet
    return sorted(folder / name for name in os.listdir(folder) if name.startswith("."))


def _is_old(path: Path, now_s: float) -> bool:
    """Tell whether nothing in it changed for a day; a long upload keeps its file young."""
    try:
        newest = path.lstat().st_ctime
        if path.is_dir() and not path.is_symlink():
            newest = max([newest, *(child.lstat().st_ctime for child in path.rglob("*"))])
    except FileNotFoundError:
        return False
    return now_s - newest > OLD_S


def _remove(path: Path) -> bool:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
        return True
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    return True
