"""`aispool collab providers`: who could answer a role, and what is missing for the others."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from agent.cli.command import command
from agent.cli.place import Place, failed, json_option, pass_place, print_json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent.collab.providers.examine import Found


@command("providers")
@click.option("--offline", is_flag=True, help="Ask nobody, and look for no server on this machine.")
@click.option("--all", "show_all", is_flag=True, help="Show those that lack a key, too.")
@json_option
@pass_place
def providers_command(place: Place, *, offline: bool, show_all: bool, as_json: bool) -> None:
    """List who could answer a role: their models, where their keys come from, and what is wrong.

    Each one that has a key is asked for its list of models, which costs nothing. A model server on this
    machine (Ollama, llama.cpp, vLLM, LM Studio) is found on its usual port. No key is ever shown.
    configs/roles.toml adds providers as [providers.NAME], and changes the built-in ones.

    Exit code 1 when nobody could answer.

    Examples:
      aispool collab providers
      aispool collab providers --all
      aispool collab providers --json | jq -r '.providers[] | select(.state == "answers") | .models[]'
    """
    from agent.collab.providers.base import ProviderError  # noqa: PLC0415 - `--help` needs none of it
    from agent.collab.providers.examine import examine  # noqa: PLC0415
    from agent.collab.providers.registry import open_providers  # noqa: PLC0415
    from agent.inspect.documents import document  # noqa: PLC0415

    with open_providers(place.workspace) as providers:
        found = examine(providers, ask=not offline)
        nobody = ""
        if not any(one.state in {"answers", "ready"} for one in found):
            try:
                providers.choices(list(providers.definitions))
            except ProviderError as error:
                nobody = error.message
    if as_json:
        print_json(document(place.workspace, providers=[_document(one) for one in found]))
    else:
        for line in _lines(found, show_all=show_all):
            click.echo(line)
    if nobody:
        click.echo(f"aispool: {nobody}", err=True)
    if not any(one.state in {"answers", "ready"} for one in found):
        raise failed()


def _document(found: Found) -> dict[str, Any]:
    fields = asdict(found)
    return {name: value or None if isinstance(value, str) else value for name, value in fields.items()}


def _lines(found: list[Found], *, show_all: bool) -> Iterator[str]:
    from agent.cli.table import rows  # noqa: PLC0415
    from agent.sanitize import one_line  # noqa: PLC0415

    shown = [one for one in found if show_all or one.state not in {"no key", "absent"}]
    head = ("PROVIDER", "STATE", "FAMILY", "MODEL", "KEY FROM", "WHERE")
    body = [
        (one.name, one.state, one.family or "-", one.model or "-", one.credential or "-", one.where or "-")
        for one in shown
    ]
    if body:
        yield from rows(head, body)
    for one in shown:
        if one.problem:
            yield f"{one.name}: {one_line(one.problem).removeprefix(f'{one.name}: ')}"
    if hidden := [one.name for one in found if one not in shown]:
        yield f"without a key, or not on this machine: {', '.join(hidden)} (--all shows why)"
