"""What people put into a session: answers to a tool that waits for one, and approvals of commands.

Each is a new file, whole or absent, under a number that nobody has: two people who answer at once both do,
one after the other.
"""

from __future__ import annotations

import os
import re
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

from spool.files import FOLDER_MODE, fsync_folder, put_new, read_regular
from spool.requests import RequestError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from spool.view import View
    from spool.workspace import Workspace

ANSWERS: Final = "answer"
APPROVALS: Final = "approve"
MAX_ANSWER_BYTES: Final = 1 << 20
_NUMBERED: Final = re.compile(r"(\d{1,9})\.txt")


def answer_bytes(content: bytes) -> bytes:
    """Return an answer as it is put into its file: it ends a line as `echo` ends one.

    Raises:
        RequestError: it is no text, or too long.
    """
    if len(content) > MAX_ANSWER_BYTES:
        raise RequestError(
            f"the answer is longer than {MAX_ANSWER_BYTES} bytes: put it into a file and name it"
        )
    try:
        content.decode()
    except UnicodeDecodeError as error:
        raise RequestError(f"the answer is not UTF-8 at byte {error.start}: convert it first") from None
    if b"\0" in content:
        raise RequestError("the answer holds a NUL character: take it out")
    return content if content.endswith(b"\n") else content + b"\n"


def session_of(workspace: Workspace, view: View) -> Path:
    """Return the folder of a task that is in session, to answer it.

    Raises:
        RequestError: it is not.
    """
    if view.place == "results":
        raise RequestError(f"{view.task_id} is over already: {view.state}")
    if view.path.parent != workspace.sessions:
        raise RequestError(f"{view.task_id} has not started, so it asks nothing: it is {view.state}")
    return view.path


def numbered_answers(session: Path) -> list[tuple[int, Path]]:
    """Return the answers of a session or a result, in the order in which they are given."""
    folder = session / ANSWERS
    try:
        found = [(match, path) for path in folder.iterdir() if (match := _NUMBERED.fullmatch(path.name))]
    except FileNotFoundError:
        return []
    return sorted((int(match[1]), path) for match, path in found)


def give_answer(session: Path, content: bytes) -> Path:
    """Put an answer behind those that are there, never in the place of one, and return its path.

    Args:
        session: the session's folder.
        content: as `answer_bytes` returns it.

    Raises:
        RequestError: the session is gone.
        OSError: nothing was dropped.
    """
    with _folder_of(session, ANSWERS):
        while True:
            path = _next_answer(session)
            try:
                put_new(path, content)
            except FileExistsError:
                continue  # another answered in this moment: behind that one
            return path


def give_answer_once(session: Path, content: bytes, key: str) -> None:
    """Put an answer behind those that are there, once for each key, whoever is killed when.

    The answer is a second name of a file of ours, which tells whether it was given.

    Raises:
        RequestError: the session is gone.
        OSError: the disk; doing it again goes on.
    """
    with _folder_of(session, ANSWERS) as folder:
        mine = folder / f".{key}"
        with suppress(FileExistsError):
            put_new(mine, content)
        while True:
            # in this order: whoever else gives this answer after the look takes the name that we want
            path = _next_answer(session)
            if any(given.samefile(mine) for _, given in numbered_answers(session)):
                return
            try:
                os.link(mine, path)
            except FileExistsError:
                continue
            fsync_folder(folder)
            return


@contextmanager
def _folder_of(session: Path, name: str) -> Iterator[Path]:
    """Make a folder in a session for what is to be put there.

    Raises:
        RequestError: the session is gone, now or before the end.
    """
    try:
        # not with its parents: a session that has just ended must not come back as an empty folder
        (session / name).mkdir(mode=FOLDER_MODE, exist_ok=True)
        fsync_folder(session)
        yield session / name
    except FileNotFoundError:
        raise RequestError(f"{session.name} is no longer in session: `aispool show {session.name}`") from None


def _next_answer(session: Path) -> Path:
    number = max((number for number, _ in numbered_answers(session)), default=0) + 1
    return session / ANSWERS / f"{number:03d}.txt"


def approve(session: Path, number: int, sha256: str) -> None:
    """Approve exactly the bytes of a proposed command, by its number.

    Raises:
        RequestError: the session is gone, or other bytes were approved under this number.
    """
    content = f"{sha256}\n".encode()
    with _folder_of(session, APPROVALS) as folder:
        try:
            put_new(folder / str(number), content)
        except FileExistsError:
            if read_regular(folder / str(number), 4096).strip() != content.strip():
                raise RequestError(f"{folder / str(number)} approves other bytes already") from None
