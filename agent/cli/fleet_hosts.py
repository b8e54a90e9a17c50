"""`aispool fleet add|remove|list`: the hosts in configs/hosts.toml and configs/hosts.txt."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from agent.cli.command import command
from agent.cli.place import InputError, Place, json_option, pass_place, print_json

if TYPE_CHECKING:
    from agent.fleet.hosts import Host


@command("add")
@click.argument("target", metavar="USER@HOST[:PORT]")
@click.option("--name", metavar="NAME", help="Its folder below fleet/. Default: the host.")
@click.option("--jump", metavar="HOST", help="Reached through this one (ProxyJump).")
@click.option("--identity", metavar="FILE", help="The key, instead of what ssh would use.")
@click.option("--label", "labels", multiple=True, metavar="LABEL", help="For routing; repeatable.")
@click.option(
    "--slots", type=click.IntRange(min=1), metavar="N", help="Until its agent says how many it has."
)
@click.option(
    "--tool", "tools", multiple=True, metavar="TOOL", help="Until its agent says what it has; repeatable."
)
@click.option(
    "--remote-workspace", "folder", metavar="DIR", help="There. Default: ai-workspace, in its home."
)
@pass_place
def add_command(place: Place, /, *, target: str, folder: str | None, **options: Any) -> None:
    """Add a host to configs/hosts.toml; what ~/.ssh/config says of it holds as well.

    By hand: a [[hosts]] table in hosts.toml, or a line user@host[:port] in hosts.txt.

    Examples:
      aispool fleet add me@gpu-box --label gpu
      aispool fleet add node7 --jump login.cluster.example --remote-workspace /data/me/ai-workspace
    """
    from pydantic import ValidationError  # noqa: PLC0415

    from agent.fleet.hosts import Host, add, parse_target  # noqa: PLC0415 - `--help` needs none of it

    given = {name: value for name, value in {**options, "workspace": folder}.items() if value}
    try:
        host = Host.model_validate(parse_target(target).model_dump() | given)
    except ValidationError as error:
        finding = error.errors(include_url=False)[0]
        raise InputError(f"{finding['loc'][0]}: {finding['msg'].removeprefix('Value error, ')}") from None
    except ValueError as error:
        raise InputError(str(error)) from None
    add(place.workspace, host)
    click.echo(f"added: {host.name} ({host.target})")
    click.echo(
        f"`aispool fleet connect {host.name}` installs what it needs, `aispool fleet check` looks at it"
    )


@command("remove")
@click.argument("name", metavar="HOST")
@click.option("--force", is_flag=True, help="Also when tasks are on their way to it.")
@pass_place
def remove_command(place: Place, *, name: str, force: bool) -> None:
    """Take a host out of the configuration. What was collected from it stays in fleet/HOST.

    Nothing changes on the host: what waits there is run, and its results are kept for a collector.

    Examples:
      aispool fleet remove gpu-box
    """
    from agent.fleet.hosts import load, remove  # noqa: PLC0415
    from agent.fleet.layout import Fleet  # noqa: PLC0415
    from agent.fleet.outbox import parcels  # noqa: PLC0415

    mirror = Fleet(place.workspace).mirror(name)
    left = [p.task_id for box in (mirror.outbox, mirror.sent) for p in parcels(box.tasks)]
    if left and name in load(place.workspace) and not force:
        raise InputError(
            f"{len(left)} tasks are on their way to {name} ({', '.join(left[:3])}): reassign or cancel them, "
            "or say --force and leave them"
        )
    if not remove(place.workspace, name):
        raise InputError(f"there is no host {name}: `aispool fleet list` names them")
    click.echo(f"removed: {name}; what was collected stays in {mirror.root}")


@command("list")
@json_option
@pass_place
def list_command(place: Place, *, as_json: bool) -> None:
    """List the hosts as they are configured.

    Examples:
      aispool fleet list
      aispool fleet list --json | jq -r '.hosts[].name'
    """
    from agent.fleet.hosts import load  # noqa: PLC0415
    from agent.inspect.documents import document  # noqa: PLC0415

    hosts = list(load(place.workspace).values())
    if as_json:
        print_json(document(place.workspace, hosts=[host.model_dump(mode="json") for host in hosts]))
        return
    if not hosts:
        click.echo("no host is configured: `aispool fleet add user@host` adds one")
        return
    from agent.cli.table import rows  # noqa: PLC0415

    for line in rows(("HOST", "ADDRESS", "LABELS", "WORKSPACE"), [_row(host) for host in hosts]):
        click.echo(line)


def _row(host: Host) -> tuple[str, ...]:
    return host.name, host.target, ", ".join(host.labels) or "-", host.workspace
