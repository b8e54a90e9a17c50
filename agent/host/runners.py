"""The private configuration folder of each run, so that no two tasks share a login or a rotating token.

    configs/runners/TOOL/task-ID/      made for one task, kept for its conversation until its result is pruned
    configs/runners/TOOL/NAME/         prepared by a person, who logged in there once; where there are such,
                                       each attempt takes one of them for itself alone
    configs/runners/TOOL/.NAME.lease   which attempt has it: `ID NNN`
    configs/runners/TOOL/.talks/SID    the folder in which a conversation lies

A lease holds as long as sessions/ID exists and its attempt has no `exit`: no age, no process decides. All
leases of a tool change under one lock, held for moments.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from agent.tools.render import OURS
from spool.files import make_folder, put, read_regular, remove
from spool.names import is_task_id

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from spool.workspace import Workspace

_TALKS = ".talks"
_SESSION_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,199}")


@dataclass(frozen=True, slots=True)
class Busy:
    """Why an attempt cannot begin now, though it can later."""

    reason: str


@dataclass(frozen=True, slots=True)
class User:
    """Who asks for a folder: one attempt."""

    task_id: str
    attempt: int

    def encoded(self) -> bytes:
        """Return the lease's content."""
        return f"{self.task_id} {self.attempt:03d}\n".encode()


def root_of(workspace: Workspace, tool: str) -> Path:
    """Return the folder of a tool's runners."""
    return workspace.configs / "runners" / tool


def private(workspace: Workspace, tool: str, task_id: str) -> Path:
    """Return the folder of one task; nothing is made."""
    return root_of(workspace, tool) / f"{OURS}{task_id}"


def prepared(workspace: Workspace, tool: str) -> tuple[str, ...]:
    """Return the names of the folders that a person prepared, sorted."""
    try:
        with os.scandir(root_of(workspace, tool)) as entries:
            names = [entry.name for entry in entries if entry.is_dir()]
    except FileNotFoundError:
        return ()
    return tuple(sorted(name for name in names if not name.startswith((".", OURS))))


def capped(slots: Mapping[str, int], workspace: Workspace) -> dict[str, int]:
    """Return the limits by tool, with no more at once than there are prepared logins."""
    try:
        tools = os.listdir(workspace.configs / "runners")
    except FileNotFoundError:
        return dict(slots)
    logins = {tool: len(prepared(workspace, tool)) for tool in tools}
    return {**slots, **{tool: min(count, slots.get(tool, count)) for tool, count in logins.items() if count}}


def choose(
    workspace: Workspace, tool: str, user: User, *, before: Path | None = None, resume: bool = False
) -> Path | Busy:
    """Return the folder of an attempt, taken for it alone; asked again it returns the same.

    Args:
        workspace: where.
        tool: whose folder.
        user: the attempt.
        before: where the conversation lies that goes on, or the task's earlier attempt ran.
        resume: it goes on, and can only do so there.

    Raises:
        OSError: the disk; calling again goes on.
    """
    names = prepared(workspace, tool)
    own = private(workspace, tool, user.task_id)
    before = before if before is not None and before.is_dir() else None
    wanted: tuple[str, ...] = ()
    if before is not None and before != own and (resume or before.name in names):
        others = () if resume else names
        wanted = tuple(dict.fromkeys((before.name, *others)))
    elif names and not (resume and before == own):
        wanted = names
    elif own.is_dir() and _is_leased_out(workspace, tool, own.name):
        return Busy("another task goes on with its conversation")
    else:
        return own
    with _lock(root_of(workspace, tool)):
        held = [taken for taken in wanted if _lease(workspace, tool, taken) == user.encoded()]
        free = [other for other in wanted if not is_leased(workspace, tool, other)]
        if not (held or free):
            return Busy(_why(tool, wanted, resume=resume))
        name = held[0] if held else free[0]
        if not held:
            put(root_of(workspace, tool) / f".{name}.lease", user.encoded())
    return root_of(workspace, tool) / name


def _why(tool: str, wanted: tuple[str, ...], *, resume: bool) -> str:
    if resume:
        return f"its conversation lies in the login {wanted[0]} of {tool}, which is in use"
    return (
        f"all {len(wanted)} logins of {tool} are in use"
        if len(wanted) > 1
        else f"the only login of {tool} is in use"
    )


