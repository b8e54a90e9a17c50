"""What a collaborative run would be: its kind, the rules, who would answer. Nobody is asked or paid."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agent.collab.language import detect
from agent.collab.roles import load
from agent.collab.rules import hand_over
from agent.inspect.documents import document
from agent.service.errors import ServiceError

if TYPE_CHECKING:
    from agent.collab.providers.ready import Providers
    from agent.collab.roles import Roles
    from agent.collab.rules import HandOver
    from spool.workspace import Workspace


def explain(
    workspace: Workspace, text: str, *, kind: str | None = None, domain: str | None = None
) -> dict[str, Any]:
    """Return what would happen with a question: `aispool ask --dry-run --json`.

    Fields: those of `why`, and type_about, domain, domain_about, language, evidence_if_no_plan, roles
    (role, about, may, temperature, max_tokens, model, providers, fallback; a provider is one line).

    Raises:
        ServiceError: there is no such kind or domain.
        ConfigError: roles.toml or a provider's definition cannot be used.
    """
    from agent.collab.providers.registry import open_providers  # noqa: PLC0415 - HTTP is slow to import

    roles = load(workspace)
    said = hand_over(text, roles)
    type_name = kind or said.type
    if type_name not in roles.types:
        raise ServiceError(
            "invalid", f"there is no kind of question {type_name!r}: use {', '.join(roles.types)}"
        )
    named = domain or roles.types[type_name].domain
    if named is not None and named not in roles.domains:
        raise ServiceError("invalid", f"there is no domain {named!r}: use {', '.join(sorted(roles.domains))}")
    with open_providers(workspace) as providers:
        cast = _cast(roles, providers, type_name, named)
    found = {
        **why(said, roles),
        "type": type_name,
        "type_about": roles.types[type_name].about,
        "domain": named,
        "domain_about": roles.domains[named].about if named else "",
        "language": detect(text),
        "evidence_if_no_plan": list(roles.types[type_name].evidence),
        "roles": cast,
    }
    return document(workspace, **found)


def why(said: HandOver, roles: Roles) -> dict[str, Any]:
    """Return which rule hands a question over, and what each rule that was looked at found.

    Fields: hands_over, rule (null: the plain chat answers), rules (rule, about, why), type.
    """
    return {
        "hands_over": said.rule is not None,
        "rule": said.rule,
        "rules": [{"rule": name, "about": roles.rules[name].about, "why": each} for name, each in said.words],
        "type": said.type,
    }


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
