"""`aispool edit ID`: change a task while it waits. The editor works on a copy."""

from __future__ import annotations

import os
import shlex
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click

from agent.cli.command import command
from agent.cli.each import warn
from agent.cli.ids import id_argument
from agent.cli.place import InputError, Place, pass_place

if TYPE_CHECKING:
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
    from agent.cli.unread import checks_of  # noqa: PLC0415 - `--help` needs none of it
    from agent.service.editing import put_back, waiting_content  # noqa: PLC0415
    from agent.service.errors import ServiceError  # noqa: PLC0415

    view, before = waiting_content(place.desk, task_id)
    checks = checks_of(place)
    copy = _copy(view, before)
    after = _edited(copy, checks.config.max_task_bytes)
    if after == before:
        copy.unlink()
        click.echo(f"{task_id}: unchanged")
        return
    try:
        said = put_back(place.workspace, checks, view, before, after)
    except ServiceError as error:
        raise InputError(f"{error.message}\nyour edit is kept as {copy}") from None
    warn(said)
    copy.unlink()
    click.echo(f"{task_id}: {said.said}")


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
