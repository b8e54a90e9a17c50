"""`aispool hold` and `aispool release`: a waiting file moves into tasks/held/ and out again."""

from __future__ import annotations

from agent.cli.command import command
from agent.cli.each import each
from agent.cli.hosts import hosts_option
from agent.cli.ids import ids_argument
from agent.cli.place import Place, pass_place


@command("hold")
@ids_argument("tasks")
@hosts_option("--all-hosts", "--all")
@pass_place
def hold_command(place: Place, *, task_ids: tuple[str, ...]) -> None:
    """Put waiting tasks on hold: no agent starts them until they are released.

    By hand: mv the file into tasks/held/.

    Examples:
      aispool hold nightly-build
      aispool release nightly-build
    """
    from agent.service.actions import hold  # noqa: PLC0415 - `--help` needs none of it

    each(place, task_ids, hold, as_given=True)


@command("release")
@ids_argument("held")
@hosts_option("--all-hosts", "--all")
@pass_place
def release_command(place: Place, *, task_ids: tuple[str, ...]) -> None:
    """Release tasks that are on hold.

    By hand: mv the file from tasks/held/ back into tasks/.

    Examples:
      aispool release nightly-build
      aispool ls --state held --json | jq -r '.tasks[].task_id' | xargs aispool release
    """
    from agent.service.actions import release  # noqa: PLC0415 - `--help` needs none of it

    each(place, task_ids, release, as_given=True)
