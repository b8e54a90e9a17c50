"""`aispool fleet connect HOST`: make a machine with sshd one of the fleet, or bring it up to date."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from agent.cli.command import command
from agent.cli.place import InputError, Place, failed, json_option, pass_place, print_json

if TYPE_CHECKING:
    from agent.fleet.connect import Connection
    from agent.fleet.hosts import Host


@command("connect")
@click.argument("target", metavar="HOST")
@click.option("--yes", is_flag=True, help="Install packages there without asking.")
@click.option("--offline", is_flag=True, help="Copy all that is needed; the host reaches no package index.")
@click.option("--new-key", is_flag=True, help="Take the host key of a machine that was never seen before.")
@json_option
@pass_place
def connect_command(
    place: Place, *, target: str, yes: bool, offline: bool, new_key: bool, as_json: bool
) -> None:
    """Connect a host: a name of hosts.toml, or user@host[:port], which is then added there.

    Installs tmux, rsync and Python where they are missing (it asks first), this same version of aispool in an
    environment of its own, the workspace, the systemd user units and linger; starts the agent, which goes on
    with what ran; and ends with what `aispool doctor` finds there. Again, it changes nothing. A host with an
    older version is upgraded while its sessions run.

    Examples:
      aispool fleet connect me@gpu-box
      aispool fleet connect gpu-box --yes --offline
    """
    from agent.fleet.connect import connector  # noqa: PLC0415 - `--help` needs none of it
    from agent.fleet.hosts import add  # noqa: PLC0415
    from agent.fleet.probing import ConnectError  # noqa: PLC0415

    host, is_new = _host(place, target)

    def tell(doing: str) -> None:
        if not as_json:
            click.echo(f"{host.name}: {doing}", err=True)

    def may(question: str) -> bool:
        if yes:
            return True
        if not sys.stdin.isatty():
            raise InputError(f"{question} Say so with --yes")
        return click.confirm(question, err=True)

    try:
        done = connector(host, tell, may, offline=offline, new_keys=new_key).connect()
    except ConnectError as error:
        raise InputError(str(error)) from None
    if is_new:
        add(place.workspace, host)
    _print(place, host, done, as_json=as_json)
    if not done.is_well:
        raise failed()


def _host(place: Place, target: str) -> tuple[Host, bool]:
    """Return the host, and whether the fleet does not know it yet."""
    from agent.fleet.hosts import load, parse_target  # noqa: PLC0415

    hosts = load(place.workspace)
    if target in hosts:
        return hosts[target], False
    try:
        host = parse_target(target)
    except ValueError as error:
        raise InputError(f"{error}, and no host of configs/hosts.toml has this name") from None
    known = hosts.get(host.name)
    if known is not None and known.target != host.target:
        raise InputError(
            f"{host.name} is {known.target} in configs/hosts.toml: name it, or take that out first"
        )
    return known or host, known is None


def _print(place: Place, host: Host, done: Connection, *, as_json: bool) -> None:
    from agent.inspect.documents import document  # noqa: PLC0415
    from agent.sanitize import one_line  # noqa: PLC0415

    if as_json:
        print_json(
            document(
                place.workspace,
                host=host.name,
                changed=done.changed,
                notes=done.notes,
                findings=done.findings,
            )
        )
        return
    for line in done.changed or ("nothing was to be done",):
        click.echo(one_line(f"{host.name}: {line}"))
    for line in done.notes:
        click.echo(one_line(f"{host.name}: note: {line}"))
    for finding in done.findings:
        if finding.get("grade") != "ok":
            click.echo(one_line(_sentence(finding)))


def _sentence(finding: dict[str, Any]) -> str:
    remedy = f": {finding['remedy']}" if finding.get("remedy") else ""
    return f"{finding.get('grade')}: {finding.get('check')}: {finding.get('what')}{remedy}"
