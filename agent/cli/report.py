"""`aispool report --since 18:00`: what the night has done."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import click

from agent.cli.command import command
from agent.cli.place import Place, failed, json_option, pass_place, print_json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent.inspect.report import HostReport, Report


@command("report")
@click.option(
    "--since", default="24h", show_default=True, metavar="WHEN", help="18:00, 12h, 2d, or ISO 8601."
)
@json_option
@pass_place
def report_command(place: Place, *, since: str, as_json: bool) -> None:
    """Say by host what was done, failed, waits and cost; exit 1 when something failed or was rejected.

    18:00 is the last time it was that late here. Cancelled tasks do not count as failed. A rejected file is
    one that never became a task: `aispool clean --rejected DAYS` removes the old ones.

    Examples:
      aispool report --since 18:00
      aispool report --since 7d --json | jq '.hosts[].cost_usd'
      0 7 * * * aispool report --since 18:00 | mail -s 'last night' me
    """
    from agent.inspect.report import parse_since, report, report_document  # noqa: PLC0415 - `--help`

    now = datetime.now().astimezone()
    try:
        moment = parse_since(since, now)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--since") from None
    found = report(place.workspace, moment, now)
    if as_json:
        print_json(report_document(place.workspace, found))
    else:
        for line in _lines(found):
            click.echo(line)
    if found.failed or found.rejected:
        raise failed()


def _lines(found: Report) -> Iterator[str]:
    from agent.sanitize import one_line  # noqa: PLC0415

    local = found.since.astimezone()
    yield f"Since {local:%Y-%m-%d %H:%M} ({local:%Z})"
    for host in found.hosts:
        yield ""
        yield from _host(host)
    yield from _rejected(found)
    waiting = ", ".join(f"{count} {state}" for state, count in found.waiting.items())
    yield f"\nWaits or runs now: {waiting or 'nothing'}"
    yield from (f"  waits for a person: {one_line(task_id)}" for task_id in found.waiting_for_a_person)


def _rejected(found: Report) -> Iterator[str]:
    from agent.cli.table import rows  # noqa: PLC0415

    if not found.rejected:
        return
    yield f"\n{len(found.rejected)} rejected"
    body = [
        (one.name, f"{one.rejected_at.astimezone():%Y-%m-%d %H:%M}", f"{one.what}: {one.remedy}".rstrip(": "))
        for one in found.rejected
    ]
    yield from (f"  {line}" for line in rows(("REJECTED", "AT", "WHY"), body, cut=False))


def _host(host: HostReport) -> Iterator[str]:
    from agent.cli.table import rows, span  # noqa: PLC0415
    from agent.sanitize import one_line  # noqa: PLC0415

    done = f"{host.succeeded} succeeded, {host.failed} failed, {host.cancelled} cancelled"
    yield f"{one_line(host.host)}: {done}, in {host.attempts} attempts"
    yield f"  waited {span(host.wait_s_mean)} on average, {span(host.wait_s_max)} at most"
    yield f"  ran {span(host.run_s_total)} in all"
    yield f"  cost {_cost(host)}"
    if host.failures:
        body = [(f.task_id, f.state, f.tool, f.reason) for f in host.failures]
        yield from (f"  {line}" for line in rows(("FAILED", "STATE", "TOOL", "WHY"), body, cut=False))


def _cost(host: HostReport) -> str:
    money = "unknown (no tool said)" if host.cost_usd is None else f"{host.cost_usd:.4f} USD"
    if host.input_tokens is None and host.output_tokens is None:
        return money
    return f"{money}, {host.input_tokens or 0} tokens in, {host.output_tokens or 0} out"
