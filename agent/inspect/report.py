"""What happened since a moment: by host done, failed, waits and cost; what was refused; what waits now."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING, Any, Final

from agent.config import host_name
from agent.inspect.documents import document
from agent.inspect.queue import counts
from agent.inspect.rejections import Rejection, rejections
from spool.records import Result, State, iso
from spool.task import parse_time
from spool.view import finished, in_session

if TYPE_CHECKING:
    from spool.workspace import Workspace

_CLOCK: Final = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)")
_SPAN: Final = re.compile(r"(\d+(?:\.\d+)?) *(min|m|h|d|w)")
_SPAN_S: Final = {"m": 60, "min": 60, "h": 3600, "d": 86400, "w": 604_800}


@dataclass(frozen=True, slots=True)
class Failure:
    """One task that did not succeed."""

    task_id: str
    state: str
    reason: str
    tool: str
    finished_at: str


@dataclass(slots=True)
class HostReport:
    """One host's part; times are seconds, sums over tasks.

    Args:
        wait_s_mean: from being submitted to the first start.
        cost_usd: null when no tool said what it cost.
    """

    host: str
    succeeded: int = 0
    failed: int = 0
    cancelled: int = 0
    failures: list[Failure] = field(default_factory=list)
    attempts: int = 0
    wait_s_mean: float | None = None
    wait_s_max: float | None = None
    run_s_total: float = 0.0
    cost_usd: float | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """All hosts, what this workspace refused, and what waits in it now."""

    since: datetime
    until: datetime
    hosts: list[HostReport]
    rejected: list[Rejection]
    waiting: dict[str, int]
    waiting_for_a_person: list[str]

    @property
    def failed(self) -> int:
        """Count what failed."""
        return sum(host.failed for host in self.hosts)


def parse_since(text: str, now: datetime) -> datetime:
    """Read a moment in the past: `18:00` (the last one), `12h`, `2d`, or ISO 8601.

    Args:
        text: as the person wrote it; a clock time is the host's local time.
        now: of any zone.

    Raises:
        ValueError: it is none of these, or lies ahead.
    """
    if clock := _CLOCK.fullmatch(text.strip()):
        return _last(time(int(clock[1]), int(clock[2])), now)
    if span := _SPAN.fullmatch(text.strip()):
        return now - timedelta(seconds=float(span[1]) * _SPAN_S[span[2]])
    try:
        moment = parse_time(text.strip())
    except ValueError:
        raise ValueError(f"{text!r} is not a time: write 18:00, 12h, 2d, or 2026-11-30T22:00:00Z") from None
    if moment > now:
        raise ValueError(f"{text!r} lies ahead")
    return moment


def _last(clock: time, now: datetime) -> datetime:
    """Return when it was last that late here; each day has its own offset, and one may have an hour twice."""
    today = now.astimezone().date()
    local = (
        datetime.combine(today - timedelta(days=days), clock.replace(fold=fold))
        for days in (0, 1)
        for fold in (0, 1)
    )
    return max(moment for each in local if (moment := each.astimezone()) <= now)


def report(workspace: Workspace, since: datetime, now: datetime) -> Report:
    """Read all results that ended since then, and all refusals."""
    by_host: dict[str, list[Result]] = {}
    for view in finished(workspace, None):
        result = view.result
        if result is not None and since <= result.finished_at <= now:
            by_host.setdefault(result.host, []).append(result)
    hosts = [_of_host(host, results) for host, results in sorted(by_host.items())]
    return Report(
        since=since.astimezone(UTC),
        until=now.astimezone(UTC),
        hosts=hosts or [HostReport(host_name())],
        rejected=rejections(workspace, since, now),
        waiting=counts(workspace),
        waiting_for_a_person=[v.task_id for v in in_session(workspace) if v.state is State.WAITING_INPUT],
    )


def _of_host(host: str, results: list[Result]) -> HostReport:
    waits = [max(0.0, (r.started_at - r.submitted_at).total_seconds()) for r in results if r.started_at]
    own = HostReport(host)
    for result in results:
        if result.state is State.SUCCEEDED:
            own.succeeded += 1
        elif result.state is State.CANCELLED:
            own.cancelled += 1
        else:
            own.failed += 1
            own.failures.append(_failure(result))
    own.attempts = sum(len(result.attempts) for result in results)
    own.wait_s_mean = round(sum(waits) / len(waits), 3) if waits else None
    own.wait_s_max = round(max(waits), 3) if waits else None
    own.run_s_total = round(sum(result.duration_s or 0.0 for result in results), 3)
    own.cost_usd = _sum([result.usage.cost_usd for result in results])
    own.input_tokens = _sum([result.usage.input_tokens for result in results])
    own.output_tokens = _sum([result.usage.output_tokens for result in results])
    return own


def _sum(values: list[Any]) -> Any:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def _failure(result: Result) -> Failure:
    finished_at = iso(result.finished_at)
    return Failure(result.task_id, str(result.state), result.reason, result.tool, finished_at)


def report_document(workspace: Workspace, found: Report) -> dict[str, Any]:
    """Return it as JSON has it."""
    return document(
        workspace,
        since=iso(found.since),
        until=iso(found.until),
        failed=found.failed,
        hosts=[asdict(host) for host in found.hosts],
        rejected=[{**asdict(one), "rejected_at": iso(one.rejected_at)} for one in found.rejected],
        waiting=found.waiting,
        waiting_for_a_person=found.waiting_for_a_person,
    )
