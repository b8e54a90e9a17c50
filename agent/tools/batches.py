"""Which files each call of a batched command is given, and what became of each call.

`sessions/ID/` holds:

    batches/plan          the files of each call: kept, so that a later attempt has the same
    batches/NNN.json      a call that succeeded: its answer, and what it cost
    batches/NNN.in        what a call read, where the prompt did not fit its arguments
    batches/NNN.end       how the last run of a call ended
    batches/NNN.out .err  what it printed
    attempts/NNN/calls    the command line of every call of one attempt
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from spool.attempt import attempts_of
from spool.files import make_folder, move, put, read_regular
from spool.records import Record, Usage

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from agent.tools.invocation import Call

FOLDER = "batches"
PLAN = "plan"
CALLS = "calls"


class Done(Record):
    """batches/NNN.json: one call that succeeded."""

    attempt: int
    text: str
    usage: Usage = Usage()
    tool_session_id: str | None = None


class End(Record):
    """batches/NNN.end: how a call's process ended, whatever that says."""

    attempt: int
    exit_code: int | None = None
    signal: int | None = None


@dataclass(frozen=True, slots=True)
class Batches:
    """The files of a session's calls.

    Args:
        folder: sessions/ID/batches, or that of a past run.
    """

    folder: Path

    @classmethod
    def of(cls, attempt: Path) -> Batches:
        """Return the batches of the run that an attempt belongs to; those of a past one were put away."""
        session = attempt.parent.parent
        past = (a.folder for a in attempts_of(session) if a.number >= int(attempt.name))
        return cls(next((folder / FOLDER for folder in past if (folder / FOLDER).is_dir()), session / FOLDER))

    def file(self, number: int, suffix: str) -> Path:
        """Return a file of one call, counted from 1."""
        return self.folder / f"{number:03d}.{suffix}"

    def plan(self) -> tuple[tuple[str, ...], ...]:
        """Return the files of each call; empty when nothing is planned yet."""
        try:
            plan = json.loads(read_regular(self.folder / PLAN))
        except FileNotFoundError:
            return ()
        return tuple(tuple(files) for files in plan)

    def done(self, number: int) -> Done | None:
        """Return what a call came to; None when it has not succeeded yet."""
        return Done.read(self.file(number, "json"))


def put_away(session: Path, attempt: Path) -> None:
    """Move the batches of a run that is past into its last attempt, so that the next run begins anew.

    Raises:
        OSError: the disk; calling again goes on.
    """
    if (session / FOLDER).is_dir() and not (attempt / FOLDER).exists():
        move(session / FOLDER, attempt / FOLDER)


def write_calls(attempt: Path, calls: Sequence[Call]) -> None:
    """Put the plan, which stays as it is once it is made, and the attempt's calls on disk.

    Raises:
        OSError: the disk; calling again goes on.
    """
    batches = Batches.of(attempt)
    make_folder(batches.folder)
    for number, call in enumerate(calls, 1):
        if batches.done(number) is not None:
            continue
        for suffix in ("out", "err", "end"):
            batches.file(number, suffix).unlink(missing_ok=True)  # of an earlier attempt
        if call.stdin is not None:
            put(batches.file(number, "in"), call.stdin, durable=False)
    if not batches.plan():
        put(batches.folder / PLAN, _encoded([call.files for call in calls]))
    lines = [{"argv": call.argv, "reads": call.stdin is not None} for call in calls]
    put(attempt / CALLS, _encoded(lines))


def is_batched(attempt: Path) -> bool:
    """Tell whether an attempt consists of several calls."""
    return (attempt / CALLS).exists()


def read_calls(attempt: Path) -> list[dict[str, Any]]:
    """Return the attempt's calls: `argv`, and whether it `reads` its file.

    Raises:
        OSError: they cannot be read.
        ValueError: they are damaged.
    """
    calls: list[dict[str, Any]] = json.loads(read_regular(attempt / CALLS))
    return calls


def _encoded(value: Any) -> bytes:
    return json.dumps(value, indent=1).encode() + b"\n"
