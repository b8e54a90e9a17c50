"""Proposed commands: their exact bytes, how they were rated, and the word of a person on each.

The word is a file, sessions/ID/approve/N. Who gave it over the network is in the audit log before the file
is there, since the file's owner is then the server.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from agent import audit
from agent.collab import approval, commands, runs
from agent.service.errors import ServiceError
from spool.records import DamagedError

if TYPE_CHECKING:
    from pathlib import Path

    from agent.collab.commands import CommandRecord, OutcomeRecord
    from agent.service.places import Desk
    from spool.view import View
    from spool.workspace import Workspace

_NO_COMMAND: Final = "0" * 64
"""A digest that no command has: whatever is not the digest of a command declines it, on another host too."""


def exact(text: str) -> str:
    """Return a command so that every byte of it can be seen: quoted and escaped where it is not plain."""
    return text if is_plain(text) else f"{text!a}  (escaped)"


def is_plain(text: str) -> bool:
    """Tell whether a command shows as it is: printable ASCII, no space at its ends."""
    return text.isprintable() and text.isascii() and not text.startswith(" ") and not text.endswith(" ")


def session_of(workspace: Workspace, view: View, task_id: str) -> Path:
    """Return the session of a run that goes on.

    Raises:
        ServiceError: it is no collaborative run, is over, or has not begun.
    """
    if view.tool != "collab":
        raise ServiceError(
            "invalid", f"{task_id} is no collaborative run, but a task of {view.tool or 'an unknown tool'}"
        )
    if view.place == "results":
        raise ServiceError(
            "conflict",
            f"{task_id} is over: {view.state}; what it proposed is in results/{task_id}/collab/",
        )
    if view.path.parent != workspace.sessions:
        raise ServiceError("conflict", f"{task_id} has not begun: {view.reason}")
    return view.path


def waiting(session: Path) -> list[CommandRecord]:
    """Return the commands that ask and that nobody has spoken to.

    Raises:
        ServiceError: the files of the run were changed or are damaged.
    """
    collab = session / runs.FOLDER
    try:
        record = commands.read(collab)
        settled = {outcome.number for outcome in commands.outcomes(collab)}
    except (DamagedError, commands.ChangedError) as error:
        raise ServiceError("conflict", str(error)) from None
    return [
        one
        for one in (record.commands if record else ())
        if one.asks
        and one.number not in settled
        and approval.word_on(session, one.number, one.sha256) is None
    ]


def rated(desk: Desk, task_id: str, host: str | None = None) -> list[dict[str, Any]]:
    """Return every proposed command, how it was rated, and what became of it.

    Fields: those of commands.json (number, role, command, sha256, purpose, check_before, check_after,
    dry_run, dry_run_by_rule, decision, reasons, operations, vetoed), and size_bytes, exact (every byte can be
    seen), word (null, approved or declined), by, why, waits (whether a person must speak), outcome (null, or
    fate, reason, by, ran, finished_at).

    Raises:
        ServiceError: nobody knows the id, or the run's files were changed.
    """
    found = desk.find(task_id, host)
    collab = found.view.path / runs.FOLDER
    try:
        record = commands.read(collab)
        outcomes = {outcome.number: outcome for outcome in commands.outcomes(collab)}
    except (DamagedError, commands.ChangedError) as error:
        raise ServiceError("conflict", str(error)) from None
    live = found.view.place == "sessions"
    return [
        _row(found.view.path, one, outcomes.get(one.number), live=live)
        for one in (record.commands if record else ())
    ]


def _row(session: Path, one: CommandRecord, outcome: OutcomeRecord | None, *, live: bool) -> dict[str, Any]:
    word = approval.word_on(session, one.number, one.sha256) if one.asks else None
    return {
        **one.model_dump(mode="json"),
        "size_bytes": len(one.command.encode()),
        "exact": exact(one.command),
        "word": None if word is None else "approved" if word.approved else "declined",
        "by": word.by if word else None,
        "why": word.why if word else None,
        "waits": live and one.asks and word is None and outcome is None,
        "outcome": outcome.model_dump(mode="json") if outcome else None,
    }


def say(
    desk: Desk, task_id: str, number: int, sha256: str, *, approved: bool, by: str, host: str | None = None
) -> str:
    """Approve or decline one command, and say so in a sentence.

    Args:
        desk: where to look.
        task_id: of the run.
        number: of the command.
        sha256: of the bytes that were shown to the person; other bytes are never approved.
        approved: else it is declined.
        by: who says so, for the audit.
        host: whose run it is.

    Raises:
        ServiceError: the run is over, the command does not wait, has other bytes, or was answered already.
    """
    found = desk.find(task_id, host)
    session = session_of(found.place.workspace, found.view, task_id)
    one = next((each for each in waiting(session) if each.number == number), None)
    if one is None:
        raise ServiceError(
            "conflict", f"command {number} of {task_id} does not wait for an approval any more: look again"
        )
    if one.sha256 != sha256:
        raise ServiceError(
            "conflict",
            f"command {number} of {task_id} has the SHA-256 {one.sha256}, not {sha256}: nothing was "
            "approved; look at its bytes again",
        )
    about: dict[str, Any] = {
        "number": number,
        "sha256": sha256,
        "command": one.command,
        "host": found.place.host,
    }
    audit.append(desk.workspace, "approve" if approved else "decline", who=by, task_id=task_id, **about)
    word = "approved" if approved else "declined"
    if found.place.is_mirror:
        content = sha256 if approved else _NO_COMMAND
        asked = found.place.ask("approve", task_id=task_id, number=number, sha256=content)
        return f"{task_id}: command {number} {word}, {asked}"
    try:
        approval.say(session, number, sha256 if approved else approval.DECLINED)
    except FileExistsError:
        raise ServiceError(
            "conflict", f"command {number} of {task_id} was answered by somebody else: look again"
        ) from None
    except FileNotFoundError:
        raise ServiceError("conflict", f"{task_id} is no longer in session") from None
    return f"{task_id}: command {number} {word}"
