"""Reading an attempt with its tool's adapter: what it said, what it cost, and where it can go on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from agent.host.outcome import record_of
from agent.host.session import read_exit
from agent.tools.adapter import Said
from agent.tools.adapters import plain_adapter
from agent.tools.answer import plain_answer
from agent.tools.batches import is_batched
from agent.tools.calls import read_call, read_calls_of
from agent.tools.report import Outcome, Report
from spool.attempt import attempts_of
from spool.files import read_tail
from spool.records import Intent

if TYPE_CHECKING:
    from agent.host.session import Session
    from agent.host.site import Site
    from spool.attempt import Attempt
    from spool.records import AttemptRecord, Exit

MOST_READ_BYTES = 256 << 20
"""Beyond what any stream's cap allows."""
NOT_READ = Report(Outcome.FAILED, "its tool is not defined any more, so nobody can say what it came to")


def report_of(site: Site, session: Session, attempt: Attempt, ended: Exit, intent: Intent | None) -> Report:
    """Ask the tool's adapter what an attempt came to."""
    tool = site.registry.get(session.task.tool)
    if intent is None or tool is None:
        return NOT_READ
    said = Said(
        exit_code=ended.exit_code,
        signal=ended.signal,
        # ended at a limit, it is judged by what it said
        ended_by=None if ended.ended_by == "limit" else ended.ended_by,
        stdout=_content(attempt.stdout),
        stderr=_content(attempt.stderr),
        interactive=intent.interactive,
        finished_at=ended.finished_at,
        config_dir=Path(intent.config_dir) if intent.config_dir else None,
        session_id=intent.tool_session_id,
    )
    if is_batched(attempt.folder):
        return read_calls_of(tool, session.task, attempt.folder, said)
    report = read_call(tool, session.task, said)
    if plain_adapter(tool) and tool.session_resume and said.session_id is not None:
        # a tool of tools.toml that says how a conversation goes on: nobody can look into it
        report = replace(report, can_resume=True)
    return replace(report, text=plain_answer(tool, session.task, report.text))


def records_of(site: Site, session: Session) -> tuple[AttemptRecord, ...]:
    """Return all attempts that are over, earlier runs included."""
    records = []
    for attempt in attempts_of(session.folder):
        ended = read_exit(attempt)
        if ended is not None:
            intent = Intent.read(attempt.intent)
            report = report_of(site, session, attempt, ended, intent)
            cluster = _content(attempt.ended_by_cluster).decode(errors="replace").strip()
            records.append(record_of(attempt.number, ended, intent, report, cluster or None))
    return tuple(records)


def _content(path: Path) -> bytes:
    try:
        return read_tail(path, MOST_READ_BYTES)[0]
    except FileNotFoundError:
        return b""
