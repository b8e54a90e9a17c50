"""`aispool logs ID`: what a task printed, as text or as one document; and with -f what it prints."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

import click

from agent.cli.command import command
from agent.cli.hosts import hosts_option
from agent.cli.ids import id_argument
from agent.cli.place import InputError, Place, failed, json_option, pass_place, print_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from spool.view import View

POLL_S: Final = 0.2


@command("logs")
@id_argument("sessions", "results")
@hosts_option("--all-hosts", "--all")
@click.option("--follow", "-f", is_flag=True, help="Go on until the task is over.")
@click.option("--lines", "-n", type=click.IntRange(min=0), metavar="N", help="Only the last N lines.")
@click.option("--raw", is_flag=True, help="With colours and control characters, as the tool printed them.")
@json_option
@pass_place
def logs_command(
    place: Place, *, task_id: str, follow: bool, lines: int | None, raw: bool, as_json: bool
) -> None:
    """Print what a task printed; -f follows it until it is over.

    Escape sequences are taken out, since they could do anything to your terminal; --raw leaves them in.

    Examples:
      aispool logs nightly-build
      aispool logs -n 50 -f nightly-build
      aispool logs --raw nightly-build | less -R
      aispool logs -n 1 --json nightly-build | jq -r '.lines[0]'
    """
    from agent.inspect.follow import Follower, last_lines  # noqa: PLC0415 - `--help` needs none of it
    from agent.service.logs import output_files  # noqa: PLC0415

    if follow and as_json:
        raise click.UsageError("--follow has no end to put into one document: leave out --json or -f")
    place = place.of(task_id)
    view = place.find(task_id)
    write = _writer(raw=raw)
    files = output_files(place.workspace, view)
    if as_json:
        _print_document(
            place, view, last_lines(files, lines) if lines is not None else _whole(files), raw=raw
        )
        if not files:
            raise failed()
        return
    if not files and not follow:
        raise InputError(f"{task_id} has printed nothing yet: it is {view.state} ({view.reason})")
    if not follow:
        write(last_lines(files, lines) if lines is not None else _whole(files))
        write((b"",))
        return
    if not files:
        click.echo(f"aispool: {task_id} is {view.state}: {view.reason}", err=True)
    log = _log(place, view)
    follower = Follower(log, POLL_S)
    if files and files[-1] == log:
        if lines is None:
            write(_whole(files[:-1]))
        else:
            write(last_lines([*files[:-1], log], lines, follower))
    elif files:
        write(_whole(files))
    write(follower.pieces(until=lambda: _is_over(place, task_id)))
    write((b"",))


def _print_document(place: Place, view: View, pieces: Iterable[bytes], *, raw: bool) -> None:
    """Print the lines as one document, whether there are any or not."""
    from agent.inspect.documents import document  # noqa: PLC0415
    from agent.sanitize import Plain  # noqa: PLC0415

    if raw:
        text = b"".join(pieces).decode(errors="replace")
    else:
        plain = Plain()
        text = "".join(plain.feed(piece) for piece in pieces) + plain.end()
    # not splitlines(): a form feed or U+2028 in a line ends it for Python alone
    lines = text.removesuffix("\n").split("\n") if text else []
    print_json(
        document(
            place.workspace,
            task_id=view.task_id,
            state=str(view.state),
            reason=view.reason,
            lines=lines,
        )
    )


def _writer(*, raw: bool) -> Callable[[Iterable[bytes]], None]:
    """Return what prints pieces of a stream; an empty piece ends it."""
    from agent.sanitize import Plain  # noqa: PLC0415

    plain = Plain()

    def write(pieces: Iterable[bytes]) -> None:
        for piece in pieces:
            if raw:
                sys.stdout.buffer.write(piece)
            else:
                sys.stdout.write(plain.feed(piece) if piece else plain.end())
            sys.stdout.flush()

    return write


def _log(place: Place, view: View) -> Path:
    from agent.service.logs import log_file  # noqa: PLC0415

    return log_file(place.workspace, view) or place.workspace.logs / f"{view.task_id}.log"


def _whole(files: list[Path]) -> Iterable[bytes]:
    for path in files:
        with path.open("rb") as file:
            while piece := file.read(1 << 16):
                yield piece


def _is_over(place: Place, task_id: str) -> bool:
    from spool.view import find  # noqa: PLC0415

    view = find(place.workspace, task_id)
    return view is None or view.state.is_over
