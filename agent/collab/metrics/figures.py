"""Adding up: by role and provider, by day, and over all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent.collab.metrics.sums import Calibration, Day, Player, Quality
from agent.collab.scores.calibration import Calibrator

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date, datetime

    from agent.collab.labels import Labels
    from agent.collab.runs import Play, Run


@dataclass(frozen=True, slots=True)
class Figures:
    """All of it.

    Args:
        damaged: files that could not be read, and why.
    """

    total: Day
    days: tuple[Day, ...]
    players: tuple[Player, ...]
    calibration: Calibration
    damaged: tuple[str, ...]


def figures(runs: Iterable[Run], labels: Labels, since: datetime | None = None) -> Figures:
    """Add up the runs that were asked for since then; labels count whenever their run was."""
    chosen = [(moment, run) for run in runs if (moment := _moment(run)) and (not since or moment >= since)]
    players: dict[tuple[str, str, str], Player] = {}
    days: dict[date, Day] = {}
    total = Day(None)
    for moment, run in chosen:
        local = moment.astimezone().date()
        total.add(run)
        days.setdefault(local, Day(local)).add(run)
        for play in run.plays:
            _add_play(players, play)
    return Figures(
        total=total,
        days=tuple(days[day] for day in sorted(days)),
        players=tuple(players[key] for key in sorted(players)),
        calibration=calibration(labels),
        damaged=tuple(each for _, run in chosen for each in run.damaged) + labels.damaged,
    )


def calibration(labels: Labels) -> Calibration:
    """Tell how well the scores foretold what was labelled."""
    known = labels.known
    return Calibration(
        labels=len(known),
        good=sum(label.good for label in known),
        method=Calibrator.fit(labels.outcomes()).method,
        consensus=Quality.of(
            [(x.consensus_percent / 100, x.good) for x in known if x.consensus_percent is not None]
        ),
        raw=Quality.of([(x.raw, x.good) for x in known if x.raw is not None]),
        shown=Quality.of(
            [(x.shown_percent / 100, x.good) for x in known if x.calibrated and x.shown_percent is not None]
        ),
    )


def _moment(run: Run) -> datetime | None:
    if run.question is not None:
        return run.question.asked_at
    return min((play.started_at for play in run.plays), default=None)


def _add_play(players: dict[tuple[str, str, str], Player], play: Play) -> None:
    for call in play.calls:
        _player(players, play.role, call.provider, call.model).add(call.error, call.duration_s, call.usage)
    if play.provider is not None and play.checks_made:
        judged = _player(players, play.role, play.provider, play.model)
        judged.checks_passed += play.checks_passed
        judged.checks_made += play.checks_made


def _player(
    players: dict[tuple[str, str, str], Player], role: str, provider: str, model: str | None
) -> Player:
    return players.setdefault((role, provider, model or ""), Player(role, provider, model))
