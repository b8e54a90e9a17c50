"""What lies in a workspace, as one list: for people, scripts and other programs. It only reads."""

from __future__ import annotations

import heapq
import json
import os
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from spool.claim import claims_of
from spool.files import read_regular
from spool.names import ERROR_SUFFIX, TASK_SUFFIX, WHY_SUFFIX, is_dropped_name, is_task_id, stem_of
from spool.records import DamagedError, Result, State, Status
from spool.refusal import Refusal
from spool.results import RESULT, STATUS, read_task, read_tombstone
from spool.task import Task, parse_task
from spool.workspace import AGENT_PREFIX

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from spool.claim import Claim
    from spool.workspace import Workspace


@dataclass(frozen=True, slots=True)
class View:
    """One task, wherever it lies.

    Args:
        place: tasks, held, sessions or results.
        path: the dropped file, or the folder.
        changed_at: when it came, or came into its state.
    """

    task_id: str
    state: State
    reason: str
    place: str
    path: Path
    tool: str = ""
    command: str = ""
    name: str = ""
    changed_at: datetime | None = None
    task: Task | None = field(default=None, repr=False)
    status: Status | None = field(default=None, repr=False)
    result: Result | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class RejectedFile:
    """One refused file and its explanation's path."""

    name: str
    path: Path
    explanation: Path


@dataclass(frozen=True, slots=True)
class Why:
    """The one line that the agent writes about a waiting task: `ID STATE: reason`."""

    task_id: str
    state: State
    reason: str

    def line(self) -> str:
        """Return the file's content."""
        reason = " ".join(self.reason.split())
        return f"{self.task_id} {self.state}: {reason}\n"

    @classmethod
    def read(cls, path: Path) -> Why | None:
        """Return it, or None when there is none that can be read."""
        try:
            line = read_regular(path, 1 << 16).decode()
        except (OSError, UnicodeDecodeError):
            return None
        head, colon, reason = line.strip().partition(": ")
        task_id, _, state = head.partition(" ")
        if not colon or not is_task_id(task_id) or state not in set(State):
            return None
        return cls(task_id, State(state), reason)


def waiting(workspace: Workspace) -> Iterator[View]:
    """Yield what lies in the drop folder, by name: the waiting, then the held."""
    for folder, place in ((workspace.tasks, "tasks"), (workspace.held, "held")):
        for name in sorted(n for n in os.listdir(folder) if is_dropped_name(n)):
            view = waiting_file(folder / name, place)
            if view is not None:
                yield view


def waiting_file(path: Path, place: str) -> View | None:
    """Return one dropped file as a view; None when it is gone."""
    why = Why.read(path.with_name(stem_of(path.name) + WHY_SUFFIX))
    try:
        arrived_at = datetime.fromtimestamp(path.lstat().st_ctime, UTC)
        parsed = parse_task(read_regular(path, 1 << 26))
    except FileNotFoundError:
        return None
    except OSError as error:
        parsed = Refusal(str(error), "put a regular file there")
    state = State.HELD if place == "held" else State.QUEUED
    reason = "on hold" if place == "held" else "no agent has looked at it yet"
    if why is not None and place == "tasks":
        state, reason = why.state, why.reason
    if isinstance(parsed, Refusal):
        task_id = why.task_id if why else path.name.removesuffix(TASK_SUFFIX)
        return View(task_id, state, parsed.sentence(), place, path, name=path.name, changed_at=arrived_at)
    task, _warnings = parsed
    task_id = task.task_id or (why.task_id if why else path.name.removesuffix(TASK_SUFFIX))
    return View(task_id, state, reason, place, path, task.tool, task.command, path.name, arrived_at, task)


def in_session(workspace: Workspace) -> Iterator[View]:
    """Yield what is claimed, by id."""
    with os.scandir(workspace.sessions) as entries:
        names = sorted(e.name for e in entries if is_task_id(e.name))
    for name in names:
        view = session(workspace.sessions / name)
        if view is not None:
            yield view
    for agent in workspace.agents():
        for claim in claims_of(agent):
            yield claimed(agent, claim)


