"""`aispool pause` and `aispool resume`: files in configs/ that stop claiming; what runs goes on."""

from __future__ import annotations

from typing import Any

import click

from agent.cli.command import command
from agent.cli.each import warn
from agent.cli.hosts import host_option
from agent.cli.place import Place, pass_place


def _which(function: Any) -> Any:
    group = click.option("--group", metavar="NAME", help="Only the tasks of this group.")
    tool = click.option("--tool", metavar="NAME", help="Only the tasks of this tool.")
    return host_option(tool(group(function)))


@command("pause")
@_which
@pass_place
def pause_command(place: Place, *, tool: str | None, group: str | None) -> None:
    """Stop claiming: in all, of one tool, or of one group. What runs goes on.

    By hand: create configs/paused, configs/paused.tool.NAME or configs/paused.group.NAME.

    Examples:
      aispool pause
      aispool pause --tool gemini
      aispool resume --tool gemini
    """
    from agent.service.actions import pause  # noqa: PLC0415 - `--help` needs none of it

    _check(tool, group)
    said = pause(place.desk, tool=tool, group=group, host=place.where)
    if said.host is not None:
        warn(said)
        click.echo(f"pause of {said.task_id}: {said.said}")
        return
    click.echo(f"paused: {said.task_id}")


@command("resume")
@_which
@pass_place
def resume_command(place: Place, *, tool: str | None, group: str | None) -> None:
    """Claim again after a pause.

    Each pause ends by itself: after `pause` and `pause --tool gemini`, both must be resumed.

    Examples:
      aispool resume
      aispool resume --group nightly
    """
    from agent.service.actions import unpause  # noqa: PLC0415 - `--help` needs none of it

    _check(tool, group)
    said = unpause(place.desk, tool=tool, group=group, host=place.where)
    if said.host is not None:
        warn(said)
        click.echo(f"resumption of {said.task_id}: {said.said}")
        return
    click.echo(f"{said.said}: {said.task_id}")
    if said.warning:
        click.echo(said.warning)


def _check(tool: str | None, group: str | None) -> None:
    if tool and group:
        raise click.UsageError("give --tool or --group, not both")
