"""Evidence that is there before anything is collected: files that came along, and a result under review."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from agent.collab.children import ChildError, spool_of
from agent.collab.evidence import content_of, record_of
from spool.files import NotRegularError, TooLargeError, read_regular
from spool.names import is_task_id
from spool.records import DamagedError, Result

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from agent.collab.evidence import Piece, Site

MOST_FILES: Final = 50


def given_files(site: Site, paths: Sequence[Path]) -> tuple[Piece, ...]:
    """Return the files that came with the question; folders are walked, in order."""
    pieces: list[Piece] = []
    for path in _files_below(paths):
        if len(pieces) == MOST_FILES:
            break
        try:
            content = read_regular(path, site.roles.limits.file_bytes)
        except (NotRegularError, TooLargeError, OSError):
            continue  # the catalogue shows what is there; a file that cannot be read is not
        name = _free_name(f"file-{_readable(path.name)}", pieces)
        pieces.append((record_of(site, name, content, command=f"file {path}"), content))
    return tuple(pieces)


def reviewed_result(site: Site, of: str) -> tuple[Piece, ...]:
    """Return a finished task's own words: what was asked, how it ended, what it printed.

    Its result is looked for where the question is about: here, or in the mirror of a host.

    Raises:
        ChildError: there is no such result, or no such host.
    """
    folder = spool_of(site.workspace, site.host).results / of
    try:
        result = Result.read(folder / "result.json") if is_task_id(of) else None
    except (DamagedError, OSError) as error:
        raise ChildError(f"the result of {of} cannot be read: {error}") from None
    if result is None:
        raise ChildError(
            f"there is no result of {of} in {folder.parent}: `aispool ls --all` lists what is over"
        )
    outcome = result.model_copy(update={"output": result.output.model_copy(update={"text": ""})})
    contents = {"task": content_of(folder / "task.json"), "outcome": outcome.encoded()}
    contents["answer"] = result.output.text.encode(errors="replace")
    for stream in ("stdout", "stderr"):
        named = getattr(result.output, stream)
        contents[stream] = content_of(folder / named) if named else b""
    if contents["stdout"].strip() == contents["answer"].strip():
        del contents["stdout"]
    return tuple(
        (record_of(site, name, content, command=f"result {of}", task_id=of), content)
        for name, content in contents.items()
        if content
    )


def _files_below(paths: Sequence[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            for parent, folders, names in os.walk(path):
                folders[:] = sorted(name for name in folders if not name.startswith("."))
                yield from (Path(parent, name) for name in sorted(names) if not name.startswith("."))
        else:
            yield path


def _readable(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.")[:60] or "unnamed"


def _free_name(name: str, pieces: Sequence[Piece]) -> str:
    taken = {record.name for record, _ in pieces}
    number = 2
    free = name
    while free in taken:
        free, number = f"{name}-{number}", number + 1
    return free
