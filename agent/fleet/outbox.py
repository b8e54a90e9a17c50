"""Tasks on their way to a host: one folder each, that moves by one rename.

    any/.outbox/tasks/ID    accepted, and no host was chosen yet
    HOST/.outbox/tasks/ID   for this host, which provably does not have it
    HOST/.sent/tasks/ID     this host has it, or may have it: the rename comes before the first byte is sent

The folder holds `ID.json`, whose second name people see in tasks/, `ID.files/` (what goes with it),
`released/ID.json` (what the host is given when that is something else), `source/NAME.json` (as it was
dropped), `note.json`, and marks: `ready` when nothing but the host is waited for, `held`, `move`.
"""

from __future__ import annotations

import errno
import os
import shutil
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from spool.exclusive import move_new
from spool.files import fsync_folder, make_folder, put, read_regular, remove
from spool.names import FILES_SUFFIX, TASK_SUFFIX, is_task_id, is_ulid, stem_of
from spool.records import Record, Utc
from spool.refusal import Refusal
from spool.task import Task, parse_task

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from pathlib import Path

    from agent.fleet.layout import Mirror

NOTE: Final = "note.json"
READY: Final = "ready"
HELD: Final = "held"
MOVE: Final = "move"
SOURCE: Final = "source"
RELEASED: Final = "released"
MOST_ASKED: Final = 200
"""So many tasks, and as many controls, are asked after in one round."""
MAX_TASK_BYTES: Final = 64 << 20
_GONE: Final = ".~"
"""No id begins with a tilde, so this is no claim."""


class Note(Record):
    """What the collector knows of a task on its way.

    Args:
        dropped_for: the folder below fleet/ into which it was dropped: a host's name, or `any`.
        not_on: hosts that had it before.
        pushed_at: when it was first given to the host, as far as we know.
        seen_at: when the host was first seen to have it.
    """

    source_name: str
    dropped_for: str
    accepted_at: Utc
    not_on: tuple[str, ...] = ()
    pushed_at: Utc | None = None
    seen_at: Utc | None = None


@dataclass(frozen=True, slots=True)
class Parcel:
    """One task on its way."""

    folder: Path

    @property
    def task_id(self) -> str:
        """Return its id."""
        return self.folder.name

    @property
    def task(self) -> Path:
        """The task as it was accepted; never written again."""
        return self.folder / f"{self.task_id}{TASK_SUFFIX}"

    @property
    def released(self) -> Path:
        """What the host is given, where that is not the task as it was accepted."""
        return self.folder / RELEASED / self.task.name

    @property
    def outgoing(self) -> Path:
        """What the host is given."""
        return self.released if self.released.exists() else self.task

    @property
    def files(self) -> Path:
        """What goes with it; it may be missing."""
        return self.folder / f"{self.task_id}{FILES_SUFFIX}"

    @property
    def host(self) -> str:
        """Return the name of the folder below fleet/ in which it lies: a host's, or `any`."""
        return self.folder.parents[2].name

    @property
    def is_sent(self) -> bool:
        """Tell whether the host may have it."""
        return self.folder.parents[1].name == ".sent"

    def has(self, mark: str) -> bool:
        """Tell whether it bears a mark."""
        return os.path.lexists(self.folder / mark)

    def mark(self, mark: str, content: bytes = b"") -> None:
        """Put a mark on it.

        Raises:
            FileNotFoundError: it was moved at this moment.
        """
        put(self.folder / mark, content)

    def unmark(self, mark: str) -> None:
        """Take a mark off."""
        remove(self.folder / mark)

    def note(self) -> Note | None:
        """Return what is noted of it; None when it was moved at this moment."""
        return Note.read(self.folder / NOTE)

    def note_as_given(self, now: datetime) -> None:
        """Note that its host was given it, when that is new; it may be elsewhere by now."""
        with suppress(FileNotFoundError):
            note = self.note()
            if note is not None and note.pushed_at is None:
                note.model_copy(update={"pushed_at": now}).write(self.folder / NOTE, durable=False)

    def content(self) -> bytes:
        """Return the bytes that the host is given."""
        return read_regular(self.outgoing, MAX_TASK_BYTES)

    def accepted(self) -> Task | None:
        """Return the task as it was accepted; None when it was moved at this moment.

        Raises:
            OSError: it cannot be read.
        """
        try:
            parsed = parse_task(read_regular(self.task, MAX_TASK_BYTES))
        except FileNotFoundError:
            return None
        if isinstance(parsed, Refusal):
            raise OSError(errno.EIO, f"damaged: {parsed.sentence()}", str(self.task))
        return parsed[0]


def parcels(folder: Path) -> Iterator[Parcel]:
    """Yield what lies in one `.outbox/tasks` or `.sent/tasks`, by id."""
    try:
        names = sorted(os.listdir(folder))
    except FileNotFoundError:
        return
    for name in names:
        if is_task_id(name):
            yield Parcel(folder / name)


def unsettled(mirror: Mirror) -> list[str]:
    """Return the files on a host that tell what became of what was given to it, below its workspace."""
    tasks = [f"inbox/tasks/{p.task.name}" for p in parcels(mirror.sent.tasks) if not _is_seen(p)]
    try:
        controls = sorted(name for name in os.listdir(mirror.sent_controls) if is_ulid(stem_of(name)))
    except FileNotFoundError:
        controls = []
    return [*tasks[:MOST_ASKED], *(f"inbox/.done/control/{stem_of(name)}" for name in controls[:MOST_ASKED])]


def _is_seen(parcel: Parcel) -> bool:
    note = parcel.note()
    return note is not None and note.seen_at is not None


def transfer(parcel: Parcel, folder: Path) -> Parcel | None:
    """Move a task into another such folder, for good; None when it is gone, or one of its id is there."""
    make_folder(folder)
    target = folder / parcel.task_id
    try:
        move_new(parcel.folder, target)
    except (FileNotFoundError, FileExistsError):
        return None
    return Parcel(target)


def discard(parcel: Parcel) -> None:
    """Remove a task that is over, or lies elsewhere; a removal that was cut off is finished by `sweep`."""
    gone = parcel.folder.with_name(_GONE + parcel.task_id)
    shutil.rmtree(gone, ignore_errors=True)
    try:
        move_new(parcel.folder, gone)
    except FileNotFoundError:
        return
    shutil.rmtree(gone, ignore_errors=True)


def sweep(folder: Path) -> None:
    """Finish removals that were cut off."""
    try:
        names = os.listdir(folder)
    except FileNotFoundError:
        return
    left = [name for name in names if name.startswith(_GONE)]
    for name in left:
        shutil.rmtree(folder / name, ignore_errors=True)
    if left:
        fsync_folder(folder)
