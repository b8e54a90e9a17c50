"""`aispool serve`: the web page and the public API."""

from __future__ import annotations

from pathlib import Path

import click

from agent.cli.command import command
from agent.cli.place import InputError, Place, pass_place


@command("serve")
@click.option("--host", default="127.0.0.1", show_default=True, metavar="ADDRESS", help="Where it listens.")
@click.option(
    "--port", default=8377, show_default=True, type=click.IntRange(0, 65535), help="0 takes any that is free."
)
@click.option(
    "--cert", type=click.Path(exists=True, dir_okay=False, path_type=Path), metavar="FILE",
    help="The certificate chain, for TLS.",
)  # fmt: skip
@click.option(
    "--key", type=click.Path(exists=True, dir_okay=False, path_type=Path), metavar="FILE", help="Its key."
)
@click.option("--behind-proxy", "proxy", metavar="NAME", help="A proxy that speaks TLS is reached as NAME.")
@click.option(
    "--proxy-address", "proxy_addresses", multiple=True, metavar="ADDRESS",
    help="Where the proxy connects from; repeatable. Default: this machine.",
)  # fmt: skip
@click.option(
    "--name", "names", multiple=True, metavar="NAME", help="Also reached under this name; repeatable."
)
@click.option("--link/--no-link", default=True, help="Print a link that logs in once. Default: yes.")
@pass_place
def serve_command(
    place: Place,
    *,
    host: str,
    port: int,
    cert: Path | None,
    key: Path | None,
    proxy: str | None,
    proxy_addresses: tuple[str, ...],
    names: tuple[str, ...],
    link: bool,
) -> None:
    """Serve the web page and the API (/api/v1) of this workspace.

    It owns nothing: kill it at any time, the tasks and their results are files. On 127.0.0.1 it asks for a
    login, too, since all users of a machine reach that; anywhere else it needs a token
    (`aispool token create`), and TLS or a proxy that speaks it.

    Examples:
      aispool serve
      aispool serve --port 0 --no-link
      aispool serve --host 0.0.0.0 --cert fullchain.pem --key privkey.pem --name ai.example.org
      aispool serve --behind-proxy ai.example.org
    """
    try:
        from agent.web.server import LOCAL, Listening, ServeError, run  # noqa: PLC0415 - heavy, and an extra
    except ModuleNotFoundError as error:
        raise InputError(
            f"the web page needs {error.name}, which is not installed: pip install 'aispool[web]'"
        ) from None
    listening = Listening(
        host=host,
        port=port,
        cert=cert,
        key=key,
        proxy=proxy,
        proxy_addresses=proxy_addresses or LOCAL,
        names=names,
        link=link,
    )
    try:
        run(place.workspace, listening, click.echo)
    except ServeError as error:
        raise InputError(str(error)) from None