def claimed(agent: Path, claim: Claim) -> View:
    """Return an agent's claim that it has not published yet as a view."""
    reason = f"claimed by {agent.name.removeprefix(AGENT_PREFIX)}, not launched yet"
    return View(claim.task_id, State.QUEUED, reason, "sessions", claim.folder)


def session(folder: Path) -> View | None:
    """Return one session as a view; None when it is gone."""
    try:
        status = Status.read(folder / STATUS)
        task = read_task(folder) if status is None else None
    except (DamagedError, OSError) as error:
        return View(folder.name, State.RUNNING, str(error), "sessions", folder)
    if status is not None:
        return View(
            task_id=folder.name,
            state=status.state,
            reason=status.reason,
            place="sessions",
            path=folder,
            tool=status.tool,
            command=status.command,
            name=status.source_name,
            changed_at=status.since,
            status=status,
        )
    if task is None:
        return None
    return View(
        folder.name, State.QUEUED, "about to be launched", "sessions", folder, task.tool, task.command,
        task.source_name, task.submitted_at, task,
    )  # fmt: skip


def finished(workspace: Workspace, most: int | None) -> list[View]:
    """Return the latest results, oldest first.

    Args:
        workspace: where.
        most: how many; None for all.
    """
    with os.scandir(workspace.results) as entries:
        dated = ((e.stat(follow_symlinks=False).st_mtime_ns, e.name) for e in entries if _is_result(e))
        latest = sorted(dated) if most is None else sorted(heapq.nlargest(most, dated))
    views = (result(workspace, name) for _, name in latest)
    return [view for view in views if view is not None]


def _is_result(entry: os.DirEntry[str]) -> bool:
    return is_task_id(entry.name) and entry.is_dir(follow_symlinks=False)


def result(workspace: Workspace, task_id: str) -> View | None:
    """Return a task that is over as a view; a pruned one is what its tombstone says."""
    folder = workspace.results / task_id
    try:
        record = Result.read(folder / RESULT)
        tombstone = read_tombstone(workspace, task_id) if record is None else None
    except (DamagedError, OSError) as error:
        return View(task_id, State.LOST, str(error), "results", folder)
    if record is not None:
        return View(
            task_id=task_id,
            state=record.state,
            reason=record.reason,
            place="results",
            path=folder,
            tool=record.tool,
            command=record.command,
            name=record.source_name,
            changed_at=record.finished_at,
            result=record,
        )
    if tombstone is None:
        return None
    path = workspace.tombstones / task_id
    return View(
        task_id, tombstone.state, "its result was pruned", "results", path, changed_at=tombstone.finished_at
    )


def find(workspace: Workspace, task_id: str) -> View | None:
    """Return where a task stands; None when nobody knows the id.

    A waiting task is found by its id, or by the stem of its file while no agent has given it one.
    """
    if not is_task_id(task_id):
        return None
    for _ in range(3):  # it may move between two looks: tasks → sessions → results
        view = session(workspace.sessions / task_id) or result(workspace, task_id)
        view = view or next((v for v in waiting(workspace) if v.task_id == task_id), None)
        view = view or next((v for v in in_session(workspace) if v.task_id == task_id), None)
        if view is not None:
            return view
    return None


def rejected(workspace: Workspace) -> list[RejectedFile]:
    """Return what was refused, by name."""
    names = sorted(
        n for n in os.listdir(workspace.rejected) if n.endswith(ERROR_SUFFIX) and not n.startswith(".")
    )
    return [
        RejectedFile(file, workspace.rejected / file, workspace.rejected / n)
        for n in names
        if (file := _explained(workspace.rejected / n))
    ]


def _explained(explanation: Path) -> str | None:
    """Return the name of the file that is explained; its explanation's own name may be shortened."""
    plain = explanation.name.removesuffix(ERROR_SUFFIX)
    if os.path.lexists(explanation.with_name(plain)):
        return plain
    try:
        name = json.loads(read_regular(explanation, 1 << 20))["file"]
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError):
        return plain
    return name if isinstance(name, str) and "/" not in name else plain
