"""The waiting tasks of a host, as people see them: mirrored, and moved by people to ask for something."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent.fleet.shown import Known, inode, inodes_in, link_over
from spool.names import TASK_SUFFIX, WHY_SUFFIX, is_dropped_name, name_problem

if TYPE_CHECKING:
    from pathlib import Path

    from agent.fleet.layout import Mirror
    from agent.fleet.refused import Refused

KINDS = ("tasks", "held")


def mirrored_tasks(mirror: Mirror) -> dict[int, str]:
    """Return the inode numbers of mirrored waiting files, and where the host has them: `tasks` or `held`.

    Any other file in tasks/ is a person's. One found in the other of the two folders was moved there by a
    person, who so asks the host to hold or to release it.
    """
    return {number: kind for kind in KINDS for number in Known(mirror.shown / kind).inodes}


@dataclass(frozen=True, slots=True)
class _Kind:
    """One of the two folders: what is seen, its copy, what is ours in it, what is fit to be shown.

    Args:
        wanted: the inode numbers in the copy, by name.
    """

    seen: Path
    there: Path
    ours: Known
    wanted: dict[str, int]


def show(mirror: Mirror, missed: set[str], refused: Refused) -> set[str]:
    """Bring tasks/ and tasks/held/ up to date; return the names that are missing for the first time.

    Args:
        mirror: whose.
        missed: what the last round returned.
        refused: takes what cannot be shown.

    Raises:
        OSError: our own disk; calling again goes on.
    """
    there = mirror.raw / "tasks"
    tasks = _Kind(mirror.workspace.tasks, there, Known(mirror.shown / "tasks"), _fit(there, refused))
    there = there / "held"
    held = _Kind(mirror.workspace.held, there, Known(mirror.shown / "held"), _fit(there, refused))
    for kind in (tasks, held):
        kind.ours.add(kind.there / n for n, number in kind.wanted.items() if number not in kind.ours.inodes)
    known = tasks.ours.inodes | held.ours.inodes
    _add(tasks, held, known)
    _add(held, tasks, known)
    missing = _remove(tasks, held, known, missed) | _remove(held, tasks, known, missed)
    visible = {n for kind in (tasks, held) for n in inodes_in(kind.seen).values() if n is not None}
    for kind in (tasks, held):
        kind.ours.keep_only(visible | set(kind.wanted.values()))
    return missing


def _add(kind: _Kind, other: _Kind, known: set[int]) -> None:
    seen, moved = inodes_in(kind.seen), inodes_in(other.seen)
    only_ours = kind.ours.inodes - other.ours.inodes
    for name, number in kind.wanted.items():
        before = seen.get(name)
        if moved.get(name) in only_ours:
            continue  # a person moved it over there, and the host has not followed yet
        if before is None or (before in known and before != number):
            link_over(kind.there / name, kind.seen / name)


def _remove(kind: _Kind, other: _Kind, known: set[int], missed: set[str]) -> set[str]:
    missing = set()
    ours = {name for name, number in inodes_in(kind.seen).items() if number in known}
    for name in ours - kind.wanted.keys():
        elsewhere = name in other.wanted
        if elsewhere and inode(kind.seen / name) not in kind.ours.inodes:
            continue  # moved here by a person
        if elsewhere or name.endswith(WHY_SUFFIX) or name in missed:
            (kind.seen / name).unlink(missing_ok=True)
        else:
            missing.add(name)
    return missing


def _fit(folder: Path, refused: Refused) -> dict[str, int]:
    fit: dict[str, int] = {}
    for name, number in inodes_in(folder).items():
        if name == "held" or name.startswith("."):
            continue
        if (problem := name_problem(name)) is not None:
            refused.add(f"tasks/{name}", problem)
        elif number is None:
            refused.add(f"tasks/{name}", "it is not a regular file")
        elif is_dropped_name(name) or name.endswith(WHY_SUFFIX):
            fit[name] = number
    # a line about a task that is gone says nothing
    return {
        name: number
        for name, number in fit.items()
        if not name.endswith(WHY_SUFFIX) or name.removesuffix(WHY_SUFFIX) + TASK_SUFFIX in fit
    }
