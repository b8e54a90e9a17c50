"""`aispool collab metrics`: how roles and providers do."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from agent.cli.command import command
from agent.cli.place import Place, json_option, pass_place, print_json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent.collab.metrics import Calibration, Day, Figures, Player, Quality


@command("metrics")
@click.option("--since", metavar="WHEN", help="18:00, 12h, 2d, or ISO 8601. Default: all that is kept.")
@click.option(
    "--prometheus",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write them to FILE in Prometheus' text format, whole or not at all.",
)
@json_option
@pass_place
def metrics_command(place: Place, *, since: str | None, prometheus: Path | None, as_json: bool) -> None:
    """Show by role and provider: response times, success, errors, tokens, money, the validator's marks.

    Beside them the mean consensus and confidence, by day, and how well the scores foretold the outcomes
    that were labelled. They come from the runs that are kept (keep_days of agent.toml); labels stay for
    good. A sum with a + behind it misses what a provider does not say.

    Examples:
      aispool collab metrics
      aispool collab metrics --since 7d --json | jq '.players[] | {role, provider, response_s_p95}'
      * * * * * aispool collab metrics --prometheus /var/lib/node_exporter/aispool.prom
    """
    from agent.collab import labels  # noqa: PLC0415 - `--help` needs none of it
    from agent.collab.metrics import document, exposition, figures, read_runs  # noqa: PLC0415
    from agent.inspect.documents import document as frame  # noqa: PLC0415
    from agent.inspect.report import parse_since  # noqa: PLC0415

    try:
        moment = parse_since(since, datetime.now().astimezone()) if since else None
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--since") from None
    found = figures(read_runs(place.workspace), labels.read_all(place.workspace), moment)
    if prometheus is not None:
        _put_readable(prometheus, exposition(found).encode())
    if as_json:
        print_json(frame(place.workspace, **document(found)))
    elif prometheus is None:
        for line in _lines(found):
            click.echo(line)


def _put_readable(path: Path, content: bytes) -> None:
    """Replace a file that other users may read: the collector is one of them."""
    from spool.files import move, put  # noqa: PLC0415

    beside = path.absolute().with_name(f".{path.name}.new")
    put(beside, content)
    beside.chmod(0o644)
    move(beside, path.absolute())


def _lines(found: Figures) -> Iterator[str]:
    from agent.cli.table import rows  # noqa: PLC0415
    from agent.sanitize import one_line  # noqa: PLC0415

    if not found.total.runs:
        yield "no collaborative run is kept"
    else:
        head = (
            "ROLE",
            "PROVIDER",
            "MODEL",
            "CALLS",
            "OK",
            "P50",
            "P95",
            "IN",
            "OUT",
            "COST",
            "PASSED",
            "ERRORS",
        )
        yield from rows(head, [_player(player) for player in found.players])
        yield ""
        by_day = ("DAY", "RUNS", "CONSENSUS", "COVERAGE", "CONFIDENCE", "CALLS", "FAILED", "COST")
        yield from rows(by_day, [_day(day) for day in (*found.days, found.total)])
    yield ""
    yield from _calibration(found.calibration)
    for why in found.damaged:
        yield one_line(f"left out: {why}")


def _player(player: Player) -> tuple[object, ...]:
    shown = player.document()
    errors = ", ".join(f"{count} {kind}" for kind, count in sorted(player.errors.items()))
    return (
        *(player.role, player.provider, player.model or "-", player.calls, _share(player.success_rate)),
        *(_seconds(shown["response_s_p50"]), _seconds(shown["response_s_p95"])),
        *(_count(player.input_tokens), _count(player.output_tokens)),
        _cost(player.cost_usd) + (" +" if player.unknown_cost and player.cost_usd is not None else ""),
        _share(player.pass_rate),
        errors or "-",
    )


def _day(day: Day) -> tuple[object, ...]:
    shown = day.document()
    return (
        *(day.day or "all", day.runs),
        *(_percent(shown[f"{name}_percent_mean"]) for name in ("consensus", "coverage", "confidence")),
        *(day.calls, day.failed_calls, _cost(day.cost_usd)),
    )


def _calibration(found: Calibration) -> Iterator[str]:
    from agent.cli.table import rows  # noqa: PLC0415
    from agent.collab.scores.calibration import PLATT_FROM  # noqa: PLC0415

    state = f"calibrated ({found.method})" if found.method else f"uncalibrated until there are {PLATT_FROM}"
    yield f"{found.labels} runs are labelled, {found.good} of them good; Confidence is {state}"
    if found.labels:
        scores = (("consensus", found.consensus), ("raw confidence", found.raw), ("as shown", found.shown))
        yield from rows(("SCORE", "LABELS", "AUROC", "ECE", "BRIER"), [_quality(*each) for each in scores])


def _quality(name: str, quality: Quality) -> tuple[object, ...]:
    return (name, quality.labels, *(_number(value) for value in (quality.auroc, quality.ece, quality.brier)))


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _share(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.0f}%"


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f}%"


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f} s"


def _count(value: int | None) -> str:
    return "-" if value is None else f"{value:,}"


def _cost(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f} USD"
