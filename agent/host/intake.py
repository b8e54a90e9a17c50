"""The drop folder as the agent sees it: looked at, accepted or refused, and kept in line.

A name is looked at when something hints at it and whenever its file differs from what we saw. What is
accepted stands in the scheduler's index; its file stays where it is until it is claimed, and may be edited,
held or removed: the next look takes the change up.
"""

from __future__ import annotations

import os
from collections import deque
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from agent import log
from agent.cluster import CLUSTER
from agent.host.dropped import Dropped, waiting_of
from agent.host.pace import Pace
from agent.host.trouble import is_everybodys
from spool.admit import NotYet, Ready, Sight, Signature, Verdict, give_up_waiting, look
from spool.files import post
from spool.known import place_of, repeated
from spool.names import FILES_SUFFIX, TASK_SUFFIX, ULID_LENGTH, WHY_SUFFIX, given_id, is_dropped_name, stem_of
from spool.records import State
from spool.refusal import Refusal
from spool.reject import reject
from spool.task import parse_task
from spool.view import Why

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.host.schedule import WaitingIndex
    from agent.host.site import Site


LOOK_S = 0.03
"""How long files that were listed are looked at in one turn, unless something more urgent comes meanwhile."""
LEAST_LOOKS = 2
"""How many are looked at in one turn, whatever comes."""
FIRST_LOOK_S = 0.5
"""The same in the turn that lists them, so that what starts first has mostly come first."""
MIN_PATIENCE_S = 0.05
"""A file that is looked at again at once would be looked at all the time."""


GIVEN_IDS_KEPT = 200_000


class Undecided(NamedTuple):
    """A file that was neither accepted nor refused: as we saw it, and when to look again (monotonic)."""

    sight: Sight
    due_s: float


