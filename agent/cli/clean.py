"""`aispool clean`: what the agent prunes at its leisure, now; and what no agent ever removes."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from agent.cli.command import command
from agent.cli.place import Place, json_option, pass_place, print_json

if TYPE_CHECKING:
    from pathlib import Path


@command("clean")
@click.option(
    "--rejected", "rejected_days", type=click.FloatRange(min=0), metavar="DAYS",
    help="Also remove rejected files older than this.",
)  # fmt: skip
@json_option
@pass_place
def clean_command(place: Place, *, rejected_days: float | None, as_json: bool) -> None:
    """Remove what retention no longer keeps, and what broken-off uploads left behind for over a day.

    keep_days, keep_count, keep_bytes and keep_log_days of configs/agent.toml say what is kept. The result of
    a task that a waiting one depends on always is.

    Examples:
      aispool clean
      aispool clean --rejected 30
    """
    from agent.host.retention import prune_now  # noqa: PLC0415 - `--help` needs none of it
    from agent.inspect.documents import document  # noqa: PLC0415
    from agent.sanitize import one_line  # noqa: PLC0415
    from agent.service.leftovers import remove_rejected, remove_temporary  # noqa: PLC0415
    from spool.records import utc_now  # noqa: PLC0415

    pruned = asdict(prune_now(place.workspace, place.config, utc_now()))
    temporary = remove_temporary(place.workspace, time.time())
    rejected: list[Path] = []
    if rejected_days is not None:
        rejected = remove_rejected(place.workspace, time.time() - rejected_days * 86400)
    if as_json:
        print_json(
            document(
                place.workspace,
                pruned=pruned,
                temporary=[str(path) for path in temporary],
                rejected=[str(path) for path in rejected],
            )
        )
        return
    for name, value in pruned.items():
        amount = len(value) if isinstance(value, list | tuple | set | frozenset) else value
        click.echo(f"{name.replace('_', ' ')}: {amount}")
    for path in (*temporary, *rejected):
        click.echo(f"removed {one_line(path)}")
    click.echo(f"{len(temporary)} leftovers and {len(rejected)} rejected files removed")
