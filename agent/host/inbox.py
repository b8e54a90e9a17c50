"""What a collector delivers: tasks move on into the drop folder, controls are done, each exactly once.

A delivery is its name, its bytes and its modification time, which rsync keeps. It is noted under .done/
before and after it is moved: what comes again goes silently, also when its task is gone. Where only the first
note was made, a kill came between, and the task itself tells whether it was moved. The input files move
before their task. A control is noted after it was done, since doing it twice changes nothing.

What comes here is judged like any dropped file: by its writer, its kind, its owner, its size, its parsing.
"""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from typing import TYPE_CHECKING

from agent import log
from agent.host.controls import apply
from agent.host.delivered import Arrival, Noted
from agent.host.trouble import is_everybodys
from spool.admit import NotYet, Ready, Sight, give_up_waiting, look
from spool.control import parse_control
from spool.exclusive import move_new
from spool.files import fsync_tree, make_folder, put, remove
from spool.known import place_of, repeated
from spool.names import FILES_SUFFIX, is_dropped_name, stem_of
from spool.records import DamagedError
from spool.refusal import Refusal
from spool.reject import reject
from spool.task import parse_task

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from agent.host.board import Board
    from agent.host.intake import Intake
    from agent.host.site import Site

MOST_AT_ONCE = 200
"""Deliveries taken in one turn; a flood of them must not keep tasks from starting."""
_AGAIN_S = 1.0


