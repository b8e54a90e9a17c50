"""Approvals: sessions/ID/approve/N holds the SHA-256 of proposed command N and approves exactly those bytes.

Anything else in the file, such as `no`, declines the command. By hand:

    printf %s 'systemctl restart nginx' | sha256sum | cut -c1-64 > sessions/ID/approve/2
"""

from __future__ import annotations

import os
import pwd
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from spool.files import NotRegularError, TooLargeError, make_folder, open_regular, put_new, read_descriptor

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

FOLDER: Final = "approve"
DECLINED: Final = "no"
_MOST_BYTES: Final = 4096


@dataclass(frozen=True, slots=True)
class Word:
    """What a person said to one command.

    Args:
        by: the file's owner.
        why: why it counts as declined; None when it is approved.
    """

    by: str
    why: str | None

    @property
    def approved(self) -> bool:
        """Whether it may run."""
        return self.why is None


def word_on(session: Path, number: int, sha256: str) -> Word | None:
    """Return what was said to a command; None while nothing was.

    Args:
        session: the run's folder.
        number: of the command.
        sha256: of its bytes.
    """
    path = session / FOLDER / str(number)
    try:
        with open_regular(path) as descriptor:
            owner = os.fstat(descriptor).st_uid
            said = read_descriptor(descriptor, _MOST_BYTES).decode(errors="replace").strip()
    except FileNotFoundError:
        return None
    except (NotRegularError, TooLargeError, OSError) as error:
        return Word("somebody", f"{path} cannot be read: {error}")
    by = _name(owner)
    if said == sha256:
        return Word(by, None)
    if said == DECLINED:
        return Word(by, f"declined by {by}")
    return Word(by, f"{path} does not hold the SHA-256 of this command, so it approves something else")


def say(session: Path, number: int, word: str) -> None:
    """Approve a command with its SHA-256, or decline it with `DECLINED`.

    Raises:
        FileExistsError: somebody spoke already.
        FileNotFoundError: the session is over.
    """
    folder = session / FOLDER
    # not with its parents: a session that has just ended must not come back as an empty folder
    folder.mkdir(mode=0o700, exist_ok=True)
    put_new(folder / str(number), word.encode() + b"\n")


def forget_all(session: Path) -> None:
    """Remove approvals of other commands, from before these were proposed."""
    shutil.rmtree(session / FOLDER, ignore_errors=True)
    make_folder(session / FOLDER)


def question(task_id: str, commands: Sequence[tuple[int, str, Sequence[str]]]) -> str:
    """Return what a person is asked: each command as (number, exact text, why it asks)."""
    one = len(commands) == 1
    lines = [f"{'A command waits' if one else f'{len(commands)} commands wait'} for your approval."]
    for number, text, reasons in commands:
        lines.append(f"[{number}] {text!r}" + (f": {'; '.join(reasons[:3])}" if reasons else ""))
    lines.append(
        f"See them with `aispool collab approve {task_id} --list`; approve: aispool collab approve {task_id}"
    )
    return "\n".join(lines)


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
