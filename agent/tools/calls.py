"""What the calls of a batched attempt came to: each is judged by the tool's adapter, the attempt by all."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from agent.tools.adapters import adapter_of
from agent.tools.answer import answer_problem, joined
from agent.tools.batches import Batches, End
from agent.tools.report import Outcome, Report
from spool.files import read_regular
from spool.records import Usage

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from agent.tools.adapter import Said
    from agent.tools.definition import ToolDefinition
    from spool.task import Task

Number = TypeVar("Number", int, float)


def read_call(tool: ToolDefinition, task: Task, said: Said) -> Report:
    """Say what one call of a tool came to, the form of its answer included."""
    report = adapter_of(tool).read(said)
    problem = answer_problem(tool, task, report.text) if report.outcome is Outcome.SUCCESS else None
    return replace(report, outcome=Outcome.BAD_ANSWER, reason=problem) if problem else report


def read_calls_of(tool: ToolDefinition, task: Task, attempt: Path, said: Said) -> Report:
    """Say what an attempt came to that consists of several calls.

    Its usage is that of the calls that it made itself; what earlier attempts paid for stands with them.

    Args:
        tool: what was run.
        task: what was asked.
        attempt: the attempt's folder.
        said: what was seen of the attempt as a whole.
    """
    batches = Batches.of(attempt)
    count = len(batches.plan())
    done = [batches.done(number) for number in range(1, count + 1)]
    found = [record for record in done if record is not None]
    usage = [record.usage for record in found if record.attempt == int(attempt.name)]
    text = joined(tool, task, [record.text for record in found]) if found else ""
    if len(found) == count and said.ended_by is None and said.exit_code == 0:
        return Report(Outcome.SUCCESS, f"all {count} parts were answered", text, usage_of(usage))
    number = done.index(None) + 1 if None in done else count
    report = read_call(tool, task, _said_by(batches, number, int(attempt.name), said))
    outcome = Outcome.FAILED if report.outcome is Outcome.SUCCESS else report.outcome
    return Report(
        outcome=outcome,
        reason=f"part {number} of {count}: {report.reason}",
        text=text,
        usage=usage_of([*usage, report.usage] if None in done else usage),
        retry_after_s=report.retry_after_s,
    )


def usage_of(usages: Iterable[Usage]) -> Usage:
    """Add up; what no tool said stays unsaid."""
    totals = Usage()
    for usage in usages:
        totals = Usage(
            input_tokens=_sum(totals.input_tokens, usage.input_tokens),
            output_tokens=_sum(totals.output_tokens, usage.output_tokens),
            cost_usd=_sum(totals.cost_usd, usage.cost_usd),
        )
    return totals


def _sum(first: Number | None, second: Number | None) -> Number | None:
    return second if first is None else first if second is None else first + second


def _said_by(batches: Batches, number: int, attempt: int, said: Said) -> Said:
    """Return what was seen of the call that the attempt ended in."""
    stdout, stderr = (_content(batches.file(number, suffix)) for suffix in ("out", "err"))
    if stdout is None:
        return replace(said, stdout=b"", session_id=None)  # it ended before the call began
    own = replace(said, stdout=stdout, stderr=stderr or b"", session_id=None)
    end = End.read(batches.file(number, "end"))
    if end is None or end.attempt != attempt or said.ended_by is not None or said.signal is not None:
        return own
    return replace(own, exit_code=end.exit_code, signal=end.signal)


def _content(file: Path) -> bytes | None:
    try:
        return read_regular(file, 1 << 30)
    except FileNotFoundError:
        return None
