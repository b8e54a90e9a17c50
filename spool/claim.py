"""Taking a task so that nobody else has it.

claim   = make sessions/.agent-NAME/ID/source/, rename tasks/NAME.json into it (the rename is the claim;
          the agent's lock tells whether it lives), bring NAME.files along.
publish = rename sessions/.agent-NAME/ID to sessions/ID, then look for results/ID and its tombstone.

An id is taken once: sessions/ID cannot be published twice (rename(2) refuses a folder that is not
empty), and a task leaves sessions/ only into results/, so whoever has published and then finds no
result is the first. A claim that was not published has never been launched; its folder may be renamed
into another agent's, and then the first agent's next step fails with ENOENT and it lets go.
"""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from spool.exclusive import move_new
from spool.files import fsync_folder, make_folder, move, remove, remove_tree, rename
from spool.names import FILES_SUFFIX, WHY_SUFFIX, stem_of

if TYPE_CHECKING:
    from pathlib import Path

    from spool.workspace import Workspace

SOURCE = "source"
FILES = "files"
TASK = "task.json"


@dataclass(frozen=True, slots=True)
class Claim:
    """A task that is ours and was not published yet."""

    task_id: str
    folder: Path

    @property
    def source(self) -> Path | None:
        """Return the dropped file, or None when it lies elsewhere again, or was never taken."""
        try:
            # a refusal that was cut off may have put its files beside it
            entries = sorted(p for p in (self.folder / SOURCE).iterdir() if p.suffix != FILES_SUFFIX)
        except FileNotFoundError:
            return None
        return entries[0] if entries else None

    @property
    def files(self) -> Path:
        """Return the folder of what came with the task; it may be missing."""
        return self.folder / FILES


def claim(workspace: Workspace, agent: str, dropped: Path, task_id: str) -> Claim | None:
    """Take one dropped file; None when it is gone.

    Raises:
        FileExistsError: this agent has a claim of this id.
        OSError: the workspace is unwritable, or spans two file systems.
    """
    folder = workspace.agent(agent) / task_id
    source = folder / SOURCE
    try:
        _make_empty(folder)
        _make_empty(source)
        rename(dropped, source / dropped.name)
    except FileExistsError:
        raise
    except OSError as error:
        _remove_empty(source, folder)
        if isinstance(error, FileNotFoundError):
            return None
        raise
    mine = Claim(task_id, folder)
    try:
        bring_files(workspace, mine, dropped)
        for changed in (source, folder, folder.parent):
            fsync_folder(changed)
        fsync_folder(dropped.parent, lost=True)
    except FileNotFoundError:
        if folder.exists():
            raise
        return None  # taken over
    return mine


def _make_empty(folder: Path) -> None:
    """Make a folder; one that is there and empty will do: its answer got lost, or a kill left it."""
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        if any(folder.iterdir()):
            raise


def _remove_empty(*folders: Path) -> None:
    for folder in folders:
        with suppress(FileNotFoundError):
            folder.rmdir()


def bring_files(workspace: Workspace, mine: Claim, dropped: Path) -> None:
    """Move NAME.files of a claimed NAME.json into the claim; doing it again after a kill is fine."""
    stem = stem_of(dropped.name)
    if not os.path.lexists(mine.files):
        for place in (dropped.parent, workspace.tasks, workspace.held):
            if os.path.lexists(place / dropped.name):
                continue  # another task of this name waits there: they are its files
            try:
                _move_folder(place / f"{stem}{FILES_SUFFIX}", mine.files)
                break
            except FileNotFoundError:
                continue
    dropped.with_name(f"{stem}{WHY_SUFFIX}").unlink(missing_ok=True)


def _move_folder(source: Path, target: Path) -> None:
    """Rename a folder; a read-only one, as `cp -a` leaves it, is made writable first (rename(2), EACCES)."""
    try:
        rename(source, target)
    except PermissionError:
        if source.is_symlink() or not source.is_dir():
            raise
        source.chmod(source.stat().st_mode | 0o700)
        rename(source, target)


