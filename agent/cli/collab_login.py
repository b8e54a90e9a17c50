"""`aispool collab login`: a provider's key or login, kept where nobody else reads it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from agent.cli.command import command
from agent.cli.place import InputError, Place, pass_place

if TYPE_CHECKING:
    from agent.collab.providers.definition import ProviderDefinition
    from agent.collab.providers.oauth import Server
    from spool.workspace import Workspace


@command("login")
@click.argument("name", metavar="PROVIDER", shell_complete=lambda ctx, _p, begun: _complete(ctx, begun))
@click.option("--key", "paste", is_flag=True, help="Give a key, though the provider has a login.")
@click.option("--keyring", "to_keyring", is_flag=True, help="Keep the key in the desktop's keyring.")
@click.option("--forget", is_flag=True, help="Remove the login's tokens from this workspace.")
@pass_place
def login_command(place: Place, *, name: str, paste: bool, to_keyring: bool, forget: bool) -> None:
    """Log in to a provider, or give its key.

    Where a server for it is known (NAME_DEVICE_AUTH_URL, NAME_DEVICE_TOKEN_URL, NAME_CLIENT_ID; for qwen:
    QWEN_DEVICE_AUTH_URL …), a code is shown for any browser on any machine, and the tokens are kept in
    configs/logins/ (0600) and renewed by themselves. Otherwise a key is asked for, without being shown, or
    read from standard input, and kept in configs/env/collab.env (0600) or in the keyring.

    Examples:
      aispool collab login qwen
      aispool collab login gemini < key.txt
      aispool collab login anthropic --keyring
    """
    import os  # noqa: PLC0415 - `--help` needs none of it

    from agent.collab.credentials import read_env  # noqa: PLC0415
    from agent.collab.providers.definition import load_definitions  # noqa: PLC0415
    from agent.collab.providers.oauth import Server  # noqa: PLC0415
    from agent.collab.providers.tokens import TokenStore  # noqa: PLC0415

    definition = load_definitions(place.workspace).get(name)
    if definition is None or definition.kind == "tool":
        known = ", ".join(
            one.name for one in load_definitions(place.workspace).values() if one.kind != "tool"
        )
        raise InputError(f"there is no provider {name!r} to log in to: they are {known}")
    if forget:
        gone = TokenStore(place.workspace, name).forget()
        click.echo(f"the login of {name} is forgotten here" if gone else f"there was no login of {name}")
        return
    environment = {**read_env(place.workspace), **os.environ}
    server = None if paste or to_keyring else Server.of(definition, environment)
    if server is not None:
        _by_device(place.workspace, server)
        return
    _by_key(place.workspace, definition, to_keyring=to_keyring)


def _by_device(workspace: Workspace, server: Server) -> None:
    from agent.collab.providers.device import begin, wait_for_consent  # noqa: PLC0415
    from agent.collab.providers.tokens import TokenStore  # noqa: PLC0415
    from agent.sanitize import one_line  # noqa: PLC0415

    code = begin(server)
    click.echo(f"Open {one_line(code.verification_uri)} in any browser and enter {one_line(code.user_code)}")
    if code.complete_uri:
        click.echo(f"or open {one_line(code.complete_uri)}")
    click.echo(f"Waiting for your consent, {code.expires_in_s / 60:.0f} minutes at most.", err=True)
    store = TokenStore(workspace, server.name)
    tokens = wait_for_consent(server, code)
    with store.locked():
        store.write(tokens)
    click.echo(f"logged in to {server.name}; the tokens are in {store.file}, for you alone")


def _by_key(workspace: Workspace, definition: ProviderDefinition, *, to_keyring: bool) -> None:
    from agent.collab.credentials import store_in_keyring, store_key  # noqa: PLC0415

    if not definition.key_env and not to_keyring:
        raise InputError(
            f'{definition.name} names no variable for its key: add key_env = ["…"] to '
            f"[providers.{definition.name}] of configs/roles.toml, or use --keyring"
        )
    if sys.stdin.isatty():
        value = click.prompt(f"Key of {definition.name} (it is not shown)", hide_input=True, err=True)
    else:
        value = sys.stdin.read()
    value = str(value).strip()
    if not value or len(value.split()) != 1 or not value.isascii() or not value.isprintable():
        raise InputError("that is no key: give it alone, in one line")
    if to_keyring:
        store_in_keyring(definition.name, value)
        click.echo(f"the key of {definition.name} is in the keyring")
        return
    file = store_key(workspace, definition.key_env[0], value)
    click.echo(f"the key of {definition.name} is in {file} as {definition.key_env[0]}, for you alone")


def _complete(ctx: click.Context, begun: str) -> list[str]:
    from agent.cli.ids import place_of  # noqa: PLC0415
    from agent.collab.providers.definition import load_definitions  # noqa: PLC0415
    from agent.config import ConfigError  # noqa: PLC0415
    from spool.workspace import WorkspaceError  # noqa: PLC0415

    try:
        definitions = load_definitions(place_of(ctx).workspace)
    except (OSError, ConfigError, WorkspaceError):
        return []  # a shell asks while a person types
    return [name for name, one in definitions.items() if name.startswith(begun) and one.kind != "tool"]
