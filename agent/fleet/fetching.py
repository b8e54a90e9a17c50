"""Results of a host: fetched, verified by checksum, validated, published, and only then acknowledged.

A host marks what was not collected (results/.uncollected/ID holds the digest of its result.json), so nothing
else of its past is looked at. A result that is cut off on its way stays in `.incoming` and goes on there. It
is renamed to results/ID when a second look at the host found every file equal and the disk has it, and the
host is told after that: killed anywhere, it is fetched again or told again, and never lost.
"""

from __future__ import annotations

import ctypes
import os
import re
import shutil
import time
from typing import TYPE_CHECKING, Final

from agent.fleet import controls
from agent.fleet.copying import copy, size_bytes
from agent.fleet.incoming import read_fetched, strange_entry
from agent.fleet.logs import Log
from agent.fleet.rsync import PARTIAL, listed
from agent.fleet.shown import names_in
from agent.fleet.verifying import verify
from spool.control import MOST_COLLECTED
from spool.enrol import marked
from spool.exclusive import move_new
from spool.files import NotRegularError, TooLargeError, fsync_folder, make_folder, read_regular, remove
from spool.names import is_task_id, new_ulid
from spool.results import digest_of_result
from spool.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from pathlib import Path

    from agent.fleet.layout import Mirror
    from agent.fleet.peer import Peer
    from agent.fleet.refused import Refused

BATCH: Final = 200
"""Results on their way at once: a cut costs no more than these, and each batch is told to the host."""
TELL_AGAIN_S: Final = 600.0
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")


def collect(peer: Peer, refused: Refused) -> int:
    """Fetch every result that its host has marked; return how many were published.

    Raises:
        TransferError: the connection broke; what was published stays, the rest goes on the next time.
        CallError: a program is missing here.
        OSError: our own disk.
    """
    mirror = peer.mirror
    marks = _marks(mirror, refused)
    peer.acknowledged = {task_id: told for task_id, told in peer.acknowledged.items() if task_id in marks}
    held = {task_id: digest for task_id in marks if (digest := _held(mirror, task_id)) is not None}
    same = {task_id: digest for task_id, digest in held.items() if digest == marks[task_id]}
    _acknowledge(peer, same)
    wanted = sorted(marks.keys() - same.keys())
    _clean(mirror, wanted)
    published = 0
    for first in range(0, len(wanted), BATCH):
        batch = _fetch(peer, wanted[first : first + BATCH], marks, refused)
        _publish(mirror, batch)
        _acknowledge(peer, batch)
        published += len(batch)
    return published


def fetch_logs(peer: Peer, names: Iterable[str]) -> set[str]:
    """Fetch and gather some logs; return those that do not go on yet.

    Raises:
        TransferError: the connection broke.
        CallError: a program is missing here.
        OSError: our own disk.
    """
    names = sorted(names)
    if not names:
        return set()
    make_folder(peer.mirror.incoming / "logs")
    ended = copy(peer, _generations(names), f"--partial-dir={PARTIAL}", "--itemize-changes")
    changed = {_name_of(name) for _, name in listed(ended.out)} & set(names)
    return gather_logs(peer, peer.mirror.incoming, names, changed)


def gather_logs(peer: Peer, copied: Path, names: Collection[str], changed: Collection[str]) -> set[str]:
    """Append what was just fetched to the collected logs; return those that do not go on yet.

    rsync lists first and reads later, so a log may be rotated in between: then its NAME.1 is not, on a second
    look, what it was on the first, and the log waits for the next round.

    Args:
        peer: the host.
        copied: the folder that holds our copy of its logs/.
        names: the logs.
        changed: those of them that changed there since the last copy.

    Raises:
        TransferError: the connection broke.
        CallError: a program is missing here.
        OSError: our own disk.
    """
    settled = peer.shelf.settled_logs
    settled.difference_update(changed)
    behind: set[str] = set()
    if changed:
        rotated = [f"logs/{name}.1" for name in sorted(changed)]
        looked = copy(peer, rotated, "--dry-run", "--itemize-changes", target=copied)
        behind = {_name_of(name) for change, name in listed(looked.out) if not change.startswith(".d")}
    for name in names:
        if name in settled or name in behind:
            continue
        if Log(peer.mirror, copied / "logs", name).gather():
            settled.add(name)
        else:
            behind.add(name)
    return behind


def _generations(names: Iterable[str]) -> list[str]:
    return [f"logs/{name}{generation}" for name in names for generation in ("", ".1")]


def _name_of(entry: bytes) -> str:
    """Return the log of which `logs/NAME` or `logs/NAME.1` is a generation."""
    return os.fsdecode(entry).removeprefix("logs/").removesuffix(".1")


def forget_logs(peer: Peer, live: Collection[str]) -> None:
    """Remove the copies of logs that do not grow any more; call it when all results are published."""
    folder = peer.mirror.incoming / "logs"
    for name in names_in(folder):
        if name.removesuffix(".1") not in live and name != PARTIAL:
            (folder / name).unlink(missing_ok=True)
            peer.shelf.settled_logs.discard(name.removesuffix(".1"))


