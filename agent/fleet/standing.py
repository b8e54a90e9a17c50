"""Whether what a host shows is the workspace that we know: the guard before anything is believed or removed.

An unmounted home, an emptied disk and a second workspace in the place of the first all look like "everything
is gone". The workspace says who it is (configs/enrolled.json, VERSION), and until it does, nothing changes
here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from spool.enrol import enrolment_of
from spool.files import NotRegularError, TooLargeError, put, read_regular, remove
from spool.names import new_ulid
from spool.records import DamagedError
from spool.workspace import PROTOCOL_VERSION, Workspace

if TYPE_CHECKING:
    from agent.fleet.layout import Mirror

KNOWN: Final = ".workspace-id"
"""Which workspace this host's folder is a mirror of."""
ASKED: Final = ".workspace-id.asked"
"""The id under which the host was asked to enrol its workspace."""


NOT_THERE: Final = (
    "its workspace is not there (no VERSION): is its disk mounted, and the path in hosts.toml right? "
    "Nothing was changed here"
)


@dataclass(frozen=True, slots=True)
class Standing:
    """What the last look at a host says.

    Args:
        problem: why nothing of it is believed, as one sentence; None when it is the workspace that we know.
        enrolled: its results are kept for us until we acknowledge them.
    """

    problem: str | None
    enrolled: bool


def look(mirror: Mirror, collector: str) -> Standing:
    """Judge the copy that was just made.

    Raises:
        OSError: our own disk.
    """
    there = Workspace(mirror.raw)
    known = _read(mirror, KNOWN)
    try:
        problem = _version_problem(there)
        enrolment = enrolment_of(there) if problem is None else None
    except DamagedError:
        return Standing("its configs/enrolled.json is damaged: `aispool fleet enrol` there", enrolled=False)
    if problem is not None:
        return Standing(problem, enrolled=False)
    if enrolment is None:
        if known is not None:
            problem = (
                f"its workspace is not enrolled any more, so it is not the one mirrored here ({known}); "
                f"if it is, put its configs/enrolled.json back, else remove {mirror.root}/{KNOWN}"
            )
        return Standing(problem, enrolled=False)
    if enrolment.collector != collector:
        return Standing(
            f"it is collected by {enrolment.collector}, not by {collector}: one host has one collector; "
            "remove configs/enrolled.json there to change that",
            enrolled=False,
        )
    if known is None:
        put(mirror.root / KNOWN, enrolment.workspace_id.encode())
        remove(mirror.root / ASKED)
    elif known != enrolment.workspace_id:
        return Standing(
            f"another workspace is there now ({enrolment.workspace_id}, not {known}); "
            f"if that is right, move {mirror.root} away and it is mirrored anew",
            enrolled=False,
        )
    return Standing(None, enrolled=True)


def id_to_ask_for(mirror: Mirror) -> str:
    """Return the id under which the host shall enrol its workspace, always the same one."""
    asked = _read(mirror, ASKED)
    if asked is None:
        asked = new_ulid()
        put(mirror.root / ASKED, asked.encode())
    return asked


def _version_problem(there: Workspace) -> str | None:
    try:
        version = int(read_regular(there.version_file, 64))
    except FileNotFoundError:
        return NOT_THERE
    except (ValueError, NotRegularError, TooLargeError):
        return "its VERSION does not hold a number: mend it there"
    if version > PROTOCOL_VERSION:
        return (
            f"its workspace is of protocol {version}, this aispool knows {PROTOCOL_VERSION}: upgrade it here"
        )
    return None


def _read(mirror: Mirror, name: str) -> str | None:
    try:
        return read_regular(mirror.root / name, 256).decode().strip() or None
    except FileNotFoundError:
        return None