class Inbox:
    """The two folders into which a collector delivers."""

    def __init__(self, intake: Intake, board: Board) -> None:
        self._intake = intake
        self._board = board
        self._sights: dict[Path, Sight] = {}
        self._hinted = False

    @property
    def _site(self) -> Site:
        return self._intake.site

    @property
    def undecided(self) -> bool:
        """Tell whether something lies there that was neither taken nor refused yet."""
        return bool(self._sights)

    @property
    def has_more(self) -> bool:
        """Tell whether something is there that nobody has looked at yet."""
        return self._hinted

    def hint(self, path: Path) -> None:
        """Note that something may have come."""
        self._hinted = self._hinted or is_dropped_name(path.name)

    def take_hinted(self) -> None:
        """Take what has come when something hinted at it."""
        if self._hinted:
            self.take_all()

    def take_all(self) -> None:
        """Take all that has come, in the order of the names: tasks first, since controls are about them.

        Raises:
            OSError: the disk; what was taken so far is taken, and the next call goes on.
        """
        workspace = self._site.workspace
        # controls are listed first: what one of them is about was delivered before it
        controls = _paths(workspace.inbox_control)
        tasks = _paths(workspace.inbox_tasks)
        self._sights = {path: self._sights[path] for path in (*tasks, *controls) if path in self._sights}
        left = self._take_some(tasks, self._take_task)
        left = left or self._take_some(controls, self._take_control)
        self._hinted = left

    def _take_some(self, paths: list[Path], take: Callable[[Arrival], Refusal | NotYet | None]) -> bool:
        """Take what was postponed and a part of what is new; True when some of that is left."""
        new = [path for path in paths if path not in self._sights]
        for path in [*self._sights.keys() & set(paths), *new[:MOST_AT_ONCE]]:
            self._take(path, take)
        return len(new) > MOST_AT_ONCE

    def _take(self, path: Path, take: Callable[[Arrival], Refusal | NotYet | None]) -> None:
        """Take one file; what is wrong with it alone keeps no other."""
        try:
            self._judge(path, take)
        except (OSError, DamagedError) as error:
            if isinstance(error, OSError) and is_everybodys(error):
                raise
            log.warning("delivery cannot be taken", file=path.name, what=str(error))

    def _judge(self, path: Path, take: Callable[[Arrival], Refusal | NotYet | None]) -> None:
        now_s, rules = self._site.monotonic_s(), self._site.rules()
        before = self._sights.pop(path, None)
        looked = look(path, before, now_s, rules)
        if looked is None:
            return
        sight, verdict = looked
        judged = take(Arrival(path, verdict, sight)) if isinstance(verdict, Ready) else verdict
        if isinstance(judged, Refusal):
            judged = give_up_waiting(judged, sight, now_s, rules)
        match judged:
            case NotYet():
                self._sights[path] = sight
                if before is None:
                    log.info("delivery waits", file=path.name, reason=judged.reason)
            case Refusal():
                reject(self._site.workspace, path, judged, self._site.name)
                log.warning("delivery rejected", file=path.name, what=judged.what)
                if isinstance(verdict, Ready) and path.parent == self._site.workspace.inbox_tasks:
                    Arrival(path, verdict, sight).note(self._site.workspace, Noted.DONE)

    # ------------------------------------------------------------------------------------------- tasks

    def _take_task(self, arrival: Arrival) -> Refusal | NotYet | None:
        path = arrival.path
        task_id = stem_of(path.name)
        noted = arrival.noted(self._site.workspace)
        if noted is Noted.DONE:
            self._remove(path)
            return None
        parsed = parse_task(arrival.ready.content)
        if isinstance(parsed, Refusal):
            return parsed
        if parsed[0].task_id != task_id:
            return Refusal(
                f"its name is {path.name}, its task_id {parsed[0].task_id}",
                "a delivered task is named by its id: ID.json",
                field="task_id",
            )
        refusal = self._known(task_id, arrival.ready)
        if refusal is not None and noted is Noted.BEGUN:
            arrival.note(self._site.workspace, Noted.DONE)
            self._remove(path)
            return None
        return refusal or self._deliver(arrival)

    def _known(self, task_id: str, ready: Ready) -> Refusal | None:
        """Refuse an id that is in use here, or was."""
        first = self._intake.get(task_id)
        if first is not None and first.path.exists():
            return repeated(task_id, str(first.path), same=first.sha256 == ready.sha256)
        place = place_of(self._site.workspace, task_id)
        if place is None:
            return None
        return repeated(task_id, str(place.path), same=place.sha256 == ready.sha256)

    def _deliver(self, arrival: Arrival) -> NotYet | None:
        path, workspace = arrival.path, self._site.workspace
        files = path.with_name(stem_of(path.name) + FILES_SUFFIX)
        target = workspace.tasks / path.name
        if os.path.lexists(target):
            return NotYet(f"tasks/{path.name} is another task's file", _AGAIN_S)
        arrival.note(workspace, Noted.BEGUN)
        fsync_tree(path)  # rsync leaves that to whoever cares
        with suppress(FileNotFoundError):
            fsync_tree(files)
            try:
                move_new(files, workspace.tasks / files.name)
            except FileExistsError:
                # they are there from before a kill: what came again may be in the middle of coming
                shutil.rmtree(files, ignore_errors=True)
        try:
            move_new(path, target)
        except FileNotFoundError:
            return None  # another agent was faster
        except FileExistsError:
            return NotYet(f"tasks/{path.name} is another task's file", _AGAIN_S)
        arrival.note(workspace, Noted.DONE)
        log.info("task delivered", file=path.name)
        self._intake.examine(target)
        return None

    def _remove(self, path: Path) -> None:
        shutil.rmtree(path.with_name(stem_of(path.name) + FILES_SUFFIX), ignore_errors=True)
        remove(path)
        log.info("delivered again", file=path.name)

    # ------------------------------------------------------------------------------------------- controls

    def _take_control(self, arrival: Arrival) -> Refusal | NotYet | None:
        path = arrival.path
        control = parse_control(arrival.ready.content, stem_of(path.name))
        if isinstance(control, Refusal):
            return control
        done = self._site.workspace.delivered / "control" / control.id
        if done.exists():
            log.info("control delivered again", file=path.name)
        else:
            outcome = apply(self._site, self._intake, self._board, control)
            if outcome is None:
                return NotYet(f"{control.task_id} is on its way", _AGAIN_S)
            make_folder(done.parent)
            put(done, f"{outcome}\n".encode())
        remove(path)
        return None


def _paths(folder: Path) -> list[Path]:
    try:
        return [folder / name for name in sorted(os.listdir(folder)) if is_dropped_name(name)]
    except FileNotFoundError:
        make_folder(folder)
        return []
