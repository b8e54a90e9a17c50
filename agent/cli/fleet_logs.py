"""`aispool fleet logs`: the logs of all hosts as one, merged by time."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING

import click

from agent.cli.command import command
from agent.cli.place import Place, pass_place

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agent.fleet.central import Line


@command("logs")
@click.option("--follow", "-f", is_flag=True, help="Go on with what comes in.")
@click.option("--grep", "pattern", metavar="REGEX", help="Only lines that match.")
@click.option("--host", "hosts", multiple=True, metavar="HOST", help="Only of this one; repeatable.")
@click.option("--lines", "-n", type=click.IntRange(min=0), metavar="N", help="Only the last N lines.")
@pass_place
def logs_command(
    place: Place, *, follow: bool, pattern: str | None, hosts: tuple[str, ...], lines: int | None
) -> None:
    """Print the collected logs of all hosts, by the time of each line.

    A line without a time of its own (what a tool printed) stands where the line before it does, or else where
    its log was last written. Hosts' clocks may differ, and so does the order then.

    Examples:
      aispool fleet logs -n 100
      aispool fleet logs -f --grep 'WARNING|ERROR'
      aispool fleet logs --host gpu-box --grep nightly
    """
    from agent.fleet.central import follow as follow_logs  # noqa: PLC0415 - `--help` needs none of it
    from agent.fleet.central import merged  # noqa: PLC0415
    from agent.fleet.layout import Fleet  # noqa: PLC0415

    try:
        wanted = re.compile(pattern or "")
    except re.error as error:
        raise click.BadParameter(f"it is no regular expression: {error}", param_hint="--grep") from None
    mirrors = [one for one in Fleet(place.workspace).mirrors() if not hosts or one.name in hosts]
    offsets: dict[str, int] = {}
    _print(merged(mirrors, wanted, lines, offsets))
    if follow:
        for some in follow_logs(mirrors, wanted, offsets):
            _print(some)


def _print(lines: Iterable[Line]) -> None:
    for line in lines:
        click.echo(f"{line.host} {line.log}: {line.text}")
    sys.stdout.flush()
