"""What people ask of a task on another host, on its way there: one file each, `spool.control.Control`.

    HOST/.outbox/control/ULID.json   not given to the host yet
    HOST/.sent/control/ULID.json     given to it, or perhaps; it says so when it is done (`settle_controls`)

The command line writes such files itself. What people put into a mirror by hand (`cancel`, `answer/001.txt`,
`approve/1`, `retry`, `paused`) becomes one: by one rename, whose new name says all that the old place said,
so that a collector killed at any moment asks once. ULIDs are given in rising order, which hosts keep.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from agent import log
from agent.fleet.shown import Known, inode
from spool.answers import APPROVALS, answer_bytes, numbered_answers
from spool.control import Control, parse_control
from spool.exclusive import move_new
from spool.files import (
    NotRegularError,
    TooLargeError,
    fsync_folder,
    make_folder,
    no_writer_holds,
    open_regular,
    put,
    put_new,
    read_regular,
    remove,
)
from spool.names import TASK_SUFFIX, ULID_LENGTH, is_task_id, is_ulid, new_ulid, stem_of
from spool.records import utc_now
from spool.refusal import Refusal
from spool.reject import reject
from spool.requests import RequestError
from spool.results import CANCEL, RESUME, RETRY, digest_of_result

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from agent.fleet.layout import Mirror

DONE: Final = "inbox/.done/control"
"""Where a host notes which controls are done, below its workspace."""
MAX_CONTROL_BYTES: Final = 4 << 20
MAX_REQUEST_BYTES: Final = 2 << 20
CANCEL_SUFFIX: Final = ".cancel"
"""tasks/ID.cancel beside tasks/ID.json: a task that waits has no session to put `cancel` into."""
_WRONG: Final = (RequestError, ValueError, NotRegularError, TooLargeError, FileNotFoundError, PermissionError)
"""What tells of the control or of what it is about; any other error is one of the moment."""
_PAUSE: Final = re.compile(r"paused(?:\.(tool|group)\.(.+))?")
_ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def order(mirror: Mirror, do: str, **fields: Any) -> Control:
    """Ask a host for something; it is on its way when this returns.

    Args:
        mirror: the host's.
        do: see `spool.control.Do`.
        fields: what it needs: task_id, text, number, sha256, tool, group, collected, collector, workspace_id.

    Raises:
        ValueError: a field is missing, or does not belong there.
        OSError: nothing was asked.
    """
    make_folder(mirror.outbox_controls)
    while True:
        control = Control.model_validate(
            {"id": next_ulid(mirror), "do": do, "issued_at": utc_now(), **fields}
        )
        try:
            put_new(mirror.outbox_controls / f"{control.id}{TASK_SUFFIX}", control.encoded())
        except FileExistsError:
            continue
        return control


def next_ulid(mirror: Mirror) -> str:
    """Return a ULID that sorts behind all that wait for this host."""
    waiting = [*_names(mirror.outbox_controls), *_names(mirror.sent_controls)]
    latest = max((stem for name in waiting if is_ulid(stem := stem_of(name).lstrip(".")[:26])), default="")
    ulid = new_ulid()
    return ulid if ulid > latest else _after(latest)


def _after(ulid: str) -> str:
    value = 0
    for letter in ulid:
        value = value << 5 | _ALPHABET.index(letter)
    value += 1
    return "".join(_ALPHABET[value >> shift & 31] for shift in range(125, -1, -5))


def _names(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)
    except FileNotFoundError:
        return []


class Controls:
    """The controls of one host that are not done yet, each read once."""

    def __init__(self, mirror: Mirror) -> None:
        self._mirror = mirror
        self._read: dict[str, Control] = {}

    def unsent(self) -> list[Control]:
        """Return those that were not given to the host, in order."""
        return self._all(self._mirror.outbox_controls)

    def sent(self) -> list[Control]:
        """Return those that were given to it, or perhaps."""
        return self._all(self._mirror.sent_controls)

    def asks(self, do: str, **fields: Any) -> bool:
        """Tell whether the host is being asked for this already."""
        return any(
            control.do == do and all(getattr(control, name) == value for name, value in fields.items())
            for control in (*self.unsent(), *self.sent())
        )

    def drop(self, control: Control) -> None:
        """Forget one that was not given to the host."""
        remove(self._mirror.outbox_controls / f"{control.id}{TASK_SUFFIX}")
        self._read.pop(control.id, None)

    def send(self) -> None:
        """Note that all are about to be given to the host."""
        make_folder(self._mirror.sent_controls)
        for control in self.unsent():
            name = f"{control.id}{TASK_SUFFIX}"
            with suppress(FileNotFoundError, FileExistsError):
                move_new(self._mirror.outbox_controls / name, self._mirror.sent_controls / name)

    def settle(self) -> dict[str, str]:
        """Forget those that the host says are done; return what it said of each, by id."""
        outcomes = {}
        for control in self.sent():
            outcome = self._outcome(control.id)
            if outcome is None:
                continue
            outcomes[control.id] = outcome
            remove(self._mirror.sent_controls / f"{control.id}{TASK_SUFFIX}")
            self._read.pop(control.id, None)
            if control.do != "ack":
                log.info("control done", host=self._mirror.name, do=control.do, task_id=control.task_id,
                         outcome=outcome)  # fmt: skip
        return outcomes

    def _outcome(self, ulid: str) -> str | None:
        """Return what the host says became of a control: of it, or of the file that it refused."""
        done = self._mirror.raw / DONE / ulid
        try:
            return read_regular(done, 1 << 16).decode(errors="replace").strip()[:500] or "done"
        except FileNotFoundError:
            refused = self._mirror.raw / "rejected" / f"{ulid}{TASK_SUFFIX}"
            return "refused" if refused.exists() else None
        except OSError as error:
            return f"unreadable: {error}"

    def _all(self, folder: Path) -> list[Control]:
        found = []
        for name in sorted(_names(folder)):
            stem = stem_of(name)
            if not is_ulid(stem) or name == stem:
                continue
            if stem not in self._read:
                with suppress(FileNotFoundError):
                    self._take_up(folder / name, stem)
            if stem in self._read:
                found.append(self._read[stem])
        return found

    def _take_up(self, path: Path, stem: str) -> None:
        parsed = parse_control(read_regular(path, MAX_CONTROL_BYTES), stem)
        if isinstance(parsed, Refusal):
            reject(self._mirror.workspace, path, parsed, "collector")
        else:
            self._read[stem] = parsed


def read_sessions(mirror: Mirror) -> None:
    """Take up what people put into sessions/ID of a mirror, and beside its waiting tasks."""
    for name in sorted(filter(is_task_id, _names(mirror.workspace.sessions))):
        session = mirror.workspace.sessions / name
        if os.path.lexists(session / CANCEL):
            _take(mirror, session / CANCEL, "cancel", name)
        for _, path in numbered_answers(session):
            _take(mirror, path, "answer", name)
        for number in sorted(n for n in _names(session / APPROVALS) if n.isdecimal() and len(n) <= 6):  # noqa: PLR2004
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
    here = {name: inode(configs / name) for name in _names(configs) if _PAUSE.fullmatch(name)}
    for name, number in sorted(here.items()):
        if number not in ours:
            _take(mirror, configs / name, "pause", name)
    for name in sorted(set(_names(mirror.raw / configs.name)) - here.keys()):
        match = _PAUSE.fullmatch(name)
        if match is None or inode(mirror.raw / configs.name / name) not in ours:
            continue
        what = {match[1]: match[2]} if match[1] else {}
        if not controls.asks("unpause", **({"tool": None, "group": None} | what)):
            order(mirror, "unpause", **what)


def finish_taking(mirror: Mirror) -> None:
    """Go on with what was taken up before a kill or an error of the disk."""
    for name in sorted(_names(mirror.outbox_controls)):
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
        for name in sorted(_names(folder)):
            if name.endswith(CANCEL_SUFFIX) and not name.startswith("."):
                yield folder / name
