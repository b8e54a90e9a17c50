"""`aispool audit verify`: whether the chain of the audit log holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from agent.cli.command import command
from agent.cli.place import Place, failed, json_option, pass_place, print_json

if TYPE_CHECKING:
    from agent.audit import Verdict


@command("verify")
@click.option(
    "--anchor", metavar="SHA256", help="A digest that this command printed earlier; it must be there."
)
@json_option
@pass_place
def verify_command(place: Place, *, anchor: str | None, as_json: bool) -> None:
    """Check the audit log from its first entry to its last; 1 and the first bad line when it was changed.

    Whoever may write the log may write all of it anew. The digest that is printed tells that apart when it
    is kept on another machine, and given back with --anchor. A line that a crash tore is named and is
    no fault.

    Examples:
      aispool audit verify
      aispool audit verify --anchor 9c1f… || mail -s 'audit log changed' me
    """
    from agent.audit import verify  # noqa: PLC0415 - `--help` needs none of it
    from agent.inspect.documents import document  # noqa: PLC0415
    from agent.service.audit import document_of  # noqa: PLC0415

    verdict = verify(place.workspace, anchor)
    if as_json:
        print_json(document(place.workspace, **document_of(verdict)))
    else:
        _print(verdict)
    if verdict.bad is not None:
        raise failed()


def _print(verdict: Verdict) -> None:
    from agent.sanitize import one_line  # noqa: PLC0415

    for note in verdict.notes:
        click.echo(one_line(note))
    if verdict.bad is not None:
        click.echo(f"aispool: {one_line(verdict.bad)}", err=True)
        click.echo(f"aispool: the {verdict.entries} entries before it hold", err=True)
    elif verdict.last is None:
        click.echo("nothing has been logged yet")
    else:
        click.echo(f"{verdict.entries} entries hold; the last is {verdict.last.n} {verdict.last.sha256}")
