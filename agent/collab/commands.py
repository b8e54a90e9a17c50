"""Proposed commands on disk: what was proposed and how it was rated, and what became of each.

    commands.json    every command with its exact bytes, their SHA-256 and its rating; written once
    commands/N.json  what became of command N; written once, when it is settled

`freeze` writes the first before anybody is asked for an approval; approvals from before are not for these
commands and are removed.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Final, Literal

from agent import audit
from agent.collab import approval
from agent.collab.policy.dryrun import dry_run_of
from agent.collab.policy.rating import Decision  # noqa: TC001 - pydantic reads the annotations
from spool.files import put_new
from spool.records import SCHEMA_VERSION, Record, Utc

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from agent.collab.evidence import Site
    from agent.collab.policy.rules import Policy
    from agent.collab.tally import Proposed

FILE: Final = "commands.json"
FOLDER: Final = "commands"

What = Literal["check_before", "dry_run", "command", "check_after"]
Fate = Literal["ran", "failed", "denied", "declined", "vetoed", "skipped"]


class ChangedError(Exception):
    """A file of this run was changed by somebody; the message says which, and what to do."""


class CommandRecord(Record):
    """One proposed command.

    Args:
        command: exactly what a shell is given.
        sha256: of its bytes; an approval holds it.
        check_before, check_after, dry_run: commands too; empty when there is none.
        dry_run_by_rule: the dry run is the policy's, the role proposed none.
        operations: (program, effect, target).
        vetoed: why the validator took it out; None when it did not.
    """

    number: int
    role: str
    command: str
    sha256: str
    purpose: str = ""
    check_before: str = ""
    check_after: str = ""
    dry_run: str = ""
    dry_run_by_rule: bool = False
    decision: Decision
    reasons: tuple[str, ...] = ()
    operations: tuple[tuple[str, str, str], ...] = ()
    vetoed: str | None = None

    @property
    def asks(self) -> bool:
        """Whether a person must approve it."""
        return self.vetoed is None and self.decision == "ask"


class CommandsRecord(Record):
    """collab/commands.json."""

    schema_version: int = SCHEMA_VERSION
    task_id: str
    host: str
    commands: tuple[CommandRecord, ...] = ()


class RanRecord(Record):
    """One task that was run for a command, or was not.

    Args:
        task_id: None when it was not dropped.
        state: of the task; `skipped` when it was not dropped.
    """

    what: What
    command: str
    task_id: str | None = None
    state: str
    reason: str
    exit_code: int | None = None


class OutcomeRecord(Record):
    """collab/commands/N.json.

    Args:
        by: who approved or declined it.
    """

    schema_version: int = SCHEMA_VERSION
    number: int
    fate: Fate
    reason: str
    by: str | None = None
    ran: tuple[RanRecord, ...] = ()
    finished_at: Utc


def sha256_of(command: str) -> str:
    """Return the digest that approves exactly this command."""
    return hashlib.sha256(command.encode()).hexdigest()


def read(collab: Path) -> CommandsRecord | None:
    """Return what was proposed in a run; None when it is not that far.

    Raises:
        DamagedError: the file is not ours.
        ChangedError: a command does not have the SHA-256 that stands beside it.
    """
    record = CommandsRecord.read(collab / FILE)
    for command in record.commands if record else ():
        if sha256_of(command.command) != command.sha256:
            raise ChangedError(
                f"{collab / FILE} was changed: command {command.number} has another SHA-256 than the one "
                "beside it; nothing of it is run, ask again with a new run"
            )
    return record


def outcomes(collab: Path) -> tuple[OutcomeRecord, ...]:
    """Return what became of the commands that are settled, by number."""
    found = [OutcomeRecord.read(path) for path in (collab / FOLDER).glob("[0-9]*.json")]
    return tuple(sorted((one for one in found if one is not None), key=lambda one: one.number))


def freeze(site: Site, session: Path, proposed: Sequence[Proposed], policy: Policy) -> CommandsRecord:
    """Write down what was proposed, or return what is written already.

    Raises:
        ChangedError: what is written is not what the roles proposed.
        OSError: the disk; calling again goes on.
    """
    wanted = CommandsRecord(
        task_id=site.task_id,
        host=site.place,
        commands=tuple(_command(one, policy, site.place) for one in proposed),
    )
    found = read(site.collab)
    if found is None:
        approval.forget_all(session)
        for command in wanted.commands:
            _tell(site, command)
        put_new(site.collab / FILE, wanted.encoded())
        return wanted
    if [(c.number, c.command) for c in found.commands] != [(c.number, c.command) for c in wanted.commands]:
        raise ChangedError(
            f"{site.collab / FILE} holds other commands than the roles proposed: it was changed; nothing of "
            "it is run, ask again with a new run"
        )
    return found


def _command(one: Proposed, policy: Policy, host: str) -> CommandRecord:
    proposal, rating = one.proposal, one.rating
    by_rule = not proposal.dry_run.strip()
    dry_run = dry_run_of(proposal.command, policy, role=one.role, host=host) if by_rule else proposal.dry_run
    return CommandRecord(
        number=one.number,
        role=one.role,
        command=proposal.command,
        sha256=sha256_of(proposal.command),
        purpose=proposal.purpose,
        check_before=proposal.check_before,
        check_after=proposal.check_after,
        dry_run=dry_run,
        dry_run_by_rule=by_rule and bool(dry_run),
        decision=rating.decision,
        reasons=rating.reasons,
        operations=rating.normalised,
        vetoed=one.taken_out,
    )


def _tell(site: Site, command: CommandRecord) -> None:
    about: dict[str, Any] = {"number": command.number, "sha256": command.sha256, "host": site.place}
    audit.append(
        site.workspace,
        "proposed",
        who=command.role,
        task_id=site.task_id,
        command=command.command,
        **about,
    )
    audit.append(
        site.workspace,
        "rated",
        who="policy" if command.vetoed is None else "validator",
        task_id=site.task_id,
        decision="deny" if command.vetoed is not None else command.decision,
        reasons=list(command.reasons[:5]),
        **about,
    )
