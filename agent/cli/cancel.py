"""`aispool cancel ID...`: ask for the end of a running task, or end a waiting one here and now."""

from __future__ import annotations

from agent.cli.command import command
from agent.cli.each import each
from agent.cli.hosts import hosts_option
from agent.cli.ids import ids_argument
from agent.cli.place import Place, pass_place


@command("cancel")
@ids_argument("tasks", "held", "sessions")
@hosts_option("--all-hosts", "--all")
@pass_place
def cancel_command(place: Place, *, task_ids: tuple[str, ...]) -> None:
    """Cancel tasks. A running one gets TERM, a grace, then KILL, with all its processes.

    By hand: create the file `cancel` in sessions/ID, or remove the file from tasks/.

    Examples:
      aispool cancel nightly-build
      aispool ls --json --state queued | jq -r '.tasks[].task_id' | xargs aispool cancel
    """
    from agent.service.actions import cancel  # noqa: PLC0415 - `--help` needs none of it

    each(place, task_ids, cancel)
