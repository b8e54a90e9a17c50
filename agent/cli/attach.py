"""`aispool attach ID`: become the command that attaches to a task's session."""

from __future__ import annotations

import os
import shlex
import sys

import click

from agent.cli.command import command
from agent.cli.hosts import MirrorPlace, hosts_option
from agent.cli.ids import id_argument
from agent.cli.place import InputError, Place, pass_place


@command("attach")
@id_argument("sessions")
@hosts_option("--all-hosts", "--all")
@pass_place
def attach_command(place: Place, *, task_id: str) -> None:
    """Attach this terminal to a running task. In tmux, C-b d leaves it running; in screen, C-a d.

    A task without a terminal (launcher `process`) is followed instead: its output is shown, C-c leaves it.
    status.json of the session holds the same command, for use by hand. On another host, it is run through
    ssh, and again by itself whenever the connection was lost.

    Examples:
      aispool attach nightly-build
      aispool attach --host gpu-box nightly-build
    """
    place = place.of(task_id)
    view = place.find(task_id)
    if view.state.is_over:
        raise InputError(f"{task_id} is over ({view.state}): `aispool logs {task_id}` prints what it said")
    command = view.status.attach if view.status else None
    if not command:
        raise InputError(
            f"{task_id} has no session now: it is {view.state} ({view.reason}); "
            f"`aispool logs -f {task_id}` waits for its output"
        )
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise InputError(f"this is not a terminal: run in one (ssh -t): {command}")
    if isinstance(place, MirrorPlace):
        raise click.exceptions.Exit(_attach_there(place, task_id, command))
    words = shlex.split(command)
    # its server is another one than that of a tmux we are in: no loop is possible
    os.environ.pop("TMUX", None)
    os.execvp(words[0], words)  # the agent wrote these words


def _attach_there(place: MirrorPlace, task_id: str, command: str) -> int:
    from agent.fleet.attach import attach  # noqa: PLC0415 - only where it is used

    def is_over() -> bool:
        from spool.view import find  # noqa: PLC0415

        view = find(place.workspace, task_id)
        return view is None or view.state.is_over

    # the host's own words, which only the host runs
    return attach(
        place.there.link("attach to"), command, is_over, lambda what: click.echo(f"aispool: {what}", err=True)
    )
