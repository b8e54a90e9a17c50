"""What a collaborative run would be: its kind, the rules, who would answer. Nobody is asked or paid."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from agent.cli.place import print_json

if TYPE_CHECKING:
    from agent.cli.place import Place


def explain(place: Place, question: str, *, kind: str | None, domain: str | None, as_json: bool) -> None:
    """Print what would happen with a question.

    Raises:
        ServiceError: there is no such domain.
    """
    from agent.service.collab import explaining  # noqa: PLC0415 - only where it is used

    found = explaining.explain(place.workspace, question, kind=kind, domain=domain)
    if as_json:
        print_json(found)
    else:
        _tell(found)


def _about(text: str) -> str:
    from agent.sanitize import one_line  # noqa: PLC0415

    return f": {one_line(text)}" if text else ""


def _tell(found: dict[str, Any]) -> None:
    from agent.sanitize import one_line  # noqa: PLC0415

    by = f"yes, by the rule {found['rule']}" if found["rule"] else "no: `aispool ask` answers it plainly"
    click.echo(f"handed over  {by}")
    for each in found["rules"]:
        click.echo(f"  {each['rule']:<24} {one_line(each['why'])}")
    click.echo(f"kind         {found['type']}{_about(found['type_about'])}")
    click.echo(f"domain       {found['domain'] or '-'}{_about(found['domain_about'])}")
    click.echo(f"language     {found['language']}")
    click.echo(
        f"evidence     {', '.join(found['evidence_if_no_plan']) or '-'} (when the coordinator makes no plan)"
    )
    for each in found["roles"]:
        click.echo(f"{each['role']:<12} {one_line(each['about'])}; may {', '.join(each['may'])}")
        for line in each["providers"]:
            click.echo(f"{'':<12} {one_line(line)}")
        for line in each["fallback"]:
            click.echo(f"{'':<12} else {one_line(line)}")
