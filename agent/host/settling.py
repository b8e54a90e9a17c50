"""The end of an attempt: tried again later, or a result. Settling again after a kill comes to the same."""

from __future__ import annotations

import errno
from datetime import timedelta
from typing import TYPE_CHECKING

from agent import log
from agent.host.outcome import is_parked, next_delay_s
from agent.host.reading import records_of, report_of
from agent.host.runners import remember
from agent.host.session import attempts_of_this_run, read_exit
from agent.host.worktree import finish_worktree
from spool.files import read_tail
from spool.records import Output, Result, State, Usage
from spool.results import place_output

if TYPE_CHECKING:
    from pathlib import Path

    from agent.host.session import Session
    from agent.host.site import Site
    from agent.tools.report import Report
    from spool.attempt import Attempt
    from spool.records import AttemptRecord, Exit

ANSWER_CHARACTERS = 256 << 10
"""How much of an answer stands in result.json; all of it stands in its file."""


def settle(site: Site, session: Session) -> Result | None:
    """Judge the last attempt, which is over: None when the task goes on later, else its result.

    The result is not on disk yet: `spool.results.finish` puts it there.

    Raises:
        OSError: the disk, or another agent has moved it to results/; calling again goes on.
    """
    session.records = _judged(site, session)
    if not session.records:
        raise FileNotFoundError(errno.ENOENT, "its attempts are gone", str(session.folder))
    last = session.records[-1]
    if session.intent is not None:
        remember(site.workspace, session.task.tool, last.tool_session_id, session.intent.config_dir)
    if session.cancelled and last.state is not State.SUCCEEDED:
        return result_of(site, session, State.CANCELLED, "cancelled")
    if last.retry_after_s is None:
        return result_of(site, session, last.state, last.reason)
    ended_at = last.finished_at or site.utc_now()
    session.next_attempt_at = ended_at + timedelta(seconds=last.retry_after_s)
    session.parked = is_parked(last)
    again = "goes on when the limit ends" if session.parked else "tried again"
    session.change(site, State.DEFERRED, f"attempt {last.number} ended with: {last.reason}; {again}")
    log.info("attempt failed", task_id=session.task_id, attempt=last.number, reason=last.reason)
    return None


def _judged(site: Site, session: Session) -> tuple[AttemptRecord, ...]:
    """Return all attempts, those of this run with the time after which each is followed by another."""
    records = records_of(site, session)
    numbers = {attempt.number for attempt in attempts_of_this_run(session.folder)}
    earlier = tuple(record for record in records if record.number not in numbers)
    return earlier + _with_delays(site, session, records[len(earlier) :])


def _with_delays(
    site: Site, session: Session, records: tuple[AttemptRecord, ...]
) -> tuple[AttemptRecord, ...]:
    """Add to each attempt after how long it is followed by another; the answer is the same every time."""
    patience_s = site.config.rate_limit_patience_s
    delays = [
        next_delay_s(session.task, records[: number + 1], patience_s=patience_s)
        for number in range(len(records))
    ]
    return tuple(
        record.model_copy(update={"retry_after_s": None if delay_s is None else round(delay_s, 3)})
        for record, delay_s in zip(records, delays, strict=True)
    )


def result_of(site: Site, session: Session, state: State, reason: str) -> Result:
    """Return the result of a session whose attempts are over, its answer put where the task wants it."""
    task, records, intent = session.task, session.records, session.intent
    attempt = session.attempt
    ended = read_exit(attempt) if attempt else None
    report = report_of(site, session, attempt, ended, intent) if attempt and ended else None
    placed: str | None = None
    if state is State.SUCCEEDED and report is not None and attempt is not None:
        problem = _place_answer(site, session, attempt, report)
        if problem is not None:
            state, reason = State.FAILED, f"the tool succeeded, but its answer was not written: {problem}"
        elif intent is not None:
            placed = intent.output_name
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
        outcome=records[-1].outcome if records else None,
        exit_code=ended.exit_code if ended else None,
        signal=ended.signal if ended else None,
        host=site.host,
        session=intent.session if intent else None,
        source_name=task.source_name,
        submitted_at=task.submitted_at,
        started_at=started_at,
        finished_at=finished_at,
        duration_s=None if duration_s is None else round(duration_s, 3),
        attempts=records,
        output=_output(site, session, ended, report).model_copy(update={"file": placed}),
        usage=_sum_of([record.usage for record in records]),
        tool_session_id=records[-1].tool_session_id if records else None,
        artifacts=_artifacts(session.folder),
        worktree=finish_worktree(session.folder),
        warnings=task.warnings,
        labels=task.labels,
    )


def _sum_of(usages: list[Usage]) -> Usage:
    """Add up what is known; what no attempt said stays unknown."""

    def total(values: list[float | None]) -> float | None:
        known = [value for value in values if value is not None]
        return sum(known) if known else None

    tokens_in = total([usage.input_tokens for usage in usages])
    tokens_out = total([usage.output_tokens for usage in usages])
    return Usage(
        input_tokens=None if tokens_in is None else int(tokens_in),
        output_tokens=None if tokens_out is None else int(tokens_out),
        cost_usd=total([usage.cost_usd for usage in usages]),
    )


def _output(site: Site, session: Session, ended: Exit | None, report: Report | None) -> Output:
    attempt = session.attempt
    if attempt is None or report is None:
        return Output()
    log_file = site.workspace.logs / f"{session.task.tool}-{session.task_id}.log"
    return Output(
        text=report.text[-ANSWER_CHARACTERS:],
        stdout=_relative(attempt.stdout, session.folder),
        stderr=_relative(attempt.stderr, session.folder),
        log=_relative(log_file, site.workspace.root),
        truncated=len(report.text) > ANSWER_CHARACTERS or bool(ended and ended.truncated),
    )


def _place_answer(site: Site, session: Session, attempt: Attempt, report: Report) -> str | None:
    intent = session.intent
    if intent is None or intent.output_name is None:
        return None
    answer = report.text.encode(errors="replace")
    if report.is_stream:
        answer = read_tail(attempt.stderr if intent.output == "stderr" else attempt.stdout, 1 << 40)[0]
    return place_output(site.workspace, intent.output_name, answer)


def _relative(path: Path, root: Path) -> str | None:
    return str(path.relative_to(root)) if path.exists() else None


def _artifacts(folder: Path) -> tuple[str, ...]:
    found = (path for path in (folder / "artifacts").rglob("*") if path.is_file() and not path.is_symlink())
    return tuple(sorted(str(path.relative_to(folder)) for path in found))
