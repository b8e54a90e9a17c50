"""`aispool retry ID...`: ask for another run of what is over."""

from __future__ import annotations

import click

from agent.cli.command import command
from agent.cli.hosts import MirrorPlace, hosts_option
from agent.cli.ids import ids_argument
from agent.cli.place import InputError, Place, failed, pass_place


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
    from spool.requests import RequestError, ask_to_retry  # noqa: PLC0415 - `--help` needs none of it

    problems = []
    for task_id in dict.fromkeys(task_ids):
        try:
            there = place.of(task_id)
            if isinstance(there, MirrorPlace):
                click.echo(f"{task_id}: {_ask(there, task_id, resume=resume)}")
                continue
            ask_to_retry(there.workspace, there.find(task_id), resume=resume)
        except RequestError as error:
            problems.append(InputError(str(error)))
        except InputError as error:
            problems.append(error)
        else:
            click.echo(f"{task_id}: will run again")
    for problem in problems:
        problem.show()
    if problems:
        raise failed()


def _ask(place: MirrorPlace, task_id: str, *, resume: bool) -> str:
    from spool.results import digest_of_result  # noqa: PLC0415

    view = place.find(task_id)
    if view.place != "results" or not view.path.is_dir():
        raise InputError(f"{task_id} has no result here that could be run again: it is {view.state}")
    if resume and (view.result is None or view.result.tool_session_id is None):
        raise InputError(f"{task_id} has no conversation to go on with: retry it without --resume")
    # the result that is meant is named, so that no repetition of this request runs the task twice
    do = "resume-conversation" if resume else "retry"
    return place.ask(do, task_id=task_id, sha256=digest_of_result(view.path))
