"""Running what may run: approvals awaited, then each command as `shell` tasks in the spool of its host.

For command N, in this order, each only when there is one:

    ID.cN.before   its check before      rated `allow`, or it is left out
    ID.cN.dry      its dry run           rated `allow`, or left out; when it fails, the command does not run
    ID.cN          the command           rated `allow`, or approved: exactly the bytes that the approval names
    ID.cN.after    its check after       rated `allow`, or left out

The ids are always the same and a spool takes an id once, so a run that is killed anywhere and goes on runs
nothing twice. A rating is made again right before; the stricter of then and now holds. When a command
that changes something fails, those after it do not run.
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from agent import audit
from agent.collab import approval
from agent.collab.children import ChildError, drop_once, spool_of, wait_for_result
from agent.collab.commands import FOLDER, CommandRecord, CommandsRecord, OutcomeRecord, RanRecord, sha256_of
from agent.collab.policy.rate import rate
from agent.collab.policy.rating import stricter
from spool.files import make_folder, put, put_new, remove
from spool.names import child_id
from spool.records import State
from spool.results import read_result

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from agent.collab.approval import Word
    from agent.collab.commands import Fate, What
    from agent.collab.evidence import Site
    from agent.collab.policy.rules import Policy
    from agent.collab.progress import Progress

COMMAND_TIMEOUT_S: Final = 1800.0
CHECK_TIMEOUT_S: Final = 300.0
LOOK_AGAIN_S: Final = 0.5
_SUFFIX: Final[dict[What, str]] = {
    "check_before": ".before",
    "dry_run": ".dry",
    "command": "",
    "check_after": ".after",
}
_LOOKS: Final = frozenset({"read", "probe"})


@dataclass(frozen=True, slots=True)
class Execution:
    """What is carried out, and where.

    Args:
        session: the run's folder, in which approve/ lies.
        marker: the file that says that a person is waited for (`AISPOOL_WAITING`); None to ask nobody.
        patience_s: so long for approvals; what nobody approved by then is declined.
    """

    site: Site
    session: Path
    policy: Policy
    progress: Progress
    marker: Path | None
    patience_s: float
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


@dataclass(frozen=True, slots=True)
class Ran:
    """One thing that was run for a command, with what it printed."""

    number: int
    record: RanRecord
    text: str


def carry_out(
    execution: Execution, commands: CommandsRecord
) -> tuple[tuple[OutcomeRecord, ...], tuple[Ran, ...]]:
    """Run what may run, in order; return what became of each command, and all that was printed.

    Raises:
        OSError: the disk; calling again goes on where it stopped.
    """
    make_folder(execution.site.collab / FOLDER)
    words = _wait_for_words(execution, commands)
    outcomes: list[OutcomeRecord] = []
    printed: list[Ran] = []
    stopped: int | None = None
    for command in commands.commands:
        one = _One(execution, command)
        outcome = one.settled() or one.settle(words.get(command.number), stopped)
        printed.extend(one.printed(outcome))
        outcomes.append(outcome)
        if outcome.fate == "failed" and stopped is None and not one.only_looks:
            stopped = command.number
    return tuple(outcomes), tuple(printed)


def _wait_for_words(execution: Execution, commands: CommandsRecord) -> dict[int, Word]:
    """Wait until every command that asks was approved or declined."""
    asking = [c for c in commands.commands if c.asks and _One(execution, c).settled() is None]
    words: dict[int, Word] = {}
    if not asking:
        return words
    end_s = execution.clock() + execution.patience_s
    try:
        while True:
            for command in asking:
                word = approval.word_on(execution.session, command.number, sha256_of(command.command))
                if word is not None and command.number not in words:
                    words[command.number] = word
            waiting = [c for c in asking if c.number not in words]
            if not waiting or execution.marker is None or execution.clock() >= end_s:
                return words
            _ask(execution, execution.marker, waiting)
            execution.sleep(LOOK_AGAIN_S)
    finally:
        if execution.marker is not None:
            remove(execution.marker)


def _ask(execution: Execution, marker: Path, waiting: list[CommandRecord]) -> None:
    shown = [(c.number, c.command, c.reasons) for c in waiting]
    content = approval.question(execution.session.name, shown).encode()
    with suppress(OSError):
        if marker.read_bytes() == content:
            return
    execution.progress.doing("waiting for approval")
    put(marker, content, durable=False)


class _One:
    """One command on its way."""

    def __init__(self, execution: Execution, command: CommandRecord) -> None:
        self.execution = execution
        self.site = execution.site
        self.command = command
        self.file = self.site.collab / FOLDER / f"{command.number}.json"
        self.ran: list[RanRecord] = []

    @property
    def only_looks(self) -> bool:
        return all(effect in _LOOKS for _, effect, _ in self.command.operations)

    def settled(self) -> OutcomeRecord | None:
        return OutcomeRecord.read(self.file)

    def settle(self, word: Word | None, stopped: int | None) -> OutcomeRecord:
        command = self.command
        if command.vetoed is not None:
            return self.end("vetoed", command.vetoed)
        now = rate(command.command, self.execution.policy, role=command.role, host=self.site.place)
        decision = stricter(command.decision, now.decision)
        if decision == "deny":
            return self.end("denied", "; ".join(now.reasons or command.reasons))
        if decision == "ask":
            if word is None:
                return self.end(
                    "declined", "nobody approved it in time" if command.asks else "it asks by now"
                )
            self.tell("approved" if word.approved else "declined", word.by)
            if not word.approved:
                return self.end("declined", word.why or "", word.by)
        if stopped is not None and not self.only_looks:
            return self.end("skipped", f"command {stopped} failed before it")
        return self.run(word.by if word is not None else None)

    def run(self, by: str | None) -> OutcomeRecord:
        command = self.command
        self.execution.progress.doing(f"running command {command.number}")
        self.check("check_before", command.check_before)
        dry = self.check("dry_run", command.dry_run)
        if dry is not None and dry.task_id is not None and dry.state != State.SUCCEEDED:
            return self.end("failed", f"its dry run failed: {dry.reason}", by)
        done = self.task("command", command.command, idempotent=self.only_looks)
        self.check("check_after", command.check_after)
        fate: Fate = "ran" if done.state == State.SUCCEEDED else "failed"
        return self.end(fate, done.reason, by)

    def check(self, what: What, text: str) -> RanRecord | None:
        """Run a check or a dry run, which must be harmless by itself."""
        if not text.strip():
            return None
        rating = rate(text, self.execution.policy, role=self.command.role, host=self.site.place)
        if rating.decision == "allow":
            return self.task(what, text, idempotent=True)
        why = f"left out, it may not run by itself: {'; '.join(rating.reasons[:3])}"
        record = RanRecord(what=what, command=text, state="skipped", reason=why)
        self.ran.append(record)
        return record

    def task(self, what: What, text: str, *, idempotent: bool) -> RanRecord:
        """Drop the task, unless it is there, and wait for its result."""
        task_id = child_id(self.site.task_id, f"c{self.command.number}{_SUFFIX[what]}")
        timeout_s = COMMAND_TIMEOUT_S if what == "command" else CHECK_TIMEOUT_S
        fields: dict[str, Any] = {
            "task_id": task_id,
            "tool": "shell",
            "command": text,
            "timeout": timeout_s,
            "idempotent": idempotent,
            "labels": ["collab"],
            "submitted_by": f"collab {self.site.task_id}",
        }
        limits = self.site.roles.limits
        queue_s = limits.fleet_wait_s if self.site.host else limits.evidence_wait_s
        self.tell("run", "collab", what=what, child=task_id)
        try:
            spool = spool_of(self.site.workspace, self.site.host)
            drop_once(spool, fields)
            result = wait_for_result(spool, task_id, self.site.wait(timeout_s + queue_s))
        except ChildError as error:
            record = RanRecord(what=what, command=text, task_id=task_id, state="lost", reason=str(error))
        else:
            record = RanRecord(
                what=what,
                command=text,
                task_id=task_id,
                state=result.state,
                reason=result.reason,
                exit_code=result.exit_code,
            )
        self.tell(
            "result", "collab", what=what, child=task_id, state=record.state, exit_code=record.exit_code
        )
        self.ran.append(record)
        return record

    def printed(self, outcome: OutcomeRecord) -> list[Ran]:
        """Return what the tasks of a settled command printed."""
        return [
            Ran(self.command.number, record, self._text(record.task_id))
            for record in outcome.ran
            if record.task_id is not None
        ]

    def _text(self, task_id: str) -> str:
        with suppress(ChildError, OSError):
            spool = spool_of(self.site.workspace, self.site.host)
            result = read_result(spool, task_id)
            return result.output.text if result is not None else ""
        return ""

    def tell(self, event: str, who: str, **details: Any) -> None:
        command = self.command
        about: dict[str, Any] = {"number": command.number, "sha256": command.sha256, "host": self.site.place}
        audit.append(self.site.workspace, event, who=who, task_id=self.site.task_id, **about, **details)

    def end(self, fate: Fate, reason: str, by: str | None = None) -> OutcomeRecord:
        record = OutcomeRecord(
            number=self.command.number,
            fate=fate,
            reason=reason,
            by=by,
            ran=tuple(self.ran),
            finished_at=self.site.now(),
        )
        with suppress(FileExistsError):
            put_new(self.file, record.encoded())
        return record