def give_back(workspace: Workspace, mine: Claim) -> bool:
    """Put a claimed file back into the drop folder; False when its name is taken there again.

    A claim of a task that ran before is not given back: False, and it lies where it lay.
    """
    if was_over(mine.folder):
        return False
    source = mine.source
    if source is not None and not _put_back(workspace, mine, source):
        return False
    # renamed, never linked: another agent may have taken it by now, and a second name would run twice
    discard(mine)
    return True


def _put_back(workspace: Workspace, mine: Claim, source: Path) -> bool:
    target = workspace.tasks / source.name
    files = workspace.tasks / f"{stem_of(source.name)}{FILES_SUFFIX}"
    if os.path.lexists(target):
        return False
    # not executable any more, then the files, then the task: who claims it next finds them there
    remove(mine.folder / TASK)
    if os.path.lexists(mine.files):
        try:
            move_new(mine.files, files)
        except FileExistsError:
            return False
    try:
        move_new(source, target)
    except FileExistsError:
        with suppress(FileNotFoundError):
            move_new(files, mine.files)
        return False
    return True


def was_over(folder: Path) -> bool:
    """Tell whether a claimed folder was a result, or ran: it is not a newcomer then."""
    if (folder / "result.json").exists() or (folder / "result.before.json").exists():
        return True
    return next(folder.glob("attempts/*/started"), None) is not None


def discard(mine: Claim) -> None:
    """Remove a claim whose task lies elsewhere."""
    # first what would be taken for a task when the removal is cut off
    remove(mine.folder / TASK)
    remove_tree(mine.folder)
    fsync_folder(mine.folder.parent)


def publish(workspace: Workspace, mine: Claim) -> Path | None:
    """Make a claim a session; None when the id is taken, the claim then lies where it lay.

    Raises:
        FileNotFoundError: another agent took the claim over.
        OSError: the workspace is unwritable.
    """
    session = workspace.sessions / mine.task_id
    if was_over(mine.folder):
        # left by a pruning that was cut off: it would make this task its own duplicate
        remove(workspace.tombstones / mine.task_id)
    if is_over(workspace, mine.task_id):
        return None
    try:
        move(mine.folder, session)
    except OSError as error:
        if error.errno in {errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR}:
            return None
        raise
    # again: the first of this id may have ended between; killed before the next line, recovery looks, too
    if is_over(workspace, mine.task_id):
        move(session, mine.folder)
        return None
    return session


def is_over(workspace: Workspace, task_id: str) -> bool:
    """Tell whether the id has a result, or had one that was pruned."""
    return os.path.lexists(workspace.results / task_id) or (workspace.tombstones / task_id).exists()


def take_over(workspace: Workspace, agent: str, other: Path) -> Claim | None:
    """Take another agent's unpublished claim; None when it or a third one was faster."""
    target = workspace.agent(agent) / other.name
    make_folder(target.parent)
    try:
        move(other, target)
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno in {errno.ENOTEMPTY, errno.EEXIST}:
            return None
        raise
    return Claim(other.name, target)


def claims_of(folder: Path) -> list[Claim]:
    """Return the unpublished claims in one agent's folder."""
    try:
        with os.scandir(folder) as entries:
            names = sorted(e.name for e in entries if e.is_dir(follow_symlinks=False))
    except FileNotFoundError:
        return []
    return [Claim(name, folder / name) for name in names if name not in AGENT_FOLDERS]


AGENT_FOLDERS = frozenset({".bell", ".outbox"})
"""Folders of an agent that are not claims; ids never start with a dot."""


def reclaim_result(workspace: Workspace, agent: str, task_id: str) -> Claim | None:
    """Take a finished task to run it again; None when it is gone, or another agent was faster."""
    mine = take_over(workspace, agent, workspace.results / task_id)
    if mine is not None:
        # a pruning that was cut off may have left one; it would make the next publishing a duplicate
        remove(workspace.tombstones / task_id)
    return mine