class Intake:
    """All names of the drop folder, and what became of each; paths are keys as text.

    Args:
        site: our agent.
        index: gets what is accepted.
        is_wanted: tells whether something else waits to be done, while a long list is looked at.
    """

    def __init__(
        self, site: Site, index: WaitingIndex, is_wanted: Callable[[], bool] = lambda: False
    ) -> None:
        self.site = site
        self._index = index
        self._is_wanted = is_wanted
        self._by_path: dict[str, Dropped] = {}
        self._by_id: dict[str, Dropped] = {}
        self._again: dict[str, Undecided] = {}
        self._given: dict[int, str] = {}
        self._unread: deque[str] = deque()
        self._scan_pace = Pace()

    def __contains__(self, task_id: str) -> bool:
        return task_id in self._by_id

    def get(self, task_id: str) -> Dropped | None:
        """Return the waiting file of an id."""
        return self._by_id.get(task_id)

    def waiting(self) -> list[Dropped]:
        """Return all that waits."""
        return list(self._by_id.values())

    def counts(self) -> tuple[int, int]:
        """Return how many wait, and how many are on hold."""
        held = sum(dropped.waiting.held for dropped in self._by_id.values())
        return len(self._by_id) - held, held

    @property
    def undecided(self) -> bool:
        """Tell whether a file is there that was neither accepted nor refused yet."""
        return bool(self._again or self._unread)

    def scan(self) -> None:
        """List every name, and look at those whose files differ from what we saw: events are hints only.

        A long list of new files is looked at in part, in the order of their coming; `look_on` goes on. A
        folder that takes long to list is listed less often.

        Raises:
            OSError: the folder cannot be read.
        """
        if self._unread or not self._scan_pace.may_begin():
            return
        self._scan_pace.begins()
        with self._scan_pace.counted():
            changed, gone, lines = self._listed()
            self._unread.extend(path for _, path in sorted(changed))
            # the gone come last: a file that was moved to or from hold keeps the id it was given
            self._unread.extend(gone)
            for line in lines.difference(_line_of(path) for _, path in changed):
                Path(line).unlink(missing_ok=True)  # of a task that went while nobody looked
        self.look_on(FIRST_LOOK_S)

    def _listed(self) -> tuple[list[tuple[int, str]], list[str], set[str]]:
        """Return files that are not as we saw them, with their ctimes; the gone; lines of unknown files."""
        changed: list[tuple[int, str]] = []
        missing = {*self._by_path, *self._again}
        lines: set[str] = set()
        for folder in (self.site.workspace.tasks, self.site.workspace.held):
            with os.scandir(folder) as entries:
                for entry in entries:
                    if is_dropped_name(entry.name):
                        missing.discard(entry.path)
                        if (ctime_ns := self._change(entry)) is not None:
                            changed.append((ctime_ns, entry.path))
                    elif entry.name.endswith(WHY_SUFFIX) and not self._is_known(_task_of(entry.path)):
                        lines.add(entry.path)
        gone = [path for path in (*self._by_path, *self._again) if path in missing] if missing else []
        return changed, gone, lines

    def _is_known(self, path: str) -> bool:
        return path in self._by_path or path in self._again

    def _change(self, entry: os.DirEntry[str]) -> int | None:
        """Return the ctime of a file that is not as we saw it, 0 when it has just gone; None when it is."""
        try:
            status = entry.stat(follow_symlinks=False)
        except FileNotFoundError:
            return 0
        known = self._by_path.get(entry.path)
        if known is not None and known.seen == hash(Signature.of(status)):
            return None
        return status.st_ctime_ns

    def look_on(self, limit_s: float = LOOK_S) -> None:
        """Look at files that were listed, for as long as that may take and nothing else is wanted."""
        until_s = self.site.monotonic_s() + limit_s
        for number in count(1):
            if not self._unread or self.site.monotonic_s() >= until_s:
                return
            self._examine_alone(Path(self._unread.popleft()))
            if number >= LEAST_LOOKS and self._is_wanted():
                return

    @property
    def has_more(self) -> bool:
        """Tell whether listed files were not looked at yet."""
        return bool(self._unread)

    def _examine_alone(self, path: Path) -> None:
        """Look at one name; what is wrong with it alone keeps no other from being looked at."""
        try:
            self.examine(path)
        except OSError as error:
            if is_everybodys(error):
                raise
            log.warning("file cannot be looked at", file=path.name, what=str(error))

    def next_look_s(self) -> float | None:
        """Return when the next undecided file wants another look, on the monotonic clock."""
        return min((undecided.due_s for undecided in self._again.values()), default=None)

    def examine_due(self) -> None:
        """Look again at the undecided files whose time has come, and on at those that were listed."""
        now_s = self.site.monotonic_s()
        for path in [path for path, undecided in self._again.items() if undecided.due_s <= now_s]:
            self.examine(Path(path))
        self.look_on()

    def examine(self, path: Path) -> None:
        """Look at one name and accept, refuse or postpone it."""
        now_s = self.site.monotonic_s()
        if self._is_unchanged(path):
            return
        before = self._again.get(str(path))
        looked = look(path, before.sight if before else None, now_s, self.site.rules())
        if looked is None:
            self.forget(path)
            return
        sight, verdict = looked
        judged: Dropped | Verdict = (
            self.judge(path, verdict, sight) if isinstance(verdict, Ready) else verdict
        )
        if isinstance(judged, Refusal):
            judged = give_up_waiting(judged, sight, now_s, self.site.rules())
        match judged:
            case Dropped():
                self._accept(path, judged, sight)
            case NotYet():
                self._postpone(path, judged, Undecided(sight, now_s + max(judged.again_in_s, MIN_PATIENCE_S)))
            case Refusal():
                self.refuse(path, judged)

    def judge(self, path: Path, ready: Ready, sight: Sight) -> Dropped | Refusal:
        """Validate a finished file's bytes."""
        parsed = parse_task(ready.content)
        if isinstance(parsed, Refusal):
            return parsed
        task, _warnings = parsed
        task_id = task.task_id or self._given_id(path, sight)
        refusal = self._repeated(task_id, path, ready) or self._files_problem(path)
        refusal = refusal or self.site.registry.check(task, self.site.workspace, self.site.config)
        if refusal is not None:
            return refusal
        held = path.parent == self.site.workspace.held
        on_cluster = self.site.config.launcher_of(task) == CLUSTER
        waiting = waiting_of(task, task_id, ready.arrived_at, held=held, on_cluster=on_cluster)
        digest, is_given = bytes.fromhex(ready.sha256), task.task_id is None
        return Dropped(str(path), waiting, digest, is_given, seen=hash(sight.signature))

    def refuse(self, path: Path, refusal: Refusal) -> None:
        """Put a file into rejected/ with its reason."""
        target = reject(self.site.workspace, path, refusal, self.site.name)
        self.forget(path)
        if target is not None:
            log.warning("task rejected", file=path.name, what=refusal.what, task_id=refusal.task_id)

    def forget(self, path: Path) -> None:
        """Take a name out of line for good: its file is gone, claimed or refused."""
        was_known = self._is_known(str(path))
        self._take_out(path)
        if was_known:
            # also when its id waits elsewhere by now: what left held/ may have been seen in tasks/ first
            path.with_name(stem_of(path.name) + WHY_SUFFIX).unlink(missing_ok=True)

    def _take_out(self, path: Path) -> None:
        self._again.pop(str(path), None)
        dropped = self._by_path.pop(str(path), None)
        if dropped is not None and self._by_id.get(dropped.task_id) is dropped:
            del self._by_id[dropped.task_id]
            self._index.remove(dropped.task_id)

    def judge_again(self) -> None:
        """Forget all verdicts, as after a reload of the options; the next scan makes them anew."""
        known = list(self._by_path.values())
        for dropped in known:
            dropped.seen = None
        for dropped in known:
            self.examine(dropped.path)

    def _is_unchanged(self, path: Path) -> bool:
        known = self._by_path.get(str(path))
        if known is None or known.seen is None:
            return False
        try:
            return hash(Signature.of(path.lstat())) == known.seen
        except FileNotFoundError:
            return False

    def _accept(self, path: Path, dropped: Dropped, sight: Sight) -> None:
        before = self._by_path.get(str(path))
        if before is not None and before.task_id != dropped.task_id:
            self.forget(path)
        elif before is not None and dropped.is_as(before):
            dropped.line = before.line
        self._again.pop(str(path), None)
        self._by_path[dropped.place] = dropped
        self._by_id[dropped.task_id] = dropped
        self._index.insert(dropped.waiting)
        if dropped.is_given:
            self._remember(dropped, sight)
        if before is None:
            log.info("task accepted", task_id=dropped.task_id, file=path.name, tool=dropped.waiting.tool)

    def _postpone(self, path: Path, verdict: NotYet, undecided: Undecided) -> None:
        was_postponed = str(path) in self._again
        # being edited, it is not in line until it is whole again; its line stays, it holds the given id
        self._take_out(path)
        self._again[str(path)] = undecided
        if not was_postponed:
            log.info("file not finished", file=path.name, reason=verdict.reason)
        else:
            # still so at the second look: a person may want to know
            why = path.with_name(stem_of(path.name) + WHY_SUFFIX)
            post(why, f"- {State.QUEUED}: {verdict.reason}\n".encode())

    def _remember(self, dropped: Dropped, sight: Sight) -> None:
        """Keep the id of a file that brought none: it may be edited, held and released."""
        self._given.pop(sight.signature.inode, None)
        self._given[sight.signature.inode] = dropped.task_id
        if len(self._given) > max(GIVEN_IDS_KEPT, 2 * len(self._by_id)):
            last = {given: inode for inode, given in self._given.items() if given in self._by_id}
            self._given = {inode: given for given, inode in last.items()}

    def _given_id(self, path: Path, sight: Sight) -> str:
        """Return the id that this file was given before, or a new one."""
        before = self._by_path.get(str(path))
        why = Why.read(path.with_name(stem_of(path.name) + WHY_SUFFIX))
        new = given_id(stem_of(path.name))
        candidates = (
            before.task_id if before is not None and before.is_given else None,
            self._given.get(sight.signature.inode),
            why.task_id if why is not None and why.task_id[:-ULID_LENGTH] == new[:-ULID_LENGTH] else None,
        )
        return next((known for known in candidates if known and self._is_free(known, path)), new)

    def _is_free(self, task_id: str, path: Path) -> bool:
        """Tell whether an id that was given once can only be this file's."""
        other = self._by_id.get(task_id)
        mine = other is None or other.path == path or not other.path.exists()
        return mine and place_of(self.site.workspace, task_id) is None

    def _repeated(self, task_id: str, path: Path, ready: Ready) -> Refusal | None:
        first = self._by_id.get(task_id)
        if first is not None and first.path != path and first.path.exists():
            return repeated(task_id, str(first.path), same=first.sha256 == ready.sha256)
        place = place_of(self.site.workspace, task_id)
        if place is None:
            return None
        return repeated(task_id, str(place.path), same=place.sha256 == ready.sha256)

    def _files_problem(self, path: Path) -> Refusal | None:
        files = path.with_name(stem_of(path.name) + FILES_SUFFIX)
        if files.is_symlink() or (files.exists() and not files.is_dir()):
            return Refusal(f"{files.name} is not a folder", "make it a folder that holds the input files")
        return None


def _line_of(path: str) -> str:
    """Return the path of the line that explains a waiting file."""
    return path.removesuffix(TASK_SUFFIX) + WHY_SUFFIX


def _task_of(line: str) -> str:
    """Return the path of the waiting file that a line explains."""
    return line.removesuffix(WHY_SUFFIX) + TASK_SUFFIX
