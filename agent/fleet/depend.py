"""Dependencies across hosts: what a task on its way waits for, and what it is given instead.

What its own host knows is left to that host. What lies elsewhere is waited for here; once it has succeeded it
is taken out of the copy that the host is given (noted in `metadata.released`), and the files that the task
takes from it go along, in the place where the host itself would have put them: `ID.files/DEPENDENCY/path`.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from agent.fleet.outbox import MAX_TASK_BYTES, READY, Parcel
from agent.graph import cycles
from spool.files import fsync_folder, make_folder, move, put, read_regular, remove
from spool.records import State
from spool.strictjson import parse_object
from spool.submit import encode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from agent.fleet.whereabouts import Found
    from spool.task import Task

IDS_SHOWN: Final = 3


@dataclass(frozen=True, slots=True)
class Wait:
    """It cannot go yet."""

    reason: str


@dataclass(frozen=True, slots=True)
class Fail:
    """It never can."""

    state: State
    reason: str


@dataclass(frozen=True, slots=True)
class Go:
    """It can go; these needs are fulfilled elsewhere, and are taken out of it."""

    released: Mapping[str, Found]


def judge(
    task: Task, is_at_target: Callable[[str], bool], where: Callable[[str], Sequence[Found]]
) -> Wait | Fail | Go:
    """Decide about one task's needs.

    Args:
        task: it.
        is_at_target: whether its host has, or will have, the task of an id, and sees to it itself.
        where: what the rest of the fleet knows of an id.
    """
    released: dict[str, Found] = {}
    waits: list[str] = []
    for need in task.needs:
        if is_at_target(need):
            continue
        found = where(need)
        bad = next((one for one in found if one.state.is_over and one.state is not State.SUCCEEDED), None)
        if bad is not None:
            return Fail(State.DEPENDENCY_FAILED, f"it depends on {need}, which {_ended(bad)}")
        going = next((one for one in found if not one.state.is_over), None)
        if going is not None:
            waits.append(f"{need}, which is {going.state} {going.where}")
        elif not found:
            waits.append(f"{need}, which nobody in the fleet knows")
        else:
            # the one whose files are still there
            released[need] = next((one for one in found if one.folder is not None), found[0])
    if waits:
        more = f" and {len(waits) - IDS_SHOWN} more" if len(waits) > IDS_SHOWN else ""
        return Wait(f"it depends on {'; '.join(waits[:IDS_SHOWN])}{more}")
    return Go(released)


def _ended(found: Found) -> str:
    return f"ended {found.where} as {found.state}"


def in_cycles(tasks: Iterable[tuple[str, Task]]) -> dict[str, str]:
    """Return the tasks that wait for each other for ever, and how, by id."""
    needs = {task_id: task.needs for task_id, task in tasks}
    found = cycles(needs, lambda task_id: needs.get(task_id, ()))
    return {task_id: " → ".join((*cycle, cycle[0])) for task_id, cycle in found.items()}


def release(parcel: Parcel, task: Task, go: Go, *, without_host: bool) -> Fail | None:
    """Make the copy that the host is given, and mark the task as ready; doing it again changes nothing.

    Args:
        parcel: where.
        task: it.
        go: the decision.
        without_host: take `host` out: it names the host in the fleet, which calls itself otherwise.

    Raises:
        FileNotFoundError: it was moved at this moment.
    """
    if go.released or without_host:
        for text in task.inputs:
            task_id, _, path = text.partition(":")
            if task_id in go.released and (fail := _hand_over(parcel, go.released[task_id], task_id, path)):
                return fail
        fields = parse_object(read_regular(parcel.task, MAX_TASK_BYTES))
        make_folder(parcel.released.parent)
        put(parcel.released, encode(_released_fields(fields, go.released, without_host=without_host)))
    else:
        remove(parcel.released)  # made for another host, before it was given to this one
    parcel.mark(READY)
    return None


def _released_fields(
    fields: dict[str, Any], released: Mapping[str, Found], *, without_host: bool
) -> dict[str, Any]:
    changed = dict(fields)
    if released:
        changed["dependencies"] = [d for d in fields.get("dependencies", ()) if d not in released]
        changed["inputs"] = [i for i in fields.get("inputs", ()) if i.partition(":")[0] not in released]
        notes = [
            {"task_id": need, "host": found.host or None, "state": str(found.state)}
            for need, found in sorted(released.items())
        ]
        changed["metadata"] = {**fields.get("metadata", {}), "released": notes}
    if without_host:
        changed.pop("host", None)
        changed["metadata"] = {**changed.get("metadata", {}), "host": fields.get("host")}
    return changed


def _hand_over(parcel: Parcel, found: Found, task_id: str, path: str) -> Fail | None:
    """Copy a file or a folder of a result into what goes with the task, whole under its name or absent."""
    target = parcel.files / task_id / path
    if target.exists():
        return None
    text = f"{task_id}:{path}"
    if found.folder is None:
        return Fail(State.FAILED, f"input not found: {text}: the result was pruned")
    root = found.folder.resolve()
    source = (root / path).resolve()
    if not source.is_relative_to(root):
        return Fail(State.FAILED, f"input {text} leaves the result's folder: name a path inside it")
    if not source.exists():
        return Fail(State.FAILED, f"input not found: {text}: see what {found.folder} holds")
    _copy(source, target)
    return None


def _copy(source: Path, target: Path) -> None:
    make_folder(target.parent)
    temporary = target.with_name(f".{target.name}.part")
    if source.is_dir():
        shutil.copytree(source, temporary, symlinks=True, dirs_exist_ok=True)
        fsync_folder(temporary)
    else:
        shutil.copyfile(source, temporary)
    move(temporary, target)
