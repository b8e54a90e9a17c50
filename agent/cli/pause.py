"""`aispool pause` and `aispool resume`: files in configs/ that stop claiming; what runs goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from agent.cli.command import command
from agent.cli.hosts import MirrorPlace, host_option
from agent.cli.place import InputError, Place, pass_place

if TYPE_CHECKING:
    from pathlib import Path


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
    from spool.submit import request  # noqa: PLC0415 - `--help` needs none of it

    marker, what = _marker(place, tool, group)
    if isinstance(place, MirrorPlace):
        click.echo(f"pause of {what}: {place.ask('pause', tool=tool, group=group)}")
        return
    if tool and not marker.exists():
        _check_tool(place, tool)
    request(marker)
    click.echo(f"paused: {what}")


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
    from agent.inspect.queue import pauses  # noqa: PLC0415 - `--help` needs none of it
    from spool.files import remove  # noqa: PLC0415

    marker, what = _marker(place, tool, group)
    if isinstance(place, MirrorPlace):
        click.echo(f"resumption of {what}: {place.ask('unpause', tool=tool, group=group)}")
        return
    click.echo(f"resumed: {what}" if marker.exists() else f"was not paused: {what}")
    remove(marker)
    if left := pauses(place.workspace):
        click.echo(f"still paused: {', '.join(left)}")


def _marker(place: Place, tool: str | None, group: str | None) -> tuple[Path, str]:
    from spool.requests import pause_marker  # noqa: PLC0415

    if tool and group:
        raise click.UsageError("give --tool or --group, not both")
    marker = pause_marker(place.workspace, tool, group)
    return marker, f"tool {tool}" if tool else f"group {group}" if group else "everything"


def _check_tool(place: Place, tool: str) -> None:
    from agent.tools.registry import Registry  # noqa: PLC0415

    known = Registry.load(place.workspace).names()
    if tool not in known:
        raise InputError(f"there is no tool {tool!r}: the tools are {', '.join(known)}")
