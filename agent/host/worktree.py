"""A git worktree and a branch of a task's own: made when it is launched, removed at its end when empty.

    sessions/ID/worktree.json      what was made, and from which commit: written before git begins and again
                                   when it is done, so that a half-made worktree is known and made anew
    worktrees/ID                   the worktree; a retry goes on in it
    aispool/ID                     the branch

At the end nothing is thrown away that a person could want: with a change, a new file, a commit, or a git
that cannot tell, both stay and the result names them.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from agent import log
from agent.tools.repository import GitError, git
from spool.files import make_folder
from spool.records import Record, Worktree
from spool.refusal import Refusal

if TYPE_CHECKING:
    from agent.tools.repository import WorktreePlan

RECORD = "worktree.json"


class _Made(Record):
    """sessions/ID/worktree.json.

    Args:
        top: the working copy it was made from.
        base: the commit it began with.
        ready: git was done with it.
    """

    top: str
    path: str
    branch: str
    base: str
    ready: bool


def prepare_worktree(session: Path, plan: WorktreePlan) -> Refusal | None:
    """Make the worktree of a task, or go on with the one it has; a refusal says why there is none.

    Raises:
        OSError: the disk; calling again goes on.
    """
    made = _Made.read(session / RECORD)
    try:
        if made is None or not made.ready or not plan.path.is_dir():
            _make(session, plan, made)
    except GitError as error:
        return Refusal(
            f"no worktree of {plan.top} could be made: {error}",
            "mend that, or leave worktree out",
            "worktree",
        )
    return _enter(plan)


def _make(session: Path, plan: WorktreePlan, before: _Made | None) -> None:
    make_folder(plan.path.parent)
    if before is not None and not before.ready:
        _remove(before, force=True)  # nothing of the tool ever ran in a half-made one
    tip = _tip(plan.top, plan.branch)
    if before is None and (tip or plan.path.exists()):
        raise GitError(f"the branch {plan.branch} or the folder {plan.path} is there already")
    if before is not None:
        _forget_missing(plan.top, before.path)
    kept = before is not None and bool(tip)
    made = before.model_copy(update={"ready": False}) if before is not None and tip else _begun(plan)
    made.write(session / RECORD)
    how = (plan.branch,) if kept else (made.base,)
    new = () if kept else ("-b", plan.branch)
    git(plan.top, "worktree", "add", "--quiet", *new, "--", str(plan.path), *how)
    made.model_copy(update={"ready": True}).write(session / RECORD)


def _begun(plan: WorktreePlan) -> _Made:
    try:
        base = git(plan.top, "rev-parse", "--quiet", "--verify", "HEAD^{commit}").strip()
    except GitError:
        raise GitError("it has no commit yet") from None
    return _Made(top=str(plan.top), path=str(plan.path), branch=plan.branch, base=base, ready=False)


def _tip(top: Path, branch: str) -> str:
    """Return the commit of a branch; empty when there is no such branch."""
    return git(top, "for-each-ref", "--format=%(objectname)", f"refs/heads/{branch}").strip()


def _enter(plan: WorktreePlan) -> Refusal | None:
    """Make the sub folder where there is none of it in the commit; a link in its place may not lead out."""
    if not Path(os.path.realpath(plan.cwd)).is_relative_to(os.path.realpath(plan.path)):
        return Refusal(
            f"{plan.cwd.relative_to(plan.path)} leads out of the repository by a link",
            "name another folder of it as parameters.cwd",
            "parameters.cwd",
        )
    try:
        plan.cwd.mkdir(mode=0o700, parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        return Refusal(
            f"{plan.cwd.relative_to(plan.path)} is no folder in the commit {plan.top} is at",
            "name another folder of it as parameters.cwd",
            "parameters.cwd",
        )
    return None


def finish_worktree(session: Path) -> Worktree | None:
    """Remove a task's worktree when nothing was changed in it; return it when it is kept.

    Args:
        session: the folder of the task that is over; nothing of its tool runs any more.
    """
    made = _Made.read(session / RECORD)
    if made is None:
        return None
    try:
        if not made.ready or _is_empty(made):
            _remove(made, force=not made.ready)
            if not _tip(Path(made.top), made.branch):
                return None
    except GitError as error:
        log.warning("worktree is kept", path=made.path, what=str(error))
    return Worktree(path=made.path, branch=made.branch)


def _is_empty(made: _Made) -> bool:
    """Tell whether it is as it was made; files that the repository ignores do not count."""
    path = Path(made.path)
    if _tip(Path(made.top), made.branch) not in {"", made.base}:
        return False
    if not path.is_dir():
        return True
    if git(path, "rev-parse", "--verify", "HEAD^{commit}").strip() != made.base:
        return False
    return not git(path, "status", "--porcelain", "-z", "--untracked-files=all", "--ignore-submodules=dirty")


def _remove(made: _Made, *, force: bool) -> None:
    """Remove the worktree, then the branch where it still is at its first commit.

    Raises:
        GitError: git sees something worth keeping, or cannot tell.
    """
    path, top = Path(made.path), Path(made.top)
    if path.is_dir():
        if not force:
            git(top, "worktree", "remove", "--", made.path)
        else:
            shutil.rmtree(path)
    _forget_missing(top, made.path)
    if _tip(top, made.branch) == made.base:
        git(top, "update-ref", "-d", f"refs/heads/{made.branch}", made.base)


def _forget_missing(top: Path, path: str) -> None:
    """Take git's note of a worktree away whose folder is gone; a half-made one is locked as well."""
    listed = git(top, "worktree", "list", "--porcelain", "-z").split("\0")
    if f"worktree {path}" in listed:
        git(top, "worktree", "remove", "--force", "--force", "--", path)
