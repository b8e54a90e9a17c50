"""`aispool answer ID TEXT`: answer a tool that waits for a person, by one more file in its session."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

import click

from agent.cli.command import command
from agent.cli.each import warn
from agent.cli.hosts import hosts_option
from agent.cli.ids import id_argument
from agent.cli.place import InputError, Place, json_option, pass_place, print_json

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from spool.view import View

STDIN: Final = "-"


@command("answer")
@id_argument("sessions")
@hosts_option("--all-hosts", "--all")
@click.argument("text", metavar="[TEXT|-]", required=False)
@click.option("--list", "as_list", is_flag=True, help="Show the question and earlier answers; drop nothing.")
@json_option
@pass_place
def answer_command(place: Place, *, task_id: str, text: str | None, as_list: bool, as_json: bool) -> None:
    """Answer a task that waits for a person; - reads the answer from standard input.

    By hand: write the next NNN.txt into sessions/ID/answer, here or in a mirror of this workspace.

    Examples:
      aispool answer nightly-build yes
      aispool answer nightly-build --list
      aispool answer nightly-build - < decision.txt
      aispool ls --json --state waiting_input | jq -r '.tasks[] | .task_id, .question'
    """
    if as_list == (text is not None):
        raise click.UsageError("give either the answer (- is stdin; -- before one with a dash), or --list")
    if text is None:
        place = place.of(task_id)
        _print_all(place, place.find(task_id), as_json=as_json)
        return
    from agent.service.actions import answer  # noqa: PLC0415 - as below

    found = place.desk.find(task_id, place.where)
    said = answer(place.desk, found.view.task_id, _content(text), host=found.place.host or "here")
    warn(said)
    if as_json:
        from agent.inspect.documents import document  # noqa: PLC0415 - `--help` needs none of it

        state = str(found.view.state)
        print_json(document(found.place.workspace, task_id=said.task_id, path=said.path, state=state))
    else:
        click.echo(f"{said.task_id}: {said.said}")


def _content(text: str) -> bytes:
    """Return what the person answers.

    Raises:
        InputError: standard input held nothing.
    """
    from spool.answers import MAX_ANSWER_BYTES  # noqa: PLC0415

    if text != STDIN:
        return text.encode(errors="surrogateescape")
    content = sys.stdin.buffer.read(MAX_ANSWER_BYTES + 1)
    if not content.strip():
        raise InputError("standard input is empty: for an empty answer, give '' instead of -")
    return content


def _print_all(place: Place, view: View, *, as_json: bool) -> None:
    from agent.inspect.documents import document  # noqa: PLC0415

    answers = list(_answers(view.path)) if view.place in {"sessions", "results"} else []
    question = view.status.question if view.status else None
    if as_json:
        found = {"task_id": view.task_id, "state": str(view.state), "question": question, "answers": answers}
        print_json(document(place.workspace, **found))
        return
    from agent.cli.table import block  # noqa: PLC0415
    from agent.sanitize import one_line  # noqa: PLC0415

    click.echo(f"{one_line(view.task_id)} is {view.state}: {one_line(view.reason)}")
    for line in block("question", question or "none"):
        click.echo(line)
    for answer in answers:
        for line in block(answer["name"], answer["text"]):
            click.echo(line)


def _answers(folder: Path) -> Iterator[dict[str, Any]]:
    from datetime import UTC, datetime  # noqa: PLC0415

    from spool.answers import MAX_ANSWER_BYTES, numbered_answers  # noqa: PLC0415
    from spool.files import read_regular  # noqa: PLC0415
    from spool.records import iso  # noqa: PLC0415

    for _, path in numbered_answers(folder):
        try:
            text = read_regular(path, MAX_ANSWER_BYTES).decode(errors="replace")
            at = iso(datetime.fromtimestamp(path.lstat().st_mtime, UTC))
        except OSError as error:
            text, at = f"[cannot be read: {error}]", None
        yield {"name": path.name, "text": text, "answered_at": at}
