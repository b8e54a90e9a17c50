"""What people ask of a task on another host, on its way there: one file each, `spool.control.Control`.

    HOST/.outbox/control/ULID.json   not given to the host yet
    HOST/.sent/control/ULID.json     given to it, or perhaps; it says so when it is done (`settle_controls`)

The command line writes such files itself; what people put into a mirror by hand becomes one
(`agent.fleet.asked`). ULIDs are given in rising order, which hosts keep.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from agent import log
from spool.control import Control, parse_control
from spool.exclusive import move_new
from spool.files import make_folder, put_new, read_regular, remove
from spool.names import TASK_SUFFIX, is_ulid, new_ulid, stem_of
from spool.records import utc_now
from spool.refusal import Refusal
from spool.reject import reject

if TYPE_CHECKING:
    from pathlib import Path

    from agent.fleet.layout import Mirror

DONE: Final = "inbox/.done/control"
"""Where a host notes which controls are done, below its workspace."""
MAX_CONTROL_BYTES: Final = 4 << 20
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
    waiting = [*names_in(mirror.outbox_controls), *names_in(mirror.sent_controls)]
    latest = max((stem for name in waiting if is_ulid(stem := stem_of(name).lstrip(".")[:26])), default="")
    ulid = new_ulid()
    return ulid if ulid > latest else _after(latest)


def _after(ulid: str) -> str:
    value = 0
    for letter in ulid:
        value = value << 5 | _ALPHABET.index(letter)
    value += 1
    return "".join(_ALPHABET[value >> shift & 31] for shift in range(125, -1, -5))


def names_in(folder: Path) -> list[str]:
    """Return the names in a folder that may not be there."""
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
        for name in sorted(names_in(folder)):
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
