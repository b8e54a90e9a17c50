"""What people put into a mirror by hand becomes a control.

That is `cancel`, `answer/001.txt`, `approve/1`, `retry` and `paused`. It is done by one rename, whose new
name says all that the old place said, so that a collector killed at any moment asks once:

    HOST/.outbox/control/.ULID~DO~ABOUT~NUMBER   taken up, not yet a control
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any, Final

from agent import log
from agent.fleet.controls import names_in, next_ulid, order
from agent.fleet.shown import Known, inode
from spool.answers import APPROVALS, answer_bytes, numbered_answers
from spool.control import Control
from spool.files import (
    NotRegularError,
    TooLargeError,
    fsync_folder,
    make_folder,
    no_writer_holds,
    open_regular,
    put,
    read_regular,
    remove,
)
from spool.names import TASK_SUFFIX, ULID_LENGTH, is_task_id, is_ulid
from spool.records import utc_now
from spool.refusal import Refusal
from spool.reject import reject
from spool.requests import RequestError
from spool.results import CANCEL, RESUME, RETRY, digest_of_result

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from agent.fleet.controls import Controls
    from agent.fleet.layout import Mirror

MAX_REQUEST_BYTES: Final = 2 << 20
CANCEL_SUFFIX: Final = ".cancel"
"""tasks/ID.cancel beside tasks/ID.json: a task that waits has no session to put `cancel` into."""
_WRONG: Final = (RequestError, ValueError, NotRegularError, TooLargeError, FileNotFoundError, PermissionError)
"""What tells of the control or of what it is about; any other error is one of the moment."""
_PAUSE: Final = re.compile(r"paused(?:\.(tool|group)\.(.+))?")


def read_sessions(mirror: Mirror) -> None:
    """Take up what people put into sessions/ID of a mirror, and beside its waiting tasks."""
    for name in sorted(filter(is_task_id, names_in(mirror.workspace.sessions))):
        session = mirror.workspace.sessions / name
        if os.path.lexists(session / CANCEL):
            _take(mirror, session / CANCEL, "cancel", name)
        for _, path in numbered_answers(session):
            _take(mirror, path, "answer", name)
        for number in sorted(n for n in names_in(session / APPROVALS) if n.isdecimal() and len(n) <= 6):  # noqa: PLR2004
            _take(mirror, session / APPROVALS / number, "approve", name, number)


def read_cancel(mirror: Mirror, path: Path) -> None:
    """Take up tasks/ID.cancel."""
    task_id = path.name.removesuffix(CANCEL_SUFFIX)
    if is_task_id(task_id):
        _take(mirror, path, "cancel", task_id)


def read_retry(mirror: Mirror, task_id: str) -> None:
    """Take up results/ID/retry."""
    _take(mirror, mirror.workspace.results / task_id / RETRY, "retry", task_id)


def read_pauses(mirror: Mirror, controls: Controls) -> None:
    """Take up pauses that people made in configs/, or removed from there."""
    configs = mirror.workspace.configs
    ours = Known(mirror.shown / configs.name).inodes
    here = {name: inode(configs / name) for name in names_in(configs) if _PAUSE.fullmatch(name)}
    for name, number in sorted(here.items()):
        if number not in ours:
            _take(mirror, configs / name, "pause", name)
    for name in sorted(set(names_in(mirror.raw / configs.name)) - here.keys()):
        match = _PAUSE.fullmatch(name)
        if match is None or inode(mirror.raw / configs.name / name) not in ours:
            continue
        what = {match[1]: match[2]} if match[1] else {}
        if not controls.asks("unpause", **({"tool": None, "group": None} | what)):
            order(mirror, "unpause", **what)


def finish_taking(mirror: Mirror) -> None:
    """Go on with what was taken up before a kill or an error of the disk."""
    for name in sorted(names_in(mirror.outbox_controls)):
        if name.startswith(".") and is_ulid(name[1:27]) and name[27:28] == "~":
            _finish(mirror, mirror.outbox_controls / name)
        elif not name.startswith(".") and is_ulid(name[-ULID_LENGTH:]):
            _refuse(mirror, mirror.outbox_controls / name, f"it cannot be done on {mirror.name}")


def _take(mirror: Mirror, path: Path, do: str, about: str, number: str = "") -> None:
    if not _is_whole(path):
        return
    make_folder(mirror.outbox_controls)
    taken = mirror.outbox_controls / f".{next_ulid(mirror)}~{do}~{about}~{number}"
    try:
        path.rename(taken)
    except FileNotFoundError:
        return
    fsync_folder(mirror.outbox_controls)
    fsync_folder(path.parent)
    _finish(mirror, taken)


def _is_whole(path: Path) -> bool:
    """Tell whether nobody is writing the file just now; `echo yes > answer/001.txt` takes a moment."""
    try:
        with open_regular(path) as descriptor:
            return no_writer_holds(descriptor) is not False
    except FileNotFoundError:
        return False
    except OSError:
        return True  # what it is instead is found out when it is read


def _finish(mirror: Mirror, taken: Path) -> None:
    ulid, do, about, number = taken.name[1:].split("~")
    name = f"{ulid}{TASK_SUFFIX}"
    if not (mirror.sent_controls / name).exists():
        try:
            control = _control(mirror, taken, ulid, do, about, number)
        except _WRONG as error:
            what = f"it cannot be done on {mirror.name}: {error}"
            log.warning("control refused", host=mirror.name, do=do, about=about, what=str(error))
            plain = taken.with_name(f"{about}.{do}.{ulid}")
            taken.rename(plain)
            _refuse(mirror, plain, what)
            return
        except OSError as error:
            log.warning("control waits", host=mirror.name, do=do, about=about, what=str(error))
            return
        put(mirror.outbox_controls / name, control.encoded())
    remove(taken)


def _refuse(mirror: Mirror, path: Path, what: str) -> None:
    reject(mirror.workspace, path, Refusal(what, "look at it, and ask again"), "collector")


def _control(mirror: Mirror, taken: Path, ulid: str, do: str, about: str, number: str) -> Control:
    fields: dict[str, Any] = {"id": ulid, "do": do, "issued_at": utc_now()}
    content = read_regular(taken, MAX_REQUEST_BYTES)
    match do:
        case "pause":
            match = _PAUSE.fullmatch(about)
            assert match is not None
            fields |= {match[1]: match[2]} if match[1] else {}
        case "answer":
            fields |= {"task_id": about, "text": answer_bytes(content).decode()}
        case "approve":
            fields |= {"task_id": about, "number": int(number), "sha256": content.decode().strip()}
        case "retry":
            fields |= {"task_id": about, "sha256": digest_of_result(mirror.workspace.results / about)}
            fields |= {"do": "resume-conversation"} if content.strip() == RESUME.encode() else {}
        case _:
            fields |= {"task_id": about}
    return Control.model_validate(fields)


def waiting_cancels(mirror: Mirror) -> Iterator[Path]:
    """Yield tasks/ID.cancel and tasks/held/ID.cancel."""
    for folder in (mirror.workspace.tasks, mirror.workspace.held):
        for name in sorted(names_in(folder)):
            if name.endswith(CANCEL_SUFFIX) and not name.startswith("."):
                yield folder / name