def log_name(tool: str, task_id: str) -> str | None:
    """Return the name of a task's log; None when the tool's name is none."""
    return f"{tool}-{task_id}.log" if is_task_id(tool) else None


def _marks(mirror: Mirror, refused: Refused) -> dict[str, str]:
    marks = {}
    there = Workspace(mirror.raw)
    for task_id in marked(there):
        try:
            digest = read_regular(there.uncollected / task_id, 4096).decode(errors="replace").strip()
        except (NotRegularError, TooLargeError, FileNotFoundError):
            digest = ""
        if _DIGEST.fullmatch(digest):
            marks[task_id] = digest
        else:
            refused.add(f"results/.uncollected/{task_id}", "it does not hold the digest of a result")
    return marks


def _held(mirror: Mirror, task_id: str) -> str | None:
    try:
        return digest_of_result(mirror.workspace.results / task_id)
    except OSError:
        return None  # there is none, or none that can be read: it is fetched


def _clean(mirror: Mirror, wanted: Collection[str]) -> None:
    """Remove what is on its way and not wanted any more, and what a kill left."""
    for name in names_in(mirror.incoming / "results"):
        if name not in wanted:
            shutil.rmtree(mirror.incoming / "results" / name)
    for name in names_in(mirror.incoming):
        if name.startswith(".gone."):
            shutil.rmtree(mirror.incoming / name)
    make_folder(mirror.incoming / "results")


def _fetch(peer: Peer, ids: list[str], marks: dict[str, str], refused: Refused) -> dict[str, str]:
    """Fetch some results with their logs; return the digests of those that are whole and verified."""
    incoming = peer.mirror.incoming / "results"
    here = size_bytes(incoming / task_id for task_id in ids)  # what is there in part is read first
    folders = [f"results/{task_id}/" for task_id in ids]
    ended = copy(peer, folders, f"--partial-dir={PARTIAL}", reading_bytes=here)
    logs: dict[str, str | None] = {}
    fetched: dict[str, str] = {}
    for task_id in ids:
        if not (incoming / task_id).exists():
            continue  # it was taken to be run again, or pruned by hand
        found = read_fetched(incoming / task_id)
        strange = strange_entry(incoming / task_id)
        if isinstance(found, str) or strange is not None:
            refused.add(
                f"results/{task_id}", str(found) if strange is None else f"{strange} is no plain file"
            )
            continue
        result, digest = found
        if digest != marks[task_id]:
            continue  # it was run again since it was marked: the next round sees the new mark
        fetched[task_id] = digest
        logs[task_id] = log_name(result.tool, task_id)
    behind = fetch_logs(peer, (name for name in logs.values() if name is not None))
    whole = {task_id: name for task_id, name in logs.items() if name not in behind}
    return {task_id: fetched[task_id] for task_id in verify(peer, whole, ended.err, refused)}


def _publish(mirror: Mirror, batch: Collection[str]) -> None:
    """Move verified results to where people see them, each at once, when the disk has them."""
    if not batch:
        return
    _sync(mirror.incoming)
    results = mirror.workspace.results
    for task_id in batch:
        source, target = mirror.incoming / "results" / task_id, results / task_id
        try:
            move_new(source, target)
        except FileExistsError:
            # an earlier run of the task: its attempts are in the new folder, too
            doomed = mirror.incoming / f".gone.{new_ulid()}"
            target.rename(doomed)
            move_new(source, target)
            shutil.rmtree(doomed)
        remove(mirror.workspace.tombstones / task_id)
    fsync_folder(results)


def _acknowledge(peer: Peer, held: dict[str, str]) -> None:
    """Tell the host what we hold; once, and again when it was told and its marks stay."""
    now_s = time.monotonic()
    all_given = not names_in(peer.mirror.outbox_controls)
    new = {}
    for task_id, digest in held.items():
        told, told_s = peer.acknowledged.get(task_id, ("", 0.0))
        if told != digest or (all_given and now_s - told_s > TELL_AGAIN_S):
            new[task_id] = digest
    ids = sorted(new)
    for first in range(0, len(ids), MOST_COLLECTED):
        part = {task_id: new[task_id] for task_id in ids[first : first + MOST_COLLECTED]}
        controls.order(peer.mirror, "ack", collected=part)
    peer.acknowledged |= {task_id: (digest, now_s) for task_id, digest in new.items()}


def _sync(folder: Path) -> None:
    """Write a whole file system to its disk: one syncfs(2) instead of an fsync(2) for each of many files.

    Raises:
        OSError: something could not be written.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        library = ctypes.CDLL(None, use_errno=True)
        if library.syncfs(descriptor) != 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code), os.fspath(folder))
    finally:
        os.close(descriptor)
