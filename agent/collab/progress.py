"""What a run tells while it goes on: lines for people on standard error, and collab/progress.json.

A line never holds anything of a prompt or of an answer. The line after each call ends with its usage, in the
form that `agent.tools.collab` adds up.
"""

from __future__ import annotations

import sys
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal, TextIO

from agent.sanitize import one_line
from spool.files import make_folder
from spool.records import SCHEMA_VERSION, Record, Utc, utc_now

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from pathlib import Path

    from agent.collab.records import StepRecord

FILE: Final = "progress.json"
State = Literal["running", "ok", "failed"]

_DOING: Final = {
    "coordinates": "Generating response",
    "answers": "Analyzing with role-specific prompt",
    "validates": "Validating",
}


class StepProgress(Record):
    """Where one step stands."""

    name: str
    role: str
    state: State
    provider: str | None = None
    since: Utc
    duration_s: float | None = None
    reason: str = ""


class ProgressRecord(Record):
    """collab/progress.json: replaced at each change, and only information."""

    schema_version: int = SCHEMA_VERSION
    doing: str
    since: Utc
    steps: tuple[StepProgress, ...] = ()


@dataclass(slots=True)
class Progress:
    """Tells of one run. Threads may share it.

    Args:
        out: for people.
        now: the wall clock.
    """

    collab: Path
    out: TextIO = sys.stderr
    now: Callable[[], datetime] = utc_now
    _doing: str = "starting"
    _since: datetime = field(default_factory=utc_now)
    _steps: dict[str, StepProgress] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def say(self, line: str) -> None:
        """Print one line."""
        with self._lock:
            print(one_line(line), file=self.out, flush=True)

    def doing(self, what: str) -> None:
        """Say what all of the run does now."""
        self._doing, self._since = what, self.now()
        self._write()

    def begins(self, name: str, role: str, does: str, provider: str) -> None:
        """Say that a role is being asked."""
        self._steps[name] = StepProgress(
            name=name, role=role, state="running", provider=provider, since=self.now()
        )
        self.say(f"{provider.capitalize()} ({role.capitalize()}): {_DOING[does]}")
        self._write()

    def made(self, step: StepRecord) -> None:
        """Say how a step went, and what it cost."""
        duration_s = (step.finished_at - step.started_at).total_seconds()
        self._show(step, duration_s)
        who = f"{(step.provider or 'nobody').capitalize()} ({step.role.capitalize()})"
        what = "answered" if step.state == "ok" else f"failed: {step.reason}"
        self.say(f"{who}: {what} after {duration_s:.1f} s, {_cost(step)}")

    def known(self, step: StepRecord) -> None:
        """Take note of a step that an earlier attempt made."""
        self._show(step, (step.finished_at - step.started_at).total_seconds())

    def _show(self, step: StepRecord, duration_s: float) -> None:
        self._steps[step.name] = StepProgress(
            name=step.name,
            role=step.role,
            state=step.state,
            provider=step.provider,
            since=step.started_at,
            duration_s=round(duration_s, 3),
            reason=step.reason,
        )
        self._write()

    def _write(self) -> None:
        with self._lock:
            make_folder(self.collab)
            record = ProgressRecord(doing=self._doing, since=self._since, steps=tuple(self._steps.values()))
            record.write(self.collab / FILE, durable=False)


def _cost(step: StepRecord) -> str:
    usage = step.usage
    tokens = f"{usage.input_tokens or 0} tokens in, {usage.output_tokens or 0} out"
    return tokens if usage.cost_usd is None else f"{tokens}, ${usage.cost_usd:.6f}"
