"""What follows from knowing how a run turned out: its label, its memories, and what is learned from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent import audit
from agent.collab import labels, learning, memory, runs
from agent.collab.metrics import publish, read_runs
from agent.collab.roles import load
from agent.config import ConfigError
from spool.records import utc_now

if TYPE_CHECKING:
    from datetime import datetime

    from agent.collab.labels import By, Label
    from spool.workspace import Workspace


class LabelError(Exception):
    """The run cannot be labelled; the message says why."""


@dataclass(frozen=True, slots=True)
class Learned:
    """What a label led to.

    Args:
        label: None when it was taken back and no check has one either.
        memories: how many got its outcome.
        tuned: proposals that were applied because `auto_tune` is on.
        problem: why roles.toml could not be looked at or changed; the label stands all the same.
    """

    label: Label | None
    memories: int
    tuned: tuple[str, ...] = ()
    problem: str | None = None


def label(
    workspace: Workspace,
    task_id: str,
    *,
    good: bool,
    by: By,
    who: str,
    why: str = "",
    now: datetime | None = None,
) -> Learned:
    """Say how a run turned out; a check's word never replaces a person's.

    Raises:
        LabelError: there is no such run, or its files were pruned.
        OSError: the label cannot be written.
    """
    folder = runs.folder_of(workspace, task_id)
    if folder is None:
        raise LabelError(
            f"there is no collaborative run {task_id} in {workspace.root}: `aispool ls --all` lists the ids; "
            "a run whose result was pruned can no longer be labelled"
        )
    made = labels.make(runs.read(folder), good=good, by=by, who=who, why=why, now=now or utc_now())
    labels.write(workspace, made)
    audit.append(workspace, "labelled", who=who, task_id=task_id, good=good, by=by)
    return _follow(workspace, task_id)


def take_back(workspace: Workspace, task_id: str, *, who: str) -> Learned:
    """Remove what a person said of a run.

    Raises:
        LabelError: nobody said anything.
        OSError: the label cannot be removed.
    """
    if not labels.take_back(workspace, task_id):
        raise LabelError(f"nobody has labelled {task_id}")
    audit.append(workspace, "labelled", who=who, task_id=task_id, good=None, by="person")
    return _follow(workspace, task_id)


def _follow(workspace: Workspace, task_id: str) -> Learned:
    """Bring in line with the label that counts now what depends on it."""
    counts = labels.read_one(workspace, task_id)
    memories = memory.settle(workspace, task_id, _outcome(counts))
    publish(workspace)
    try:
        return Learned(counts, memories, _auto_tuned(workspace))
    except (ConfigError, learning.TuneError) as error:
        return Learned(counts, memories, problem=str(error))


def _outcome(counts: Label | None) -> memory.Outcome | None:
    if counts is None:
        return None
    return "good" if counts.good else "bad"


def _auto_tuned(workspace: Workspace) -> tuple[str, ...]:
    roles = load(workspace)
    settings = learning.settings_of(workspace, roles)
    if not settings.auto_tune:
        return ()
    found = proposals(workspace)
    return learning.apply(workspace, found, who="auto_tune").names if found else ()


def proposals(workspace: Workspace) -> list[learning.Proposal]:
    """Return what the evidence of this workspace proposes.

    Raises:
        ConfigError: roles.toml cannot be used.
    """
    roles = load(workspace)
    settings = learning.settings_of(workspace, roles)
    return learning.proposals(roles, settings, labels.read_all(workspace).known, read_runs(workspace))