def is_leased(workspace: Workspace, tool: str, name: str) -> bool:
    """Tell whether an attempt that is not over has a folder, or the task that it was made for."""
    if name.startswith(OURS) and (workspace.sessions / name.removeprefix(OURS)).is_dir():
        return True
    return _is_leased_out(workspace, tool, name)


def _is_leased_out(workspace: Workspace, tool: str, name: str) -> bool:
    task_id, _, number = _lease(workspace, tool, name).decode(errors="replace").strip().partition(" ")
    session = workspace.sessions / task_id
    if not is_task_id(task_id) or not session.is_dir():
        return False
    return not (session / "attempts" / number / "exit").exists()


def _lease(workspace: Workspace, tool: str, name: str) -> bytes:
    try:
        return read_regular(root_of(workspace, tool) / f".{name}.lease", 1024)
    except FileNotFoundError:
        return b""


@contextmanager
def _lock(folder: Path) -> Iterator[None]:
    descriptor = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def remember(workspace: Workspace, tool: str, session_id: str | None, config_dir: str | None) -> None:
    """Note where a conversation lies, so that another task can go on with it; again is harmless.

    Raises:
        OSError: the disk.
    """
    if session_id is None or config_dir is None or not _SESSION_ID.fullmatch(session_id):
        return
    root, name = root_of(workspace, tool), Path(config_dir).name
    if Path(config_dir).parent != root or where_is(workspace, tool, session_id) == root / name:
        return
    make_folder(root / _TALKS)
    put(root / _TALKS / session_id, f"{name}\n".encode(), durable=False)


def where_is(workspace: Workspace, tool: str, session_id: str) -> Path | None:
    """Return the folder in which a conversation lies; None when we do not know it."""
    if not _SESSION_ID.fullmatch(session_id):
        return None
    root = root_of(workspace, tool)
    try:
        name = read_regular(root / _TALKS / session_id, 1024).decode(errors="replace").strip()
    except FileNotFoundError:
        return None
    return root / name if name and "/" not in name and (root / name).is_dir() else None


def seed(config_dir: Path, files: Mapping[str, bytes]) -> None:
    """Put a tool's own files into its folder; those that are there stay as they are.

    Raises:
        OSError: the disk.
        ValueError: a name leads out of the folder; links in there are a person's own.
    """
    make_folder(config_dir)
    for name, content in files.items():
        target = config_dir / name
        if ".." in target.parts or not target.is_relative_to(config_dir):
            raise ValueError(f"{name} leads out of {config_dir}")
        if os.path.lexists(target):
            continue
        make_folder(target.parent)
        put(target, content)


def forget_pruned(workspace: Workspace) -> tuple[str, ...]:
    """Remove the folders of tasks whose results were pruned, and what we know of their conversations.

    Only a tombstone says that a task is past: its id is never used again.

    Raises:
        OSError: the disk; what was removed so far is gone, and calling again goes on.
    """
    try:
        tools = sorted(os.listdir(workspace.configs / "runners"))
    except FileNotFoundError:
        return ()
    gone: list[str] = []
    for tool in tools:
        root = root_of(workspace, tool)
        if not root.is_dir():
            continue
        for name in sorted(os.listdir(root)):
            task_id = name.removeprefix(OURS)
            if name.startswith(OURS) and (workspace.tombstones / task_id).is_file():
                gone += _forget(workspace, tool, name)
        if (root / _TALKS).is_dir():
            for session_id in os.listdir(root / _TALKS):
                if not session_id.startswith(".") and where_is(workspace, tool, session_id) is None:
                    remove(root / _TALKS / session_id)
    return tuple(gone)


def _forget(workspace: Workspace, tool: str, name: str) -> list[str]:
    root = root_of(workspace, tool)
    task_id = name.removeprefix(OURS)
    if (workspace.sessions / task_id).exists() or (workspace.results / task_id).exists():
        return []  # taken to be run again while it was pruned
    with _lock(root):
        if is_leased(workspace, tool, name):
            return []  # another task goes on with its conversation
        shutil.rmtree(root / name)
        remove(root / f".{name}.lease")
    return [task_id]
