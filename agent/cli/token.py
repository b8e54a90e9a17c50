"""`aispool token create|list|revoke|link`: who may use the web page and the API."""

from __future__ import annotations

import getpass
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import click

from agent.cli.command import Group, command
from agent.cli.place import InputError, Place, json_option, pass_place, print_json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent.web.security.tokens import Token

SCOPES: Final = ("read", "submit", "operate", "approve")
"""Those of `agent.web.security.identity`, which `--help` does not import."""
NEVER: Final = "never"
_LIFETIME: Final = re.compile(r"([1-9]\d{0,4})([hdw])")
_HOURS: Final = {"h": 1, "d": 24, "w": 168}


def _end_of(_ctx: click.Context, _parameter: click.Parameter, value: str) -> datetime | None:
    """Return when a token ends; None for never."""
    if value == NEVER:
        return None
    if match := _LIFETIME.fullmatch(value):
        return datetime.now(UTC) + timedelta(hours=int(match[1]) * _HOURS[match[2]])
    try:
        moment = datetime.fromisoformat(value).astimezone(UTC)
    except ValueError:
        raise click.BadParameter(f"{value!r}: write 12h, 30d, 8w, never, or 2027-01-31") from None
    if moment <= datetime.now(UTC):
        raise click.BadParameter(f"{value!r} is over already")
    return moment


@click.group("token", cls=Group)
def token_command() -> None:
    """Make, list and revoke tokens for the web page and the API.

    Each is a file, configs/tokens/ID.json, which holds a digest, never the token: removing the file revokes
    it, also for a server that runs. Scopes: read (see everything but secrets), submit (drop tasks, ask
    questions), operate (hold, cancel, retry, answer, pause, reassign; with submit, edit and use terminals),
    approve (let a proposed command run).

    Examples:
      aispool token create laptop --scope read --scope submit
      aispool token revoke laptop
    """


@command("create")
@click.argument("name")
@click.option(
    "--scope", "-s", "scopes", multiple=True, required=True, type=click.Choice(SCOPES),
    help="What it may be used for; repeatable.",
)  # fmt: skip
@click.option(
    "--expires", "expires_at", callback=_end_of, default="90d", show_default=True, metavar="WHEN",
    help="12h, 30d, 8w, never, or a date.",
)  # fmt: skip
@json_option
@pass_place
def create_command(
    place: Place, *, name: str, scopes: tuple[str, ...], expires_at: datetime | None, as_json: bool
) -> None:
    """Make a token and print it: it is shown this once.

    Examples:
      aispool token create ci --scope submit --scope read --expires 30d
      TOKEN=$(aispool token create laptop -s read)
    """
    from agent.audit import append  # noqa: PLC0415 - `--help` needs none of it
    from agent.inspect.documents import document  # noqa: PLC0415
    from agent.web.security.identity import scopes_of  # noqa: PLC0415
    from agent.web.security.tokens import TokenError, Tokens  # noqa: PLC0415
    from spool.records import iso  # noqa: PLC0415

    user = getpass.getuser()
    try:
        secret, token = Tokens(place.workspace).create(
            name, scopes_of(scopes), by=user, expires_at=expires_at
        )
    except TokenError as error:
        raise InputError(str(error)) from None
    append(
        place.workspace, "token_created", who=user, token_id=token.token_id, name=name,
        scopes=list(token.record.scopes), expires_at=iso(expires_at) if expires_at else None,
    )  # fmt: skip
    if as_json:
        print_json(document(place.workspace, token=secret, **_document(token)))
        return
    click.echo(secret)
    ending = f"{expires_at.astimezone():%Y-%m-%d %H:%M}" if expires_at else "it is revoked"
    click.echo(
        f"aispool: {name} may {', '.join(token.record.scopes)} until {ending}; this is shown once", err=True
    )


@command("list")
@json_option
@pass_place
def list_command(place: Place, *, as_json: bool) -> None:
    """List the tokens, also those that have expired; never the tokens themselves.

    Examples:
      aispool token list
      aispool token list --json | jq -r '.tokens[] | select(.expired) | .name'
    """
    from agent.inspect.documents import document  # noqa: PLC0415
    from agent.web.security.tokens import Tokens  # noqa: PLC0415

    tokens = Tokens(place.workspace).all()
    if as_json:
        print_json(document(place.workspace, tokens=[_document(token) for token in tokens]))
        return
    for line in _lines(tokens):
        click.echo(line)


@command("revoke")
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@pass_place
def revoke_command(place: Place, *, names: tuple[str, ...]) -> None:
    """Revoke tokens, by name or id: what is logged in with them is logged out.

    Examples:
      aispool token revoke laptop
    """
    from agent.audit import append  # noqa: PLC0415
    from agent.web.security.tokens import TokenError, Tokens  # noqa: PLC0415

    for name in dict.fromkeys(names):
        try:
            token = Tokens(place.workspace).revoke(name)
        except TokenError as error:
            raise InputError(str(error)) from None
        append(
            place.workspace, "token_revoked", who=getpass.getuser(), token_id=token.token_id,
            name=token.record.name,
        )  # fmt: skip
        click.echo(f"revoked: {token.record.name} ({token.token_id})")


@command("link")
@click.option(
    "--url", default="http://127.0.0.1:8377", show_default=True, help="Where the server is reached."
)
@pass_place
def link_command(place: Place, *, url: str) -> None:
    """Print a link that logs a browser in, once and within ten minutes, with all scopes.

    Examples:
      aispool token link
    """
    from agent.web.security.links import Links  # noqa: PLC0415

    click.echo(f"{url.rstrip('/')}/login?key={Links(place.workspace).create(getpass.getuser())}")


for each in (create_command, list_command, revoke_command, link_command):
    token_command.add_command(each)


def _document(token: Token) -> dict[str, Any]:
    from spool.records import iso, utc_now  # noqa: PLC0415

    record = token.record
    return {
        "token_id": token.token_id,
        "name": record.name,
        "scopes": list(record.scopes),
        "created_at": iso(record.created_at),
        "created_by": record.created_by,
        "expires_at": iso(record.expires_at) if record.expires_at else None,
        "expired": record.is_expired(utc_now()),
    }


def _lines(tokens: list[Token]) -> Iterator[str]:
    from agent.cli.table import rows  # noqa: PLC0415
    from spool.records import utc_now  # noqa: PLC0415

    if not tokens:
        yield "there is no token: `aispool token create NAME --scope read` makes one"
        return
    now = utc_now()
    body = []
    for token in tokens:
        record = token.record
        ends = f"{record.expires_at.astimezone():%Y-%m-%d %H:%M}" if record.expires_at else NEVER
        how = " (expired)" if record.is_expired(now) else ""
        body.append((record.name, token.token_id, ",".join(record.scopes), ends + how, record.created_by))
    yield from rows(("NAME", "ID", "SCOPES", "EXPIRES", "MADE BY"), body)
