"""What a collaborative run would be: its kind, the rules, who would answer. Nobody is asked or paid."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from agent.cli.place import InputError, print_json

if TYPE_CHECKING:
    from agent.cli.place import Place
    from agent.collab.providers.ready import Providers
    from agent.collab.roles import Roles


def explain(place: Place, question: str, *, kind: str | None, domain: str | None, as_json: bool) -> None:
    """Print what would happen with a question.

    Raises:
        InputError: there is no such domain.
    """
    from agent.collab.language import detect  # noqa: PLC0415 - only where it is used
    from agent.collab.providers.registry import open_providers  # noqa: PLC0415
    from agent.collab.roles import load  # noqa: PLC0415
    from agent.collab.rules import hand_over  # noqa: PLC0415

    roles = load(place.workspace)
    said = hand_over(question, roles)
    type_name = kind or said.type
    named = domain or roles.types[type_name].domain
    if named is not None and named not in roles.domains:
        raise InputError(f"there is no domain {named!r}: use {', '.join(sorted(roles.domains))}")
    with open_providers(place.workspace) as providers:
        cast = _cast(roles, providers, type_name, named)
    found = {
        "hands_over": said.rule is not None,
        "rule": said.rule,
        "rules": [{"rule": name, "about": roles.rules[name].about, "why": why} for name, why in said.words],
        "type": type_name,
        "type_about": roles.types[type_name].about,
        "domain": named,
        "domain_about": roles.domains[named].about if named else "",
        "language": detect(question),
        "evidence_if_no_plan": list(roles.types[type_name].evidence),
        "roles": cast,
    }
    if as_json:
        from agent.inspect.documents import document  # noqa: PLC0415

        print_json(document(place.workspace, **found))
        return
    _tell(found)


def _cast(roles: Roles, providers: Providers, kind: str, domain: str | None) -> list[dict[str, Any]]:
    """Return who would play each role, and how its providers stand."""
    field = roles.domains.get(domain or "")
    answering = (field.roles if field else ()) or roles.types[kind].roles
    playing = [n for n, role in roles.roles.items() if role.does != "answers" or n in answering]
    found = []
    for name in playing:
        cast = roles.cast(name, domain)
        role = roles.roles[name]
        found.append(
            {
                "role": name,
                "about": role.about,
                "may": list(role.may),
                "temperature": role.temperature,
                "max_tokens": role.max_tokens,
                "model": cast.model,
                "providers": [providers.explain(each) for each in cast.providers],
                "fallback": [providers.explain(each) for each in cast.fallback],
            }
        )
    return found


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
