"""What people see of one host's tasks on their way, and what they drop, move and ask for in its mirror.

A task on its way is seen as tasks/ID.json, a second name of the file in the outbox; so whatever else lies
there was dropped by a person. One that a person moved to tasks/held/ is on hold.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from agent.fleet import asked
from agent.fleet.accept import Door, is_refused
from agent.fleet.controls import Controls, order
from agent.fleet.ending import hide, mend
from agent.fleet.layout import ANY
from agent.fleet.outbox import HELD, Parcel, discard, parcels, sweep
from agent.fleet.shown import Known, inode, inodes_in, link_over
from agent.fleet.waiting import mirrored_tasks
from spool.files import put
from spool.names import TASK_SUFFIX, WHY_SUFFIX, is_dropped_name, stem_of
from spool.records import State

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from agent.fleet.layout import Mirror
    from agent.fleet.whereabouts import WaitingIds
    from spool.admit import Rules
    from spool.refusal import Refusal
    from spool.task import Task
    from spool.view import Why


class Desk:
    """One folder below fleet/: a host's, or `any`."""

    def __init__(
        self, mirror: Mirror, waiting: WaitingIds, judge: Callable[[Task, str, str], Refusal | None]
    ) -> None:
        mirror.make()
        self.mirror = mirror
        self.controls = Controls(mirror)
        self._waiting = waiting
        self._door = Door(mirror, judge)
        self._begun = False
        self._why: dict[Path, str] = {}

    @property
    def is_a_host(self) -> bool:
        """Tell whether this is a host, and not `any`."""
        return self.mirror.name != ANY

    def has(self, task_id: str) -> bool:
        """Tell whether a task of this id is here in any form, as far as we know."""
        boxes = (self.mirror.outbox.tasks, self.mirror.sent.tasks, self.mirror.workspace.sessions)
        if any((box / task_id).is_dir() for box in (*boxes, self.mirror.workspace.results)):
            return True
        return task_id in self._waiting.of(self.mirror)

    def outbox(self) -> list[Parcel]:
        """Return what its host provably does not have."""
        return list(parcels(self.mirror.outbox.tasks))

    def sent(self) -> list[Parcel]:
        """Return what its host has, or may have."""
        return list(parcels(self.mirror.sent.tasks))

    def parcel_sent(self, task_id: str) -> Parcel:
        """Return one of `sent`."""
        return Parcel(self.mirror.sent.tasks / task_id)

    def look(self, now_s: float, rules: Rules) -> bool:
        """Take up what people put, moved and dropped here; True when something was accepted.

        Raises:
            OSError: the disk; calling again goes on.
        """
        if not self._begun:
            self._go_on(rules)
        asked.finish_taking(self.mirror)
        asked.read_sessions(self.mirror)
        for path in list(asked.waiting_cancels(self.mirror)):
            asked.read_cancel(self.mirror, path)
        asked.read_pauses(self.mirror, self.controls)
        return self._look_at_tasks(now_s, rules)

    def _go_on(self, rules: Rules) -> None:
        """Go on with what a killed collector left."""
        for folder in (self.mirror.outbox.tasks, self.mirror.sent.tasks):
            sweep(folder)
        for parcel in self.outbox():
            if is_refused(parcel):
                hide(self.mirror, parcel)
                discard(parcel)
            else:
                mend(self.mirror, parcel)
        self._door.finish_accepting(rules)
        self._begun = True

    def _look_at_tasks(self, now_s: float, rules: Rules) -> bool:
        ours = {inode(parcel.task): parcel for parcel in (*self.outbox(), *self.sent())}
        mirrored = mirrored_tasks(self.mirror)
        dropped: list[Path] = []
        for kind, folder in (("tasks", self.mirror.workspace.tasks), ("held", self.mirror.workspace.held)):
            # names and numbers of one look: what a person moves meanwhile is not taken for a new drop
            for name, number in inodes_in(folder).items():
                if not is_dropped_name(name):
                    continue
                if number is not None and number in ours:
                    self._follow(ours[number], kind)
                elif number is not None and number in mirrored:
                    if mirrored[number] != kind:
                        self._ask_to_move(folder / name, kind)
                else:
                    dropped.append(folder / name)
        self._door.keep_only(set(dropped))
        accepted = [path for path in dropped if self._door.take(path, now_s, rules) is not None]
        return bool(accepted)

    def _follow(self, parcel: Parcel, kind: str) -> None:
        """Hold or release a task on its way, when a person moved it."""
        is_held = parcel.has(HELD)
        if is_held == (kind == "held"):
            return
        with suppress(FileNotFoundError):  # it was moved at this moment
            if is_held:
                parcel.unmark(HELD)
            else:
                parcel.mark(HELD)
            if parcel.is_sent:
                self._ask("release" if is_held else "hold", parcel.task_id)

    def _ask_to_move(self, path: Path, kind: str) -> None:
        task_id = self._waiting.id_of(path)
        if task_id is not None:
            self._ask("hold" if kind == "held" else "release", task_id)

    def _ask(self, do: str, task_id: str) -> None:
        if not self.controls.asks(do, task_id=task_id):
            order(self.mirror, do, task_id=task_id)

    # ------------------------------------------------------------------------------------ what people see

    def show(self, why: Mapping[str, Why]) -> None:
        """Show the tasks on their way, and why each still waits.

        Args:
            why: by id; one that is not there is not shown: its host shows it.
        """
        lines: dict[Path, str] = {}
        for parcel in (*self.outbox(), *self.sent()):
            if parcel.task_id in why:
                path = self._show(parcel)
                lines[path.with_name(f"{parcel.task_id}{WHY_SUFFIX}")] = why[parcel.task_id].line()
        for path, (reason, _) in self._door.unfinished.items():
            lines[path.with_name(stem_of(path.name) + WHY_SUFFIX)] = f"- {State.QUEUED}: {reason}\n"
        for path, line in lines.items():
            if self._why.get(path) != line or not path.exists():
                put(path, line.encode(), durable=False)
        for path in self._why.keys() - lines.keys():
            if not path.with_suffix(TASK_SUFFIX).exists():
                path.unlink(missing_ok=True)
        self._why = lines

    def _show(self, parcel: Parcel) -> Path:
        """Give a task its second name where people look for it, and return that."""
        tasks, held = self.mirror.workspace.tasks, self.mirror.workspace.held
        right, wrong = (held, tasks) if parcel.has(HELD) else (tasks, held)
        target = right / parcel.task.name
        number = inode(parcel.task)
        if inode(target) != number and not target.exists():
            with suppress(FileNotFoundError, FileExistsError):
                os.link(parcel.task, target, follow_symlinks=False)
        if inode(wrong / parcel.task.name) == number and inode(target) == number:
            (wrong / parcel.task.name).unlink(missing_ok=True)
        return target

    def hand_to_mirror(self, parcel: Parcel) -> None:
        """Let people see the host's own copy of a task that it has now, in the place of ours."""
        for kind, seen, there in (
            ("tasks", self.mirror.workspace.tasks, self.mirror.raw / "tasks"),
            ("held", self.mirror.workspace.held, self.mirror.raw / "tasks" / "held"),
        ):
            name, why = parcel.task.name, f"{parcel.task_id}{WHY_SUFFIX}"
            known = Known(self.mirror.shown / kind)
            is_ours = inode(seen / name) is not None and inode(seen / name) == inode(parcel.task)
            if inode(there / name) is not None:
                known.add([there / name])
                if is_ours:
                    link_over(there / name, seen / name)
            elif is_ours:
                (seen / name).unlink(missing_ok=True)
            if inode(seen / why) not in known.inodes:
                (seen / why).unlink(missing_ok=True)

    def next_look_s(self) -> float | None:
        """Return when an unfinished file wants to be looked at again, on the monotonic clock."""
        return min((due_s for _, due_s in self._door.unfinished.values()), default=None)
