"""`aispool edit ID`: change a task while it waits.

The editor works on a copy. To put it back, the task is first moved where no agent takes it (rename, so that
a claimed task is never revived), compared with what the copy was made of, replaced, and moved back. Killed in
between, it is on hold and whole.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click

from agent.cli.command import command
from agent.cli.ids import id_argument
from agent.cli.place import InputError, Place, pass_place

if TYPE_CHECKING:
    from agent.cli.unread import Checks
    from spool.view import View


@command("edit")
@id_argument("tasks", "held")
@pass_place
def edit_command(place: Place, *, task_id: str) -> None:
    """Edit a waiting task in $VISUAL or $EDITOR; it is checked before it is put back.

    The task may start meanwhile; then your edit is kept beside, and not used. Hold it first to be sure.

    Examples:
      aispool edit nightly-build
      aispool hold nightly-build && aispool edit nightly-build && aispool release nightly-build
      EDITOR="sed -i s/low/high/" aispool edit nightly-build
    """
    from agent.cli.unread import Checks  # noqa: PLC0415 - `--help` needs none of it
    from spool.files import read_regular  # noqa: PLC0415

    view = place.find(task_id)
    if view.place not in {"tasks", "held"}:
        raise InputError(f"{task_id} does not wait any more: it is {view.state} ({view.reason})")
    checks = Checks(place)
    before = read_regular(view.path, checks.config.max_task_bytes)
    copy = _copy(view, before)
    after = _edited(copy, checks.config.max_task_bytes)
    if after == before:
        copy.unlink()
        click.echo(f"{task_id}: unchanged")
        return
    try:
        _check(checks, view, after)
        _put_back(place, view, before, after)
    except InputError as error:
        raise InputError(f"{error.message}\nyour edit is kept as {copy}") from None
    copy.unlink()
    click.echo(f"{task_id}: changed")


def _copy(view: View, content: bytes) -> Path:
    handle, name = tempfile.mkstemp(prefix=f"{Path(view.name).stem[:60]}-", suffix=".json")
    with os.fdopen(handle, "wb") as file:
        file.write(content)
    return Path(name)


def _edited(copy: Path, most_bytes: int) -> bytes:
    from spool.files import read_regular  # noqa: PLC0415

    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
    try:
        done = subprocess.run([*shlex.split(editor), str(copy)], check=False)
    except (OSError, ValueError) as error:
        raise InputError(f"cannot run the editor {editor!r} ({error}): set EDITOR to one you have") from None
    if done.returncode != 0:
        raise InputError(f"{editor} ended with {done.returncode}: nothing was changed; the copy is {copy}")
    return read_regular(copy, most_bytes)


def _check(checks: Checks, view: View, content: bytes) -> None:
    """Refuse what the agent would refuse, and another id than before."""
    from spool.names import FILES_SUFFIX, stem_of  # noqa: PLC0415
    from spool.refusal import Refusal  # noqa: PLC0415
    from spool.task import parse_task  # noqa: PLC0415

    parsed = parse_task(content)
    if isinstance(parsed, Refusal):
        raise InputError(parsed.sentence())
    task, warnings = parsed
    if view.task is not None and task.task_id != view.task.task_id:
        raise InputError("task_id was changed: submit a new task, and cancel this one")
    files = view.path.with_name(stem_of(view.name) + FILES_SUFFIX)
    refused = checks.check(task, files if files.is_dir() else None)
    if refused:
        raise InputError(refused.sentence())
    for warning in warnings:
        click.echo(f"aispool: {warning}", err=True)


def _put_back(place: Place, view: View, before: bytes, after: bytes) -> None:
    from spool.exclusive import move_new  # noqa: PLC0415
    from spool.files import put, read_regular  # noqa: PLC0415

    held = place.workspace.held
    parked = held / view.name if view.place == "tasks" else held / f"{Path(view.name).stem}~edit.json"
    try:
        move_new(view.path, parked)
    except FileNotFoundError:
        raise InputError(f"{view.task_id} was claimed or removed meanwhile") from None
    except FileExistsError:
        raise InputError(f"{parked} is in the way: release or rename it") from None
    try:
        if read_regular(parked) != before:
            raise InputError(f"{view.name} was changed by another meanwhile: edit it again")
        put(parked, after)
    finally:
        _unpark(parked, view)


def _unpark(parked: Path, view: View) -> None:
    from spool.exclusive import move_new  # noqa: PLC0415

    try:
        move_new(parked, view.path)
    except FileExistsError:
        raise InputError(
            f"another {view.name} was dropped meanwhile: this one is on hold as {parked}"
        ) from None
