"""`aispool collab approve ID`: show the commands that wait, byte for byte, and approve exactly those."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from agent.cli.command import command
from agent.cli.ids import id_argument
from agent.cli.place import InputError, Place, failed, json_option, pass_place, print_json

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from agent.collab.commands import CommandRecord
    from spool.workspace import Workspace


@command("approve")
@id_argument("sessions")
@click.option("--only", "only", type=int, multiple=True, metavar="N", help="These; the others are declined.")
@click.option("--decline", is_flag=True, help="Decline all that wait.")
@click.option("--list", "as_list", is_flag=True, help="Show them, and approve nothing.")
@click.option("--yes", is_flag=True, help="Do not ask once more on a terminal.")
@json_option
@pass_place
def approve_command(
    place: Place,
    *,
    task_id: str,
    only: tuple[int, ...],
    decline: bool,
    as_list: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Approve the commands of a run that wait for it.

    What runs is what is shown, byte for byte; characters that a terminal would not show stand escaped. By
    hand: write the SHA-256 of command N into sessions/ID/approve/N, or `no` to decline it.

    Examples:
      aispool collab approve ID --list
      aispool collab approve ID
      aispool collab approve ID --only 2 --only 3
      aispool collab approve ID --decline
    """
    if decline and only:
        raise click.UsageError("give either --only N or --decline")
    from agent.service.collab import approving  # noqa: PLC0415 - `--help` needs none of it

    session = approving.session_of(place.workspace, place.find(task_id), task_id)
    waiting = approving.waiting(session)
    if as_json and (as_list or not waiting):
        _print_json(place.workspace, task_id, waiting, {})
        return
    if not waiting:
        raise InputError(
            f"{task_id} has no command that waits for an approval: `aispool collab show {task_id}`"
        )
    chosen = set[int]() if decline else _chosen(waiting, only)
    if not as_json:
        _show(waiting)
    if as_list:
        return
    if sys.stdin.isatty() and not (yes or as_json or decline):
        click.confirm(f"Run {_words(sorted(chosen))}?", abort=True)
    said = {one.number: _say(session, one, approved=one.number in chosen) for one in waiting}
    if as_json:
        _print_json(place.workspace, task_id, waiting, said)
    else:
        for number, word in said.items():
            click.echo(f"{task_id}: command {number} {word}")
    if any(word.startswith("was answered") for word in said.values()):
        raise failed()


def _chosen(waiting: Sequence[CommandRecord], only: Sequence[int]) -> set[int]:
    numbers = [one.number for one in waiting]
    if unknown := set(only) - set(numbers):
        these = ", ".join(map(str, numbers))
        raise InputError(f"command {min(unknown)} does not wait for an approval; these do: {these}")
    return set(only or numbers)


def _show(waiting: Sequence[CommandRecord]) -> None:
    from agent.sanitize import one_line  # noqa: PLC0415
    from agent.service.collab.approving import exact  # noqa: PLC0415

    for one in waiting:
        click.echo(f"[{one.number}] {one.role}: {one_line(one.purpose)}")
        click.echo(f"    runs    {exact(one.command)}")
        for name, text in (
            ("before", one.check_before),
            ("dry run", one.dry_run),
            ("after", one.check_after),
        ):
            if text:
                click.echo(f"    {name:<7} {exact(text)}")
        for reason in one.reasons:
            click.echo(f"    {one_line(reason)}")
        click.echo(f"    sha256  {one.sha256}")


def _say(session: Path, one: CommandRecord, *, approved: bool) -> str:
    from agent.collab import approval  # noqa: PLC0415

    try:
        approval.say(session, one.number, one.sha256 if approved else approval.DECLINED)
    except FileExistsError:
        return f"was answered by somebody else: see {session / approval.FOLDER / str(one.number)}"
    except FileNotFoundError:
        raise InputError(f"{session.name} is no longer in session") from None
    return "approved" if approved else "declined"


def _words(numbers: Sequence[int]) -> str:
    names = ", ".join(str(number) for number in numbers)
    return f"command {names}" if len(numbers) == 1 else f"commands {names}"


def _print_json(
    workspace: Workspace, task_id: str, waiting: Sequence[CommandRecord], said: dict[int, str]
) -> None:
    from agent.inspect.documents import document  # noqa: PLC0415

    rows = [one.model_dump(mode="json") | {"word": said.get(one.number)} for one in waiting]
    print_json(document(workspace, task_id=task_id, commands=rows))
