"""`aispool attach ID`: become the command that attaches to a task's session."""

from __future__ import annotations

import os
import shlex
import sys

from agent.cli.command import command
from agent.cli.ids import id_argument
from agent.cli.place import InputError, Place, pass_place


@command("attach")
@id_argument("sessions")
@pass_place
def attach_command(place: Place, *, task_id: str) -> None:
    """Attach this terminal to a running task. In tmux, C-b d leaves it running; in screen, C-a d.

    status.json of the session holds the same command, for use by hand.

    Examples:
      aispool attach nightly-build
      ssh -t host aispool attach nightly-build
    """
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
    words = shlex.split(command)
    # its server is another one than that of a tmux we are in: no loop is possible
    os.environ.pop("TMUX", None)
    os.execvp(words[0], words)  # the agent wrote these words
