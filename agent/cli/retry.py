"""`aispool retry ID...`: ask for another run of what is over."""

from __future__ import annotations

import click

from agent.cli.command import command
from agent.cli.ids import ids_argument
from agent.cli.place import InputError, Place, failed, pass_place


@command("retry")
@ids_argument("results")
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
    problems = []
    for task_id in dict.fromkeys(task_ids):
        try:
            _retry(place, task_id, resume=resume)
        except InputError as error:
            problems.append(error)
        else:
            click.echo(f"{task_id}: will run again")
    for problem in problems:
        problem.show()
    if problems:
        raise failed()


def _retry(place: Place, task_id: str, *, resume: bool) -> None:
    from spool.results import RESUME, RETRY, read_result, read_task  # noqa: PLC0415 - `--help` needs none of it
    from spool.submit import request, ring  # noqa: PLC0415

    view = place.find(task_id)
    if view.place != "results":
        raise InputError(f"{task_id} is not over: it is {view.state} ({view.reason})")
    if not view.path.is_dir():
        raise InputError(f"the result of {task_id} was pruned, and its task with it: submit it again")
    if read_task(view.path) is None:
        raise InputError(f"{view.path} holds no task.json to run: submit the task again")
    if resume and ((result := read_result(place.workspace, task_id)) is None or not result.tool_session_id):
        raise InputError(f"{task_id} has no conversation to go on with: retry it without --resume")
    try:
        request(view.path / RETRY, f"{RESUME}\n".encode() if resume else b"")
    except FileNotFoundError:
        raise InputError(f"{task_id} was pruned, or is run again already: see `aispool ls`") from None
    ring(place.workspace, task_id)
