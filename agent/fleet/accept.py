"""From a file that somebody dropped to a task on its way.

A file in fleet/HOST/tasks/ or fleet/any/tasks/ is looked at as a host looks at its own: finished when no
writer holds it, refused with a reason when it is no task. Then, below .outbox/tasks/ of the same folder:

    claim  = make .ID/source/, rename NAME.json into it, bring NAME.files along
    accept = validate the claimed bytes again, write ID.json and note.json, rename .ID to ID

From the claim on the id is fixed, so a task is accepted once, whoever is killed when: what lies in .ID is
taken up by `finish_accepting`.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from agent.fleet.outbox import HELD, NOTE, SOURCE, Note, Parcel, discard
from spool.admit import NotYet, Ready, Sight, Verdict, give_up_waiting, look
from spool.exclusive import move_new
from spool.files import fsync_folder, make_folder, put, read_regular, remove
from spool.known import place_of, repeated
from spool.names import FILES_SUFFIX, TASK_SUFFIX, WHY_SUFFIX, is_task_id, stem_of
from spool.records import utc_now
from spool.refusal import Refusal
from spool.reject import reject
from spool.submit import with_id
from spool.task import parse_task

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from agent.fleet.layout import Mirror
    from spool.admit import Rules
    from spool.task import Task

BY: Final = "collector"
MIN_PATIENCE_S: Final = 0.05
_PLACES: Final = (".outbox/tasks/", ".sent/tasks/", "sessions/", "results/", "results/.tombstones/")


class Door:
    """The drop folder of one host, or of `any`: what is dropped there and not accepted yet.

    Args:
        mirror: fleet/HOST or fleet/any.
        judge: says why a task cannot be taken, from the task, its id and the SHA-256 of the dropped bytes.
    """

    def __init__(self, mirror: Mirror, judge: Callable[[Task, str, str], Refusal | None]) -> None:
        self._mirror = mirror
        self._workspace = mirror.workspace
        self._outbox = mirror.outbox.tasks
        self._judge = judge
        self._sights: dict[Path, Sight] = {}
        self.unfinished: dict[Path, tuple[str, float]] = {}
        """Files that are still being written: why, and when to look again, on the monotonic clock."""

    def keep_only(self, paths: set[Path]) -> None:
        """Forget the files that are gone."""
        for path in self._sights.keys() - paths:
            del self._sights[path]
            self.unfinished.pop(path, None)

    def take(self, path: Path, now_s: float, rules: Rules) -> Parcel | None:
        """Look at one dropped file: accept it, refuse it, or leave it for later.

        Raises:
            OSError: the disk; calling again goes on.
        """
        looked = look(path, self._sights.get(path), now_s, rules)
        if looked is None:
            self._forget(path)
            return None
        sight, verdict = looked
        self._sights[path] = sight
        judged = verdict.sha256 if isinstance(verdict, Ready) else None
        named = self._named(path, verdict) if isinstance(verdict, Ready) else verdict
        if isinstance(named, Refusal):
            named = give_up_waiting(named, sight, now_s, rules)
        if isinstance(named, NotYet):
            self.unfinished[path] = (named.reason, now_s + max(named.again_in_s, MIN_PATIENCE_S))
            return None
        self._forget(path)
        if isinstance(named, Refusal):
            reject(self._workspace, path, named, BY)
            return None
        assert isinstance(named, str)
        return self._claim(path, named, rules, judged)

    def finish_accepting(self, rules: Rules) -> None:
        """Take up what was claimed when a collector was killed."""
        with suppress(FileNotFoundError):
            for name in sorted(os.listdir(self._outbox)):
                if name.startswith(".") and is_task_id(name[1:]):
                    self._finish(self._outbox / name, rules)

    def _forget(self, path: Path) -> None:
        self._sights.pop(path, None)
        self.unfinished.pop(path, None)

    def _named(self, path: Path, ready: Ready) -> str | Verdict:
        """Return the id of a finished file, or why it cannot be taken."""
        named = with_id(ready.content, stem_of(path.name))
        if isinstance(named, Refusal):
            return named
        content, task_id = named
        return self._problem(path, content, task_id, ready.sha256) or task_id

    def _problem(self, path: Path, content: bytes, task_id: str, sha256: str) -> Refusal | None:
        parsed = parse_task(content)
        if isinstance(parsed, Refusal):
            return parsed
        files = path.with_name(stem_of(path.name) + FILES_SUFFIX)
        if files.is_symlink() or (files.exists() and not files.is_dir()):
            return Refusal(f"{files.name} is not a folder", "make it a folder that holds the input files")
        return self._judge(parsed[0], task_id, sha256)

    def _claim(self, path: Path, task_id: str, rules: Rules, judged: str | None) -> Parcel | None:
        claim = self._outbox / f".{task_id}"
        make_folder(claim / SOURCE)
        if path.parent == self._workspace.held:
            put(claim / HELD, b"")
        try:
            path.rename(claim / SOURCE / path.name)
        except FileNotFoundError:
            shutil.rmtree(claim)
            return None
        for folder in (claim / SOURCE, claim, claim.parent, path.parent):
            fsync_folder(folder)
        return self._finish(claim, rules, judged)

    def _finish(self, claim: Path, rules: Rules, judged: str | None = None) -> Parcel | None:
        """Bring a claim to its end.

        Args:
            claim: its folder.
            rules: what may be dropped.
            judged: the SHA-256 of the bytes that were judged before the claim, unless that is not known.
        """
        task_id = claim.name[1:]
        source = _dropped_file(claim)
        if source is None:
            shutil.rmtree(claim)  # killed before the rename: nothing was taken
            return None
        files = claim / f"{task_id}{FILES_SUFFIX}"
        came_from = self._workspace.held if (claim / HELD).exists() else self._workspace.tasks
        if not os.path.lexists(files) and not os.path.lexists(came_from / source.name):
            with suppress(FileNotFoundError):
                move_new(came_from / f"{stem_of(source.name)}{FILES_SUFFIX}", files)
        (came_from / f"{stem_of(source.name)}{WHY_SUFFIX}").unlink(missing_ok=True)
        content = self._validated(source, task_id, rules, judged)
        if isinstance(content, Refusal):
            # first what would be taken for a task when this is cut off
            remove(claim / f"{task_id}{TASK_SUFFIX}")
            reject(self._workspace, source, content, BY, files=files)
            shutil.rmtree(claim)
            return None
        note = Note(source_name=source.name, dropped_for=self._mirror.name, accepted_at=utc_now())
        note.write(claim / NOTE)
        # a new file with a new time: a host tells a new drop of the same bytes from a repeated delivery by it
        put(claim / f"{task_id}{TASK_SUFFIX}", content)
        accepted = claim.with_name(task_id)
        try:
            move_new(claim, accepted)
        except FileExistsError:
            reject(self._workspace, source, repeated(task_id, str(accepted), same=False), BY, files=files)
            shutil.rmtree(claim)
            return None
        return Parcel(accepted)

    def _validated(self, source: Path, task_id: str, rules: Rules, judged: str | None) -> bytes | Refusal:
        """Judge the claimed bytes: a writer that still held the file may have gone on."""
        # the rename was its last change, so nothing needs to be quiet any more
        looked = look(source, None, 0.0, replace(rules, quiet_s=0))
        verdict = looked[1] if looked else NotYet("it is gone", 0)
        if not isinstance(verdict, Ready):
            what = verdict.reason if isinstance(verdict, NotYet) else verdict.what
            return Refusal(f"it was changed while it was accepted: {what}", "drop it again")
        named = with_id(verdict.content, stem_of(source.name), task_id)
        if isinstance(named, Refusal):
            return named
        content, found = named
        if found != task_id:
            return Refusal("its task_id was changed while it was accepted", "drop it again")
        if verdict.sha256 == judged:
            return content
        return self._problem(source, content, task_id, verdict.sha256) or content


def _dropped_file(claim: Path) -> Path | None:
    try:
        found = sorted(p for p in (claim / SOURCE).iterdir() if not p.name.endswith(FILES_SUFFIX))
    except FileNotFoundError:
        return None
    return found[0] if found else None


def known_on(mirror: Mirror, task_id: str, sha256: str) -> Refusal | None:
    """Say that a host, or `any`, has a task of this id already; None when it has none, as far as we know.

    Args:
        mirror: fleet/HOST or fleet/any.
        task_id: the id.
        sha256: of the bytes dropped now.
    """
    root = f"{mirror.root}/"
    if not any(os.path.lexists(f"{root}{where}{task_id}") for where in _PLACES):
        return None  # of many hosts, hardly one has it
    for folder in (mirror.outbox.tasks, mirror.sent.tasks):
        parcel = Parcel(folder / task_id)
        if parcel.folder.exists():
            return repeated(task_id, str(parcel.folder), same=_digest(parcel) == sha256)
    place = place_of(mirror.workspace, task_id)
    return repeated(task_id, str(place.path), same=place.sha256 == sha256) if place else None


def _digest(parcel: Parcel) -> str | None:
    """Return the SHA-256 of what was dropped."""
    source = _dropped_file(parcel.folder)
    return hashlib.sha256(read_regular(source)).hexdigest() if source else None


def refuse_accepted(mirror: Mirror, parcel: Parcel, refusal: Refusal) -> None:
    """Refuse a task that was accepted: what was dropped goes to rejected/; cut off, `is_refused` tells."""
    source = _dropped_file(parcel.folder)
    if source is not None:
        reject(mirror.workspace, source, refusal, BY, files=parcel.files)
    discard(parcel)


def is_refused(parcel: Parcel) -> bool:
    """Tell whether the dropped file of a task on its way is gone, because it was refused."""
    return _dropped_file(parcel.folder) is None
