"""`aispool audit search`: entries of the audit log."""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING

import click

from agent.cli.command import command
from agent.cli.place import Place, json_option, pass_place, print_json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent.audit import Entry


@command("search")
@click.argument("text", required=False)
@click.option("--task", "task_id", metavar="ID", help="Only entries about this task.")
@click.option("--event", metavar="WORD", help="Only this event: asked, proposed, rated, approved, run …")
@click.option("--who", metavar="NAME", help="Only what this person, role or program did.")
@click.option("--since", metavar="WHEN", help="18:00, 12h, 2d, or ISO 8601.")
@json_option
@pass_place
def search_command(
    place: Place,
    *,
    text: str | None,
    task_id: str | None,
    event: str | None,
    who: str | None,
    since: str | None,
    as_json: bool,
) -> None:
    """List entries of the audit log, the oldest first; TEXT is looked for in all of an entry.

    Examples:
      aispool audit search nginx --since 2d
      aispool audit search --task ID --json | jq '.entries[].details'
    """
    from agent.inspect.documents import document  # noqa: PLC0415 - `--help` needs none of it
    from agent.inspect.report import parse_since  # noqa: PLC0415
    from agent.service.audit import Filter, matching  # noqa: PLC0415
    from spool.records import iso  # noqa: PLC0415

    try:
        moment = iso(parse_since(since, datetime.now().astimezone())) if since else ""
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--since") from None
    wanted = Filter(text=text, task_id=task_id, event=event, who=who, since=moment)
    found = list(matching(place.workspace, wanted))
    if as_json:
        print_json(document(place.workspace, entries=[each.document() for each in found]))
    else:
        for line in _lines(found):
            click.echo(line)


def _lines(found: list[Entry]) -> Iterator[str]:
    from agent.cli.table import rows  # noqa: PLC0415

    if not found:
        yield "no entry is like that"
        return
    body = [
        (each.n, each.at, each.event, each.who, each.task_id or "-", _details(each.details)) for each in found
    ]
    yield from rows(("N", "AT", "EVENT", "WHO", "TASK", "DETAILS"), body)


def _details(details: dict[str, object]) -> str:
    return " ".join(f"{name}={_said(value)}" for name, value in details.items())


def _said(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
