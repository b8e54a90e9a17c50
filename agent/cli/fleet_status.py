"""`aispool fleet status` and `aispool fleet check`: how the hosts are, as last seen, and right now."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from agent.cli.command import command
from agent.cli.place import InputError, Place, failed, json_option, pass_place, print_json

if TYPE_CHECKING:
    from agent.fleet.hosts import Host


@command("status")
@json_option
@pass_place
def status_command(place: Place, *, as_json: bool) -> None:
    """Show how every host was when the collector last looked. Exit 1 when one needs a person.

    ON ITS WAY are tasks that the host does not have yet, UNKNOWN those that it may have, GONE those that it
    had and shows no more. By hand: `cat fleet/HOST/state.json`.

    Examples:
      aispool fleet status
      aispool fleet status --json | jq -r '.hosts[] | select(.reachable == false) | .host'
    """
    from agent.fleet.layout import Fleet  # noqa: PLC0415 - `--help` needs none of it
    from agent.inspect.documents import document  # noqa: PLC0415
    from agent.service.fleet import standing  # noqa: PLC0415

    fleet = Fleet(place.workspace)
    found = [standing(fleet.mirror(name)) for name in hosts_of(place)]
    if as_json:
        print_json(document(place.workspace, collector_works=collector_works(place), hosts=found))
    else:
        _print(found)
        if not collector_works(place):
            click.echo("\nno collector works here now: this is how it was; `aispool collector` starts one")
    if any(host["trouble"] for host in found):
        raise failed()


def hosts_of(place: Place) -> list[str]:
    """Return the names of the hosts that are configured.

    Raises:
        InputError: there are none.
    """
    from agent.fleet.hosts import load  # noqa: PLC0415

    names = list(load(place.workspace))
    if not names:
        raise InputError("no host is configured: `aispool fleet add user@host` adds one")
    return names


def collector_works(place: Place) -> bool:
    """Tell whether a collector works on this workspace."""
    return place.desk.collector_works()


def _print(found: list[dict[str, Any]]) -> None:
    from datetime import datetime  # noqa: PLC0415

    from agent.cli.table import ago, rows  # noqa: PLC0415

    def seen(text: str | None) -> str:
        return ago(datetime.fromisoformat(text)) if text else "never"

    head = ("HOST", "SEEN", "WAITING", "RUNNING", "TO COLLECT", "ON ITS WAY", "UNKNOWN", "GONE", "TROUBLE")
    fields = ("waiting", "running", "uncollected", "on_its_way", "unknown")
    body = [
        (
            *(one["host"], seen(one["last_seen_at"]), *(one[name] for name in fields)),
            *(len(one["unaccounted"]), one["trouble"] or "-"),
        )
        for one in found
    ]
    for line in rows(head, body):
        click.echo(line)


@command("check")
@click.argument("names", metavar="[HOST]...", nargs=-1)
@json_option
@pass_place
def check_command(place: Place, *, names: tuple[str, ...], as_json: bool) -> None:
    """Reach hosts now, one after the other, and say what is there. Exit 1 when one is not as it should be.

    Nothing is changed, here or there.

    Examples:
      aispool fleet check
      aispool fleet check gpu-box --json | jq .hosts[0].problem
    """
    from agent.fleet.hosts import load  # noqa: PLC0415
    from agent.inspect.documents import document  # noqa: PLC0415
    from agent.sanitize import one_line  # noqa: PLC0415

    hosts = load(place.workspace)
    wanted = list(names) or hosts_of(place)
    for name in wanted:
        if name not in hosts:
            raise InputError(f"there is no host {name}: `aispool fleet list` names them")
    found = []
    for name in wanted:
        one = _check(place, hosts[name])
        found.append(one)
        if not as_json:
            click.echo(one_line(f"{name}: {one['problem'] or one['what']}"))
    if as_json:
        print_json(document(place.workspace, hosts=found))
    if any(one["problem"] for one in found):
        raise failed()


def _check(place: Place, host: Host) -> dict[str, Any]:
    from agent.fleet.calls import CallError  # noqa: PLC0415
    from agent.fleet.checking import check  # noqa: PLC0415
    from agent.fleet.rsync import TransferError  # noqa: PLC0415

    try:
        seen = check(host, place.config)
    except (TransferError, CallError) as error:
        return {"host": host.name, "address": host.target, "problem": str(error), "what": None}
    return {"host": host.name, "address": host.target, "problem": seen.problem, "what": seen.what}
