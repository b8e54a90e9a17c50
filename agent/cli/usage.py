"""`aispool usage`: tokens and money, by tool, day or label; and what is left of the day's budgets."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import click

from agent.cli.command import command
from agent.cli.place import Place, json_option, pass_place, print_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from agent.budget import Spent
    from agent.inspect.usage import By, Part, UsageReport


@command("usage")
@click.option(
    "--by", type=click.Choice(["tool", "day", "label"]), default="tool", show_default=True, help="The parts."
)
@click.option("--since", metavar="WHEN", help="18:00, 12h, 2d, or ISO 8601. Default: all that is kept.")
@json_option
@pass_place
def usage_command(place: Place, *, by: By, since: str | None, as_json: bool) -> None:
    """Add up the tokens and the money of all attempts, those of tasks that still go on included.

    What a tool does not say is unknown, not 0: a sum that misses some has a + behind it, and the last
    column says of how many attempts nothing is known. By label, a task with two labels counts for both;
    the total counts it once.

    Examples:
      aispool usage
      aispool usage --by day --since 7d
      aispool usage --by label --since 2026-11-01 --json | jq '.parts[] | {label, cost_usd}'
    """
    from agent.cli.unread import usable_config  # noqa: PLC0415
    from agent.inspect.report import parse_since  # noqa: PLC0415 - `--help` needs none of it
    from agent.inspect.usage import usage, usage_document  # noqa: PLC0415

    now = datetime.now().astimezone()
    try:
        moment = parse_since(since, now) if since else None
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--since") from None
    config = usable_config(place, "budgets are left out")
    found = usage(place.workspace, by, moment, now, config.budgets)
    if as_json:
        print_json(usage_document(place.workspace, found))
        return
    for line in _lines(found):
        click.echo(line)


def _lines(found: UsageReport) -> Iterator[str]:
    from agent.cli.table import rows  # noqa: PLC0415

    if found.since is not None:
        local = found.since.astimezone()
        yield f"Since {local:%Y-%m-%d %H:%M} ({local:%Z})"
    if not found.parts:
        yield "nothing was run"
    else:
        head = (found.by.upper(), "TASKS", "ATTEMPTS", "TOKENS IN", "TOKENS OUT", "COST", "UNKNOWN")
        body = [_row(part.key or "(none)", part) for part in found.parts]
        yield from rows(head, [*body, _row("total", found.total)])
    if found.budgets:
        yield "\nToday's budgets"
        head = ("BUDGET", "STATE", "ATTEMPTS", "TOKENS IN", "TOKENS OUT", "COST", "UNKNOWN")
        states = ["used up" if one.budget.used_up(one.spent) else "open" for one in found.budgets]
        body = [
            (one.budget.name, state, one.spent.attempts, *_amounts(one.spent))
            for one, state in zip(found.budgets, states, strict=True)
        ]
        yield from rows(head, body)


def _row(name: str, part: Part) -> tuple[object, ...]:
    return (name, len(part.tasks), part.spent.attempts, *_amounts(part.spent))


def _amounts(spent: Spent) -> tuple[str, ...]:
    """Return tokens in and out, the cost, and of how many attempts they are unknown."""
    tokens = _sum(spent, spent.unknown_tokens)
    cost = _sum(spent, spent.unknown_cost)
    missing = [
        f"{count} {what}"
        for count, what in ((spent.unknown_cost, "cost"), (spent.unknown_tokens, "tokens"))
        if count
    ]
    return (
        tokens(f"{spent.input_tokens:,}"),
        tokens(f"{spent.output_tokens:,}"),
        cost(f"{spent.cost_usd:.4f} USD"),
        ", ".join(missing) or "-",
    )


def _sum(spent: Spent, unknown: int) -> Callable[[str], str]:
    def said(amount: str) -> str:
        if unknown == spent.attempts > 0:
            return "unknown"
        return f"{amount} +" if unknown else amount

    return said
