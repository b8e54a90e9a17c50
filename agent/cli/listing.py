"""`aispool ls`: what waits, what runs, and the latest results."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import click

from agent.cli.command import command
from agent.cli.hosts import FleetPlace, hosts_option
from agent.cli.place import Place, json_option, pass_place, print_json
from spool.records import State

if TYPE_CHECKING:
    from spool.view import View

RECENT: Final = 20


@command("ls")
@hosts_option("--all-hosts")
@click.option(
    "--all", "-a", "everything", is_flag=True, help="All results, not the latest 20; those of all hosts, too."
)
@click.option(
    "--state",
    "states",
    type=click.Choice([str(state) for state in State]),
    metavar="STATE",
    multiple=True,
    help="Only these; repeatable.",
)
@click.option("--label", "labels", multiple=True, metavar="LABEL", help="Only with this label; repeatable.")
@json_option
@pass_place
def ls_command(
    place: Place, *, everything: bool, states: tuple[str, ...], labels: tuple[str, ...], as_json: bool
) -> None:
    """List what waits, what runs, and the latest results.

    Examples:
      aispool ls
      aispool ls --all --state failed --state timed_out
      aispool ls --label nightly
      aispool ls --host gpu-box
      aispool ls --json | jq -r '.tasks[] | select(.state == "running") | .task_id'
    """
    from agent.inspect.documents import document, labels_of, of_rejected, of_view  # noqa: PLC0415 - `--help`
    from spool.view import rejected  # noqa: PLC0415

    if everything and place.host is None:
        place = FleetPlace(place.given)
    views = [
        (one.host, view)
        for one in place.places()
        for view in _views(one, everything=everything)
        if (not states or view.state in states) and (not labels or set(labels) & set(labels_of(view)))
    ]
    refused = [(one.host, file) for one in place.places() for file in rejected(one.workspace)]
    if as_json:
        print_json(
            document(
                place.workspace,
                tasks=[{**of_view(view), "host": host} for host, view in views],
                rejected=[{**of_rejected(file), "host": host} for host, file in refused],
            )
        )
        return
    _print(views)
    if refused and not states and not labels:
        click.echo(f"\n{len(refused)} rejected: `aispool show NAME` or rejected/NAME.error.json says why")


def _views(place: Place, *, everything: bool) -> list[View]:
    """Read in the order in which a task moves, so that one on its way is seen twice rather than never."""
    from spool import view  # noqa: PLC0415

    waiting = list(view.waiting(place.workspace))
    sessions = list(view.in_session(place.workspace))
    results = view.finished(place.workspace, None if everything else RECENT)
    latest = {(v.task_id, v.place == "results") for v in (*sessions, *results)}
    over = {task_id for task_id, is_result in latest if is_result}
    running = {task_id for task_id, is_result in latest if not is_result}
    return [
        *(v for v in waiting if v.task_id not in over | running),
        *(v for v in sessions if v.task_id not in over),
        *results,
    ]


def _print(views: list[tuple[str | None, View]]) -> None:
    from agent.cli.table import ago, rows  # noqa: PLC0415
    from agent.service.standing import standing  # noqa: PLC0415

    if not views:
        click.echo("nothing here: `aispool submit --help` shows how to give work")
        return
    first = 0 if any(host for host, _ in views) else 1
    body = [
        (host or "-", v.task_id, v.state, v.tool or "-", ago(v.changed_at), standing(v))[first:]
        for host, v in views
    ]
    for line in rows(("HOST", "ID", "STATE", "TOOL", "SINCE", "WHY")[first:], body):
        click.echo(line)
