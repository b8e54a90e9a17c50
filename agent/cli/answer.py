"""`aispool answer ID TEXT`: answer a tool that waits for a person, by one more file in its session.

Each answer is a new file, whole or absent, under a number that nobody has: two people who answer at once
both do, one after the other.
"""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Any, Final

import click

from agent.cli.command import command
from agent.cli.ids import id_argument
from agent.cli.place import InputError, Place, json_option, pass_place, print_json

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from spool.view import View
    from spool.workspace import Workspace

FOLDER: Final = "answer"
MAX_ANSWER_BYTES: Final = 1 << 20
STDIN: Final = "-"
_NUMBERED: Final = re.compile(r"(\d{1,9})\.txt")


@command("answer")
@id_argument("sessions")
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
    view = place.find(task_id)
    if text is None:
        _print_all(place, view, as_json=as_json)
        return
    folder = _session(place.workspace, view)
    path = drop_answer(folder, _content(text))
    if as_json:
        from agent.inspect.documents import document  # noqa: PLC0415 - `--help` needs none of it

        print_json(document(place.workspace, task_id=view.task_id, path=str(path), state=str(view.state)))
    else:
        click.echo(f"{view.task_id}: answered with {path.name}")
    if view.state != "waiting_input":
        warning = f"{view.task_id} is {view.state} and asks nothing now: what it asks next gets this answer"
        click.echo(f"aispool: {warning}", err=True)
    _ring(place.workspace, view.task_id)


def _session(workspace: Workspace, view: View) -> Path:
    """Return the folder of a task that is in session.

    Raises:
        InputError: it is not.
    """
    if view.place == "results":
        raise InputError(f"{view.task_id} is over already: {view.state}")
    if view.path.parent != workspace.sessions:
        raise InputError(f"{view.task_id} has not started, so it asks nothing: it is {view.state}")
    return view.path


def _content(text: str) -> bytes:
    """Return the answer's bytes, which end a line as `echo` ends one.

    Raises:
        InputError: it is no text, too long, or standard input held nothing.
    """
    content = text.encode(errors="surrogateescape")
    if text == STDIN:
        content = sys.stdin.buffer.read(MAX_ANSWER_BYTES + 1)
        if not content.strip():
            raise InputError("standard input is empty: for an empty answer, give '' instead of -")
    if len(content) > MAX_ANSWER_BYTES:
        raise InputError(
            f"the answer is longer than {MAX_ANSWER_BYTES} bytes: put it into a file and name it"
        )
    try:
        content.decode()
    except UnicodeDecodeError as error:
        raise InputError(f"the answer is not UTF-8 at byte {error.start}: convert it first") from None
    if b"\0" in content:
        raise InputError("the answer holds a NUL character: take it out")
    return content if content.endswith(b"\n") else content + b"\n"


def drop_answer(session: Path, content: bytes) -> Path:
    """Put an answer behind those that are there, never in the place of one, and return its path.

    Raises:
        InputError: the session is gone.
        OSError: nothing was dropped.
    """
    from spool.files import FOLDER_MODE, fsync_folder, put_new  # noqa: PLC0415 - `--help` needs none of it

    folder = session / FOLDER
    try:
        # not with its parents: a session that has just ended must not come back as an empty folder
        folder.mkdir(mode=FOLDER_MODE, exist_ok=True)
        fsync_folder(session)
        while True:
            number = max((number for number, _ in _numbered(folder)), default=0) + 1
            path = folder / f"{number:03d}.txt"
            try:
                put_new(path, content)
            except FileExistsError:
                continue  # another answered in this moment: behind that one
            return path
    except FileNotFoundError:
        raise InputError(f"{session.name} is no longer in session: `aispool show {session.name}`") from None


def _numbered(folder: Path) -> list[tuple[int, Path]]:
    try:
        found = [(match, path) for path in folder.iterdir() if (match := _NUMBERED.fullmatch(path.name))]
    except FileNotFoundError:
        return []
    return sorted((int(match[1]), path) for match, path in found)


def _ring(workspace: Workspace, task_id: str) -> None:
    from spool.submit import ring  # noqa: PLC0415

    ring(workspace, task_id)


def _print_all(place: Place, view: View, *, as_json: bool) -> None:
    from agent.inspect.documents import document  # noqa: PLC0415

    answers = list(_answers(view.path)) if view.place in {"sessions", "results"} else []
    question = view.status.question if view.status else None
    if as_json:
        found = {"task_id": view.task_id, "state": str(view.state), "question": question, "answers": answers}
        print_json(document(place.workspace, **found))
        return
    from agent.cli.table import block  # noqa: PLC0415
    from agent.inspect.sanitize import one_line  # noqa: PLC0415

    click.echo(f"{one_line(view.task_id)} is {view.state}: {one_line(view.reason)}")
    for line in block("question", question or "none"):
        click.echo(line)
    for answer in answers:
        for line in block(answer["name"], answer["text"]):
            click.echo(line)


def _answers(folder: Path) -> Iterator[dict[str, Any]]:
    from datetime import UTC, datetime  # noqa: PLC0415

    from spool.files import read_regular  # noqa: PLC0415
    from spool.records import iso  # noqa: PLC0415

    for _, path in _numbered(folder / FOLDER):
        try:
            text = read_regular(path, MAX_ANSWER_BYTES).decode(errors="replace")
            at = iso(datetime.fromtimestamp(path.lstat().st_mtime, UTC))
        except OSError as error:
            text, at = f"[cannot be read: {error}]", None
        yield {"name": path.name, "text": text, "answered_at": at}
