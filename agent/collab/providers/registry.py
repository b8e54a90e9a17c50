"""Making the providers of a workspace: definitions, credentials and logins, made ready to be asked.

A provider is ready when it has a key, a login, or needs neither.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from agent.collab.credentials import CredentialError, expanded, find_keys, read_env
from agent.collab.providers.base import ProviderError
from agent.collab.providers.definition import load_definitions
from agent.collab.providers.http import Http
from agent.collab.providers.keys import KeyRing
from agent.collab.providers.oauth import Server
from agent.collab.providers.ready import Providers, Ready
from agent.collab.providers.remote import RemoteProvider
from agent.collab.providers.tokens import LoginKeys, TokenStore
from agent.collab.providers.tool import ToolProvider

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from agent.collab.providers.definition import ProviderDefinition
    from agent.collab.providers.keys import Keys
    from spool.workspace import Workspace


def open_providers(
    workspace: Workspace,
    *,
    environment: Mapping[str, str] | None = None,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Providers:
    """Make the providers of a workspace; nobody is asked yet.

    Args:
        workspace: with configs/roles.toml, configs/env/collab.env and configs/logins/.
        environment: this process's unless given.
        clock: monotonic seconds.
        sleep: for seconds.

    Raises:
        ConfigError: roles.toml cannot be used.
        CredentialError: configs/env/collab.env cannot be used.
    """
    given = os.environ if environment is None else environment
    filed = read_env(workspace)
    definitions = load_definitions(workspace)
    # an empty variable is as good as none
    merged = filed | {name: value for name, value in given.items() if value}
    providers = Providers(workspace, definitions, merged, clock=clock, sleep=sleep)
    for name, definition in definitions.items():
        try:
            _prepare(providers, definition, given, filed)
        except (CredentialError, ProviderError, ValueError) as error:
            providers.missing[name] = str(error)
    return providers


def _prepare(
    providers: Providers,
    definition: ProviderDefinition,
    given: Mapping[str, str],
    filed: Mapping[str, str],
) -> None:
    name, workspace = definition.name, providers.workspace
    if definition.kind == "tool":
        tool = ToolProvider(definition, workspace, providers.clock, providers.sleep)
        providers.add(
            Ready(definition, tool, f"the tool {definition.tool} on {definition.host or 'this host'}")
        )
        return
    secrets = find_keys(
        names=definition.key_env,
        environment=given,
        filed=filed,
        key_file=_key_file(definition, workspace),
        keyring_user=name if definition.keyring and definition.needs_key else None,
    )
    if definition.local:
        providers.local_keys[name] = secrets
        providers.missing[name] = "no server was looked for"
        return
    keys: Keys = KeyRing(secrets, providers.clock)
    credential = ", ".join(secret.origin for secret in secrets)
    url = None
    if not secrets and definition.needs_key:
        store = TokenStore(workspace, name)
        tokens = store.read()
        if tokens is None:
            providers.missing[name] = _how_to_get_a_key(definition)
            providers.keyless.add(name)
            return
        keys = LoginKeys(store, Server.of(definition, providers.environment))
        credential = f"the login in {store.file}"
        named = definition.base_url_env and providers.environment.get(definition.base_url_env)
        url = None if named else tokens.base_url
    url = url or definition.url(providers.environment)
    http = Http(name, url, proxy=definition.proxy, clock=providers.clock)
    remote = RemoteProvider(definition, http, keys, providers.clock)
    providers.add(Ready(definition, remote, url, credential))


def _key_file(definition: ProviderDefinition, workspace: Workspace) -> Path | None:
    path = expanded(definition.key_file)
    return path if path is None or path.is_absolute() else workspace.configs / path


def _how_to_get_a_key(definition: ProviderDefinition) -> str:
    ways = [f"set {' or '.join(definition.key_env)}"] if definition.key_env else ["name its key in key_env"]
    ways.append(f"`aispool collab login {definition.name}`")
    return f"no key: {', or '.join(ways)}"
