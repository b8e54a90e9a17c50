"""`aispool retry ID...`: ask for another run of what is over."""

from __future__ import annotations

from functools import partial

import click

from agent.cli.command import command
from agent.cli.each import each
from agent.cli.hosts import hosts_option
from agent.cli.ids import ids_argument
from agent.cli.place import Place, pass_place


@command("retry")
@ids_argument("results")
@hosts_option("--all-hosts", "--all")
@click.option("--resume", is_flag=True, help="Go on with the tool's conversation instead of beginning anew.")
@pass_place
def retry_command(place: Place, *, task_ids: tuple[str, ...], resume: bool) -> None:
    """Run finished tasks again, whether they succeeded or not; their earlier attempts are kept.

    By hand: create the file `retry` in results/ID; the word `resume` in it goes on with the conversation.

    Examples:
      aispool retry nightly-build
      aispool retry --resume review-42
      aispool ls --all --state failed --json | jq -r '.tasks[].task_id' | xargs aispool retry
    """
    from agent.service.actions import retry  # noqa: PLC0415 - `--help` needs none of it

    each(place, task_ids, partial(retry, resume=resume), as_given=True)
