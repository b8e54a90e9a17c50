"""`aispool collab memory`: what runs remember for later ones."""

from __future__ import annotations

import getpass
from typing import TYPE_CHECKING, Any

import click

from agent.cli.command import Group, command
from agent.cli.place import InputError, Place, json_option, pass_place, print_json

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from agent.collab.memory import Remembered


@click.group("memory", cls=Group)
def memory_command() -> None:
    """Look at what runs remember for later ones; add to it, or have it forgotten.

    Each entry is a plain file, collab/memory/ID.json: removing the file forgets it as well.

    Examples:
      aispool collab memory search "slow disk"
      aispool collab memory add "web1: nginx logs fill /var on Mondays" --host web1
      aispool collab memory forget ID
    """


@command("list")
@json_option
@pass_place
def list_command(place: Place, *, as_json: bool) -> None:
    """List all entries, the oldest first.

    Examples:
      aispool collab memory list
      aispool collab memory list --json | jq '.entries[] | select(.outcome == "bad")'
    """
    from agent.collab import memory  # noqa: PLC0415 - `--help` needs none of it

    _print(place, memory.read_all(place.workspace), as_json=as_json)


@command("search")
@click.argument("words", nargs=-1, required=True)
@click.option("--host", metavar="HOST", help="Only what is about this host, or about all.")
@click.option("--limit", default=10, show_default=True, type=click.IntRange(1), help="At most so many.")
@json_option
@pass_place
def search_command(
    place: Place, *, words: tuple[str, ...], host: str | None, limit: int, as_json: bool
) -> None:
    """List the entries that fit some words best, the best first, as a run finds them.

    Examples:
      aispool collab memory search "¿por qué está lento?" --host web1
    """
    from agent.collab import memory  # noqa: PLC0415

    _print(place, memory.recall(place.workspace, " ".join(words), limit, host), as_json=as_json)


@command("show")
@click.argument("memory_id", metavar="ID")
@json_option
@pass_place
def show_command(place: Place, *, memory_id: str, as_json: bool) -> None:
    """Show one entry whole.

    Examples:
      aispool collab memory show ID
    """
    from agent.cli.table import block  # noqa: PLC0415
    from agent.collab import memory  # noqa: PLC0415
    from agent.inspect.documents import document  # noqa: PLC0415

    found = memory.read_one(place.workspace, memory_id)
    if found is None:
        raise _unknown(memory_id)
    if as_json:
        print_json(document(place.workspace, entry=found.document()))
        return
    for name, value in found.document().items():
        if value is not None:
            for line in block(name, str(value)):
                click.echo(line)


@command("add")
@click.argument("text")
@click.option("--host", metavar="HOST", help="The host it is about; without it, all.")
@click.option("--domain", metavar="DOMAIN", help="What it belongs to: security, network …")
@pass_place
def add_command(place: Place, *, text: str, host: str | None, domain: str | None) -> None:
    """Remember something, and print its id.

    Examples:
      aispool collab memory add "the nightly backup loads the disk until five" --host web1
    """
    from agent.collab import memory  # noqa: PLC0415

    kept = memory.remember(place.workspace, text, source=getpass.getuser(), host=host, domain=domain)
    click.echo(kept.id)


@command("forget")
@click.argument("memory_ids", metavar="[ID]...", nargs=-1)
@click.option("--task", "task_id", metavar="ID", help="All that one run has left.")
@pass_place
def forget_command(place: Place, *, memory_ids: tuple[str, ...], task_id: str | None) -> None:
    """Forget entries, in the index as well.

    Reports of earlier runs that quoted them stay as they are.

    Examples:
      aispool collab memory forget ID
      aispool collab memory forget --task ID
    """
    from agent.collab import memory  # noqa: PLC0415

    if not memory_ids and task_id is None:
        raise click.UsageError("name what is to be forgotten: an ID, or --task ID")
    of_task = [
        each.id for each in memory.read_all(place.workspace) if task_id and each.entry.task_id == task_id
    ]
    gone = memory.forget(place.workspace, dict.fromkeys((*memory_ids, *of_task)), who=getpass.getuser())
    for memory_id in gone:
        click.echo(f"forgotten: {memory_id}")
    if missing := [memory_id for memory_id in memory_ids if memory_id not in gone]:
        raise _unknown(missing[0])
    if not gone:
        raise InputError(
            f"the run {task_id} has left nothing: `aispool collab memory list` shows all there is"
        )


for each in (list_command, search_command, show_command, add_command, forget_command):
    memory_command.add_command(each)


def _unknown(memory_id: str) -> InputError:
    return InputError(
        f"nothing is remembered as {memory_id}: `aispool collab memory list` shows all there is"
    )


def _print(place: Place, found: Sequence[Remembered], *, as_json: bool) -> None:
    from agent.inspect.documents import document  # noqa: PLC0415

    if as_json:
        entries: list[dict[str, Any]] = [each.document() for each in found]
        print_json(document(place.workspace, entries=entries))
        return
    for line in _table(found):
        click.echo(line)


def _table(found: Sequence[Remembered]) -> Iterator[str]:
    from agent.cli.table import ago, rows  # noqa: PLC0415

    if not found:
        yield "nothing is remembered of that"
        return
    yield from rows(
        ("ID", "AGO", "SOURCE", "HOST", "OUTCOME", "TEXT"),
        [
            (
                *(each.id, ago(each.entry.created_at), each.entry.source, each.entry.host or "-"),
                *(each.entry.outcome or "-", " ".join(each.entry.text.split())),
            )
            for each in found
        ],
    )
