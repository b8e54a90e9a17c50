"""The end of an attempt: tried again later, or a result. Settling again after a kill comes to the same."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from agent.host import log
from agent.host.outcome import next_delay_s, record_of
from agent.host.session import attempts_of_this_run, read_exit
from spool.attempt import attempts_of
from spool.files import read_tail
from spool.records import Exit, Intent, Output, Result, State
from spool.results import place_output

if TYPE_CHECKING:
    from pathlib import Path

    from agent.host.session import Session
    from agent.host.site import Site
    from spool.attempt import Attempt
    from spool.records import AttemptRecord

ANSWER_BYTES = 256 << 10
"""How much of an answer stands in result.json; all of it stands in its file."""


def records_of(session: Session) -> tuple[AttemptRecord, ...]:
    """Return all attempts that are over, earlier runs included."""
    records = []
    for attempt in attempts_of(session.folder):
        ended = read_exit(attempt)
        if ended is not None:
            records.append(record_of(attempt.number, ended, Intent.read(attempt.intent)))
    return tuple(records)


def settle(site: Site, session: Session) -> Result | None:
    """Judge the last attempt, which is over: None when the task goes on later, else its result.

    The result is not on disk yet: `spool.results.finish` puts it there.

    Raises:
        OSError: the disk; calling again goes on.
    """
    session.records = records_of(session)
    numbers = {attempt.number for attempt in attempts_of_this_run(session.folder)}
    earlier = [record for record in session.records if record.number not in numbers]
    tool = site.registry.get(session.task.tool)
    this_run = _with_delays(
        session, session.records[len(earlier) :], resumable=bool(tool and tool.session_resume)
    )
    session.records = (*earlier, *this_run)
    last = this_run[-1]
    if session.cancelled and last.state is not State.SUCCEEDED:
        return result_of(site, session, State.CANCELLED, "cancelled")
    if last.retry_after_s is None:
        return result_of(site, session, last.state, last.reason)
    ended_at = last.finished_at or site.utc_now()
    session.next_attempt_at = ended_at + timedelta(seconds=last.retry_after_s)
    session.change(site, State.DEFERRED, f"attempt {last.number} ended with: {last.reason}; tried again")
    log.info("attempt failed", task_id=session.task_id, attempt=last.number, reason=last.reason)
    return None


def _with_delays(
    session: Session, records: tuple[AttemptRecord, ...], *, resumable: bool
) -> tuple[AttemptRecord, ...]:
    """Add to each attempt after how long it is followed by another; the answer is the same every time."""
    delays = [
        next_delay_s(session.task, records[: number + 1], resumable=resumable)
        for number in range(len(records))
    ]
    return tuple(
        record.model_copy(update={"retry_after_s": None if delay_s is None else round(delay_s, 3)})
        for record, delay_s in zip(records, delays, strict=True)
    )


def result_of(site: Site, session: Session, state: State, reason: str) -> Result:
    """Return the result of a session whose attempts are over, its answer put where the task wants it."""
    task, records, folder = session.task, session.records, session.folder
    attempt = session.attempt
    ended = read_exit(attempt) if attempt else None
    output = _output(site, session, attempt, ended)
    if state is State.SUCCEEDED:
        problem = _place_answer(site, session, attempt)
        if problem is not None:
            state, reason = State.FAILED, f"the tool succeeded, but its answer was not written: {problem}"
    started_at = next((record.started_at for record in records if record.started_at), None)
    finished_at = ended.finished_at if ended else site.utc_now()
    duration_s = max((finished_at - started_at).total_seconds(), 0) if started_at else None
    if ended is not None and len(records) == 1:
        duration_s = ended.duration_s  # by a clock that nobody sets
    return Result(
        task_id=task.task_id,
        tool=task.tool,
        command=task.command,
        state=state,
        reason=reason,
        exit_code=ended.exit_code if ended else None,
        signal=ended.signal if ended else None,
        host=site.host,
        session=session.intent.session if session.intent else None,
        source_name=task.source_name,
        submitted_at=task.submitted_at,
        started_at=started_at,
        finished_at=finished_at,
        duration_s=None if duration_s is None else round(duration_s, 3),
        attempts=records,
        output=output,
        tool_session_id=session.intent.tool_session_id if session.intent else None,
        artifacts=_artifacts(folder),
        warnings=task.warnings,
        labels=task.labels,
    )


def _output(site: Site, session: Session, attempt: Attempt | None, ended: Exit | None) -> Output:
    if attempt is None or session.intent is None:
        return Output()
    answer, shortened = _answer(session, attempt, ANSWER_BYTES)
    return Output(
        text=answer.decode(errors="replace"),
        stdout=_relative(attempt.stdout, session.folder),
        stderr=_relative(attempt.stderr, session.folder),
        log=_relative(
            site.workspace.logs / f"{session.task.tool}-{session.task_id}.log", site.workspace.root
        ),
        truncated=shortened or bool(ended and ended.truncated),
    )


def _answer(session: Session, attempt: Attempt, most_bytes: int) -> tuple[bytes, bool]:
    """Return the end of the stream that holds the answer, and whether that is not all of it."""
    kind = session.intent.output if session.intent else "none"
    if kind == "none":
        return b"", False
    try:
        return read_tail(attempt.stderr if kind == "stderr" else attempt.stdout, most_bytes)
    except FileNotFoundError:
        return b"", False


def _place_answer(site: Site, session: Session, attempt: Attempt | None) -> str | None:
    name = session.intent.output_name if session.intent else None
    if name is None or attempt is None:
        return None
    answer, _ = _answer(session, attempt, 1 << 40)
    return place_output(site.workspace, name, answer)


def _relative(path: Path, root: Path) -> str | None:
    return str(path.relative_to(root)) if path.exists() else None


def _artifacts(folder: Path) -> tuple[str, ...]:
    found = (path for path in (folder / "artifacts").rglob("*") if path.is_file() and not path.is_symlink())
    return tuple(sorted(str(path.relative_to(folder)) for path in found))
