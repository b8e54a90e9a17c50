"""Figures over time, for plots: how roles, providers and scores do, what they cost, how much gets done.

They come from the runs and results that are kept, and from the labels, which stay. A bucket is an hour when
the span is at most three days, else a local calendar day; buckets in which nothing happened are there, too,
so that a line over time shows a gap where there is one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from agent.collab import labels
from agent.collab.metrics import document, figures, read_runs
from agent.collab.metrics.sums import Player, mean, quantile
from agent.collab.scores.calibration import PLATT_FROM, Calibrator
from agent.collab.scores.measures import Point, bins
from agent.service.errors import ServiceError
from agent.spending import everything
from spool.records import iso, utc_now

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from agent.collab.runs import Run
    from agent.service.places import Desk
    from spool.workspace import Workspace

HOURS_UP_TO: Final = timedelta(days=3)
MOST_DAYS: Final = 3660


@dataclass(slots=True)
class Bucket:
    """One hour or day.

    Args:
        attempts: of tasks of all tools, that ended in it; their tokens and money are beside it.
        players: (role, provider) → what they did.
    """

    begins: datetime
    runs: int = 0
    consensus: list[float] = field(default_factory=list)
    coverage: list[float] = field(default_factory=list)
    confidence: list[float] = field(default_factory=list)
    players: dict[tuple[str, str], Player] = field(default_factory=dict)
    attempts: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float = 0.0
    unknown_cost: int = 0

    def add_run(self, run: Run) -> None:
        """Count one run, and what its roles asked."""
        self.runs += 1
        shown = run.scores
        for values, value in (
            (self.consensus, shown.consensus.percent),
            (self.coverage, shown.consensus.coverage_percent),
            (self.confidence, shown.confidence.percent),
        ):
            if value is not None:
                values.append(value)
        for play in run.plays:
            for call in play.calls:
                key = (play.role, call.provider)
                player = self.players.setdefault(key, Player(play.role, call.provider, None))
                player.add(call.error, call.duration_s, call.usage)

    def document(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {
            "begins": iso(self.begins),
            "runs": self.runs,
            "consensus_percent_mean": mean(self.consensus),
            "coverage_percent_mean": mean(self.coverage),
            "confidence_percent_mean": mean(self.confidence),
            "attempts": self.attempts,
            "input_tokens": self.input_tokens,
            "output_tokens": self.output_tokens,
            "cost_usd": self.cost_usd,
            "attempts_without_cost": self.unknown_cost,
            "roles": self._parts(0),
            "providers": self._parts(1),
        }

    def _parts(self, which: int) -> dict[str, dict[str, Any]]:
        named: dict[str, list[Player]] = {}
        for key, player in self.players.items():
            named.setdefault(key[which], []).append(player)
        return {name: _part(players) for name, players in sorted(named.items())}


def _part(players: Sequence[Player]) -> dict[str, Any]:
    seconds = [each for player in players for each in player.seconds]
    calls = sum(player.calls for player in players)
    errors: dict[str, int] = {}
    for player in players:
        for kind, count in player.errors.items():
            errors[kind] = errors.get(kind, 0) + count
    return {
        "calls": calls,
        "success_rate": len(seconds) / calls if calls else None,
        "response_s_p50": quantile(seconds, 0.5),
        "response_s_p95": quantile(seconds, 0.95),
        "errors": dict(sorted(errors.items())),
    }


def series(
    desk: Desk, since: datetime | None = None, until: datetime | None = None, *, now: datetime | None = None
) -> dict[str, Any]:
    """Return the figures of a span.

    Args:
        desk: whose own workspace.
        since: with a zone; None: 30 days before `until`.
        until: with a zone; None: now.
        now: the wall clock.

    Returns:
        since, until, bucket (hour or day); buckets: begins (UTC), runs, consensus_percent_mean,
        coverage_percent_mean, confidence_percent_mean (null where no run had one), attempts (of tasks of all
        tools), input_tokens, output_tokens, cost_usd, attempts_without_cost, roles and providers: name →
        calls, success_rate, response_s_p50, response_s_p95, errors (kind → how many); total, players,
        calibration, damaged: as `aispool collab metrics --json` has them; curve: needed, method, and for
        consensus, raw and shown: points (count, score, good: the mean score and the share of good outcomes
        of runs with neighbouring scores), each 0 to 1.

    Raises:
        ServiceError: the span is turned round, or too long.
    """
    end = until or now or utc_now()
    begin = since or end - timedelta(days=30)
    if begin >= end:
        raise ServiceError(
            "invalid", f"{iso(begin)} is not before {iso(end)}: turn them round", field="since"
        )
    if end - begin > timedelta(days=MOST_DAYS):
        raise ServiceError(
            "invalid", f"the span is longer than {MOST_DAYS} days: ask for less", field="since"
        )
    hourly = end - begin <= HOURS_UP_TO
    buckets = {each: Bucket(each) for each in _begins(begin, end, hourly=hourly)}
    kept = [run for run in read_runs(desk.workspace) if begin <= (_moment(run) or _NEVER) < end]
    for run in kept:
        buckets[_begin_of(_moment(run) or _NEVER, hourly=hourly)].add_run(run)
    _add_attempts(buckets, desk.workspace, begin, end, hourly=hourly)
    known = labels.read_all(desk.workspace)
    return {
        "since": iso(begin),
        "until": iso(end),
        "bucket": "hour" if hourly else "day",
        "buckets": [bucket.document() for bucket in buckets.values()],
        **document(figures(kept, known)),
        "curve": _curve(known),
    }


_NEVER: Final = datetime.min.replace(tzinfo=UTC)


def _moment(run: Run) -> datetime | None:
    if run.question is not None:
        return run.question.asked_at
    return min((play.started_at for play in run.plays), default=None)


def _add_attempts(
    buckets: dict[datetime, Bucket], workspace: Workspace, begin: datetime, end: datetime, *, hourly: bool
) -> None:
    for spending in everything(workspace, begin):
        if spending.finished_at >= end:
            continue
        bucket = buckets[_begin_of(spending.finished_at, hourly=hourly)]
        bucket.attempts += 1
        bucket.input_tokens += spending.usage.input_tokens or 0
        bucket.output_tokens += spending.usage.output_tokens or 0
        bucket.cost_usd += spending.usage.cost_usd or 0.0
        bucket.unknown_cost += spending.usage.cost_usd is None


def _begin_of(moment: datetime, *, hourly: bool) -> datetime:
    local = moment.astimezone()
    if hourly:
        return local.replace(minute=0, second=0, microsecond=0).astimezone(UTC)
    # each day has its own offset: midnight is found by the wall clock
    return datetime(local.year, local.month, local.day).astimezone().astimezone(UTC)


def _begins(begin: datetime, end: datetime, *, hourly: bool) -> Iterator[datetime]:
    at = _begin_of(begin, hourly=hourly)
    while at < end:
        yield at
        # a day has 23 to 25 hours, so one and a half lead into the next
        at = at + timedelta(hours=1) if hourly else _begin_of(at + timedelta(hours=36), hourly=False)


def _curve(known: labels.Labels) -> dict[str, Any]:
    calibrator = Calibrator.fit(known.outcomes())
    return {
        "needed": PLATT_FROM,
        "labels": calibrator.labels,
        "method": calibrator.method,
        "consensus": _points((x.consensus_percent, x.good) for x in known.known),
        "raw": _points((x.raw if x.raw is None else 100 * x.raw, x.good) for x in known.known),
        "shown": _points((x.shown_percent if x.calibrated else None, x.good) for x in known.known),
    }


def _points(percents: Iterable[tuple[float | None, bool]]) -> list[dict[str, Any]]:
    points: list[Point] = [(percent / 100, good) for percent, good in percents if percent is not None]
    return [{"count": each.count, "score": each.score, "good": each.good} for each in bins(points)]
