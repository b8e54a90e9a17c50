"""The folder of one attempt, and what its files and locks say about it.

A wrapper alone runs an attempt, and these files tell its fate after any kill: is wrap.lock held, is
there an `exit`, was there a `started`, does anything of the tool still hold tree.lock.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from spool.locks import is_held

if TYPE_CHECKING:
    from pathlib import Path

_NUMBER = re.compile(r"[0-9]{3,9}")


class Phase(StrEnum):
    """How far an attempt came."""

    EMPTY = "empty"
    """Nothing was intended yet."""
    INTENDED = "intended"
    """To be launched, perhaps launched a moment ago; the tool has not started."""
    RUNNING = "running"
    """Its wrapper lives."""
    ORPHANED = "orphaned"
    """The wrapper is dead, something of the tool lives."""
    VANISHED = "vanished"
    """It started, nothing lives, and nobody recorded its end."""
    ENDED = "ended"
    """The wrapper recorded its end."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """Names of the files of one attempt."""

    folder: Path

    @property
    def number(self) -> int:
        """Return the attempt's number, from 1."""
        return int(self.folder.name)

    @property
    def intent(self) -> Path:
        """What is to be run."""
        return self.folder / "intent"

    @property
    def ended_by_cluster(self) -> Path:
        """What a cluster said when it ended the attempt, in words."""
        return self.folder / "cluster"

    @property
    def started(self) -> Path:
        """Who runs it."""
        return self.folder / "started"

    @property
    def exit(self) -> Path:
        """How it ended."""
        return self.folder / "exit"

    @property
    def wrap_lock(self) -> Path:
        """Held by the wrapper."""
        return self.folder / "wrap.lock"

    @property
    def tree_lock(self) -> Path:
        """Held by the wrapper, the tool and its children."""
        return self.folder / "tree.lock"

    @property
    def stdout(self) -> Path:
        """What the tool printed."""
        return self.folder / "stdout"

    @property
    def stderr(self) -> Path:
        """What the tool printed as errors."""
        return self.folder / "stderr"

    @property
    def waiting(self) -> Path:
        """Made by the tool, holding its question, while it waits for a person."""
        return self.folder / "waiting"

    def phase(self) -> Phase:
        """Tell how far the attempt came.

        The wrapper takes wrap.lock, then writes `started`, then `exit`, then dies; looked at in this
        order no living wrapper is taken for dead, and no recorded end is missed.
        """
        if self.exit.exists():
            return Phase.ENDED
        started = self.started.exists()
        if is_held(self.wrap_lock):
            return Phase.RUNNING
        if self.exit.exists():
            return Phase.ENDED
        if not started:
            return Phase.INTENDED if self.intent.exists() else Phase.EMPTY
        return Phase.ORPHANED if is_held(self.tree_lock) else Phase.VANISHED


def attempts_of(session: Path) -> list[Attempt]:
    """Return a session's attempts in order."""
    try:
        names = [p.name for p in (session / "attempts").iterdir() if _NUMBER.fullmatch(p.name)]
    except FileNotFoundError:
        return []
    # by number: after 999 comes 1000, which sorts before it as text
    return [Attempt(session / "attempts" / name) for name in sorted(names, key=int)]


def attempt_of(session: Path, number: int) -> Attempt:
    """Return the place of an attempt, which need not be there yet."""
    return Attempt(session / "attempts" / f"{number:03d}")
