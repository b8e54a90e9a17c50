"""Model servers on this machine: who answers on the usual ports."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from agent.collab.providers.base import ProviderError
from agent.collab.providers.http import Http
from agent.collab.providers.keys import KeyRing
from agent.collab.providers.remote import RemoteProvider

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from agent.collab.credentials import Secret
    from agent.collab.providers.definition import ProviderDefinition

PROBE_S: Final = 2.0


def find_local(
    candidates: Iterable[tuple[ProviderDefinition, tuple[Secret, ...]]], environment: Mapping[str, str]
) -> list[RemoteProvider]:
    """Return the servers that list their models; one that lists none, or is something else, is left out.

    Args:
        candidates: definitions of servers on this machine, with the keys that they have all the same.
        environment: for their addresses.
    """
    found: list[RemoteProvider] = []
    for definition, keys in candidates:
        try:
            url = definition.url(environment)
            http = Http(definition.name, url)
        except (ProviderError, ValueError):
            continue  # its address is broken, which `aispool collab providers` tells
        provider = RemoteProvider(definition, http, KeyRing(keys))
        if answers(provider):
            found.append(provider)
        else:
            http.close()
    return found


def answers(provider: RemoteProvider) -> bool:
    """Tell whether a server lists a model, quickly."""
    try:
        return bool(provider.models(PROBE_S))
    except ProviderError:
        return False


def ports(definitions: Iterable[ProviderDefinition]) -> str:
    """Return the ports that are looked at, for people: `11434 (ollama), 8080 (llamacpp)`."""
    pairs = ((urlsplit(one.base_url or "").port, one.name) for one in definitions if one.local)
    return ", ".join(f"{port} ({name})" for port, name in pairs if port)
