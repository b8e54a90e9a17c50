"""A host and its collector: who collects, and which results it does not hold yet.

configs/enrolled.json makes a workspace an enrolled one. From then on each result is marked in
results/.uncollected/ before it is moved to results/, and keeps its mark until the collector has
acknowledged exactly this result, by the SHA-256 of its result.json. What is marked is never pruned; a mark
without a result harms nothing. Results that were there before are marked once, and then `.complete` says so.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from spool.files import fsync_folder, make_folder, put, put_new, read_regular
from spool.names import is_task_id, new_ulid
from spool.records import Record, Utc, utc_now
from spool.task import Name, Ulid  # noqa: TC001 - pydantic reads the annotations

if TYPE_CHECKING:
    from collections.abc import Mapping

    from spool.workspace import Workspace

_COMPLETE = ".complete"


class EnrolmentError(Exception):
    """The workspace is another collector's; the message says what to do."""


class Enrolment(Record):
    """configs/enrolled.json.

    Args:
        collector: its name.
        workspace_id: a ULID, by which it knows this workspace from another one in the same place.
    """

    collector: Name
    workspace_id: Ulid
    since: Utc


def is_enrolled(workspace: Workspace) -> bool:
    """Tell whether a collector holds copies of the results, also when nobody can read who."""
    return os.path.lexists(workspace.enrolment)


def enrolment_of(workspace: Workspace) -> Enrolment | None:
    """Return who collects; None when nobody does.

    Raises:
        DamagedError: configs/enrolled.json is there, but says nothing that can be used.
    """
    return Enrolment.read(workspace.enrolment)


def enrol(workspace: Workspace, collector: str, workspace_id: str | None = None) -> Enrolment:
    """Make a workspace a collector's; doing it twice changes nothing.

    Raises:
        EnrolmentError: another collector has it, or this one under another id.
        DamagedError: configs/enrolled.json cannot be used.
    """
    wanted = Enrolment(collector=collector, workspace_id=workspace_id or new_ulid(), since=utc_now())
    make_folder(workspace.uncollected)
    try:
        put_new(workspace.enrolment, wanted.encoded())
    except FileExistsError:
        present = enrolment_of(workspace)
        if present is None or present.collector != collector:
            whose = f"is collected by {present.collector}" if present else "was enrolled at this moment"
            raise EnrolmentError(
                f"{workspace.root} {whose}: remove {workspace.enrolment} to give it to another collector"
            ) from None
        if workspace_id not in {None, present.workspace_id}:
            raise EnrolmentError(
                f"{workspace.root} is known to {collector} as {present.workspace_id}, not {workspace_id}: "
                "it may be another workspace than the one that was enrolled"
            ) from None
        return present
    return Enrolment.model_validate_json(wanted.encoded())


def mark(workspace: Workspace, task_id: str, sha256: str) -> None:
    """Note that a result is not collected.

    Raises:
        OSError: the disk; the result stays where it is.
    """
    try:
        put(workspace.uncollected / task_id, f"{sha256}\n".encode())
    except FileNotFoundError:
        make_folder(workspace.uncollected)
        put(workspace.uncollected / task_id, f"{sha256}\n".encode())


def marked(workspace: Workspace) -> list[str]:
    """Return the ids of the results that are not collected."""
    try:
        return [name for name in os.listdir(workspace.uncollected) if is_task_id(name)]
    except FileNotFoundError:
        return []


def acknowledge(workspace: Workspace, collected: Mapping[str, str]) -> None:
    """Take away the marks of the results that the collector holds; those of later ones stay.

    Args:
        workspace: where.
        collected: the SHA-256 of result.json, by id.
    """
    for task_id, sha256 in collected.items():
        path = workspace.uncollected / task_id
        with suppress(FileNotFoundError):
            if read_regular(path, 4096).strip() == sha256.encode():
                path.unlink()
    if collected:
        fsync_folder(workspace.uncollected)


def is_complete(workspace: Workspace, enrolment: Enrolment) -> bool:
    """Tell whether every result that was there at the enrolment has been marked."""
    try:
        known = read_regular(workspace.uncollected / _COMPLETE, 4096)
    except FileNotFoundError:
        return False
    return known.strip() == enrolment.workspace_id.encode()


def say_complete(workspace: Workspace, enrolment: Enrolment) -> None:
    """Note that every result that was there at the enrolment has been marked."""
    put(workspace.uncollected / _COMPLETE, f"{enrolment.workspace_id}\n".encode())
