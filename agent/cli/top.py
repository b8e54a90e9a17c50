"""`aispool top`: all tasks in a terminal, live, with keys for what people do with them."""

from __future__ import annotations

import click

from agent.cli.command import command
from agent.cli.hosts import complete_host
from agent.cli.place import InputError, Place, pass_place


@command("top")
@click.option(
    "--host",
    metavar="HOST",
    shell_complete=complete_host,
    help="Only this host of the fleet; `here`: only this workspace.",
)
@pass_place
def top_command(place: Place, *, host: str | None) -> None:
    """Show all tasks of all hosts, live: logs, attach, cancel, hold, retry, answer. `?` shows the keys.

    Needs a terminal of any size and kind, and no mouse; NO_COLOR is obeyed.

    Examples:
      aispool top
      aispool top --host gpu-box
      ssh -t server aispool top
    """
    from agent.service.errors import ServiceError  # noqa: PLC0415 - `--help` needs none of it
    from agent.top.main import run  # noqa: PLC0415

    try:
        code = run(place.workspace.root, host)
    except ServiceError as error:
        raise InputError(str(error)) from None
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "textual":
            raise
        raise InputError(
            'the terminal view is not installed: `pip install "aispool[top]"` adds it; '
            "`aispool ls` and `aispool logs -f ID` work without"
        ) from None
    if code:
        raise click.exceptions.Exit(code)
