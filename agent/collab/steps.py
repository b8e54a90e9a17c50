"""The step files of a run: each written once, read by whoever goes on.

What was answered is on disk before anything else happens, so a kill loses at most the calls in flight, and
those alone are paid a second time. A run that ended by itself without a result, and is tried again, keeps
what was answered and asks again for the rest: failed steps, and whatever rests on them, are put aside.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from agent.collab.records import StepRecord
from spool.files import make_folder, move, put_new, read_regular

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

STEPS: Final = "steps"
BEFORE: Final = "before"
"""Where earlier rounds of a run lie, each in a folder with its number."""
SUFFIX: Final = ".json"


@dataclass(frozen=True, slots=True)
class Steps:
    """The steps below one run's collab/ folder."""

    collab: Path

    @property
    def folder(self) -> Path:
        """Where they lie."""
        return self.collab / STEPS

    def read(self, name: str) -> StepRecord | None:
        """Return a step; None when it was not made yet.

        Raises:
            DamagedError: it is there, and not a step.
        """
        return StepRecord.read(self.folder / (name + SUFFIX))

    def write(self, record: StepRecord) -> StepRecord:
        """Write a step for good; of two, the first counts."""
        make_folder(self.folder)
        try:
            put_new(self.folder / (record.name + SUFFIX), record.encoded())
        except FileExistsError:
            found = self.read(record.name)
            assert found is not None
            return found
        return record

    def digests(self, names: Iterable[str]) -> dict[str, str]:
        """Return step → sha256 of its file, of those that are there."""
        found = {}
        for name in names:
            file = self.folder / (name + SUFFIX)
            if file.exists():
                found[name] = hashlib.sha256(read_regular(file)).hexdigest()
        return found

    def all(self) -> tuple[StepRecord, ...]:
        """Return every step that is there, in the order of their names."""
        try:
            names = sorted(n for n in os.listdir(self.folder) if n.endswith(SUFFIX) and n[0] != ".")
        except FileNotFoundError:
            return ()
        found = (self.read(name.removesuffix(SUFFIX)) for name in names)
        return tuple(step for step in found if step is not None)

    def put_failed_aside(self) -> tuple[str, ...]:
        """Put failed steps, and those that came after the first of them, where nobody takes them for done.

        A validation of a response that stays is kept: it rests on that response above all.
        """
        failed = {step.name: step.phase for step in self.all() if step.state == "failed"}
        if not failed:
            return ()
        first = min(failed.values())
        doomed = [
            step.name
            for step in self.all()
            if step.name in failed or (step.phase > first and not self._rests_on_kept(step, failed))
        ]
        target = self.collab / BEFORE / f"failed-{self._next('failed-'):03d}"
        make_folder(target)
        for name in reversed(doomed):  # what rests on others goes first, so that a kill leaves no gap
            move(self.folder / (name + SUFFIX), target / (name + SUFFIX))
        return tuple(doomed)

    @staticmethod
    def _rests_on_kept(step: StepRecord, failed: dict[str, int]) -> bool:
        judged = step.name.removeprefix("3-validation-")
        return step.phase == 3 and "1-plan" not in failed and f"2-{judged}" not in failed  # noqa: PLR2004 - phase 3

    def put_all_aside(self, names: Iterable[str]) -> None:
        """Begin anew: what the run has left goes to a folder with a number."""
        target = self.collab / BEFORE / f"{self._next(''):03d}"
        make_folder(target)
        for name in names:
            if (self.collab / name).exists():
                move(self.collab / name, target / name)

    @property
    def round(self) -> int:
        """How often the run was begun, from 1."""
        return self._next("")

    def _next(self, prefix: str) -> int:
        try:
            names = os.listdir(self.collab / BEFORE)
        except FileNotFoundError:
            return 1
        return 1 + sum(name.removeprefix(prefix).isdigit() for name in names if name.startswith(prefix))
