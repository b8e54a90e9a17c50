"""The agent's loop: look, observe, settle, schedule, launch; then wait for a hint or the next scan.

All state lies in the workspace. What is kept here is only what was read there, so the loop may die at any
line; the next agent reads it again.
"""

from __future__ import annotations

import math
import queue
import signal
import time
from functools import partial
from typing import TYPE_CHECKING, Literal, TypeVar

from pydantic import ValidationError

from agent import log
from agent.config import ConfigError, load
from agent.host.beat import DEAD, Heart, Work, is_called_dead
from agent.host.board import Board
from agent.host.housekeeping import Housekeeping
from agent.host.inbox import Inbox
from agent.host.intake import Intake
from agent.host.outbox import Outbox
from agent.host.reruns import RerunSearch
from agent.host.schedule import WaitingIndex, plan
from agent.host.site import no_room
from agent.host.why import Whys
from agent.notify import Notifier, watchdog_interval_s
from agent.tools.registry import Registry
from agent.watch import Hint, Watch
from spool.files import TEMPORARY, names_together
from spool.names import WHY_SUFFIX, is_dropped_name
from spool.records import DamagedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from agent.host.schedule import Plan
    from agent.host.site import Site

T = TypeVar("T")
Wish = Literal["stop", "reload"]

ENDING_TICK_S = 0.2
"""How often processes that are being ended are looked at."""
RELOOK_S = 60.0
"""How often every waiting task is judged anew, for what no event told us."""
DRAIN_HOOKS_S = 10.0
MOST_HINTS = 10_000
"""Hints taken in one turn; a flood of them must not keep tasks from starting."""


class Loop:
    """One agent at work."""

    def __init__(self, site: Site, *, drain: bool, slots: int | None = None) -> None:
        self.site = site
        self._drain = drain
        self._slots = slots
        self._hints: queue.SimpleQueue[Hint | Wish] = queue.SimpleQueue()
        self._index = WaitingIndex()
        self._intake = Intake(site, self._index, self._is_wanted)
        self._outbox = Outbox(site)
        self._board = Board(site, self._intake, self._index, self._outbox)
        self._inbox = Inbox(self._intake, self._board)
        self._whys = Whys()
        self._heart = Heart(site)
        self._notifier = Notifier()
        self._reruns = RerunSearch(site.workspace)
        self._housekeeping = Housekeeping()
        ws = site.workspace
        watched = (ws.tasks, ws.held, ws.configs, ws.results, ws.inbox_tasks, ws.inbox_control)
        self._watch = Watch(watched, self._hints.put, bells=(site.bell,), ignored=(TEMPORARY, WHY_SUFFIX))
        self._stopping = False
        self._disk_error: str | None = None
        self._blocked: str | None = None
        self._scan_at_s = 0.0
        self._relook_at_s = 0.0
        self._scan_every_s = min(site.config.scan_interval_s, watchdog_interval_s() or math.inf)

    def run(self) -> None:
        """Work until SIGTERM, or, when draining, until nothing is left to do."""
        self._take_signals()
        try:
            self._guard("recovery", self._board.scan)
            self.site.launcher().warm_up()
            self._notifier.ready("watching for tasks")
            while not self._stopping:
                self._turn()
            if not is_called_dead(self.site.folder):
                self._board.write_statuses(math.inf)
            self._notifier.stopping()
            log.info("agent stops", running=len(self._board.sessions))
        finally:
            self._watch.stop()
            self._outbox.close(DRAIN_HOOKS_S)
            self._guard("last sign of life", lambda: self._beat("stopped"))

    def _turn(self) -> None:
        if is_called_dead(self.site.folder):
            # whoever believes it works on what was ours; what is running goes on, and is recorded
            log.warning("stops: a file says that this agent is dead", file=str(self.site.folder / DEAD))
            self._stopping = True
            return
        self._scan_if_due()
        self._guard("looking", self._intake.examine_due)
        self._guard("deliveries", self._inbox.take_hinted)
        self._board.observe_active()
        self._board.write_statuses(self.site.monotonic_s())
        self._disk_error = self._disk_error or self._board.trouble
        decided = self._schedule()
        if decided is not None:
            explain = partial(self._whys.write_some, self._intake, decided, self._is_wanted)
            more = bool(self._guard("explaining", explain))
            self._guard("hooks", self._outbox.deliver)
            if self._drain and self._nothing_left(decided):
                self._stopping = True
                return
            self._wait(0.0 if more else self._patience_s(decided))
        else:
            self._wait(self.site.config.scan_interval_s)

    def _schedule(self) -> Plan | None:
        """Decide and act until a decision starts and ends nothing more."""
        while True:
            decided = self._guard("scheduling", self._decide)
            if decided is None:
                return None
            acted = [self._guard("ending a task", partial(self._board.end, end)) for end in decided.ends]
            acted += self._guard("launching", partial(self._launch, decided)) or []
            if not any(acted):
                # what was decided and could not be done waits now, and its line is to say why
                return self._guard("scheduling", self._decide) if acted else decided

    def _launch(self, decided: Plan) -> list[bool | None]:
        """Prepare what is to be launched, and start all of it together."""
        with names_together():
            acted = [
                self._guard("launching", partial(self._board.launch, launch.task_id))
                for launch in decided.launches
            ]
            self._guard("launching", self._board.start_prepared)
        return acted

    def _decide(self) -> Plan:
        now_s = self.site.utc_now().timestamp()
        failing = f"the workspace's disk fails: {self._disk_error}" if self._disk_error else None
        limits = self._board.limits(self._blocked or failing, draining=self._stopping)
        running = [session.running() for session in self._board.sessions.values()]
        return plan(self._index, limits, running, self._board.state_of, now_s)

    def _nothing_left(self, decided: Plan) -> bool:
        undecided = self._intake.undecided or self._inbox.undecided or self._inbox.has_more
        return not (self._board.sessions or undecided or decided.launches or decided.ends)

    def _scan_if_due(self) -> None:
        now_s = self.site.monotonic_s()
        if now_s < self._scan_at_s:
            return
        self._scan_at_s = now_s + self._scan_every_s
        self._forget_trouble()
        self._guard("watching", self._watch.check)
        self._guard("scanning", self._scan)
        self._disk_error = self._disk_error or self._board.trouble
        if now_s >= self._relook_at_s:
            self._relook_at_s = now_s + RELOOK_S
            self._index.touch_all()
            self._guard("budgets", self._board.budgets.read_again)
        self._guard("sign of life", lambda: self._beat("working"))
        self._notifier.alive(f"{len(self._board.sessions)} in session, {len(self._index)} waiting")

    def _beat(self, state: str) -> None:
        running = sum(session.running().occupies_slot for session in self._board.sessions.values())
        waiting, held = self._intake.counts()
        self._heart.beat(self.site, state, self._disk_error, Work(running, waiting, held))

    def _forget_trouble(self) -> None:
        self._disk_error = None
        self._board.trouble = None

    def _scan(self) -> None:
        self._intake.scan()
        self._blocked = no_room(self.site) or self._board.launcher_problem()
        self._board.scan()
        self._inbox.take_all()
        for task_id in self._reruns.next_slice():
            self._board.rerun(task_id)
        self._whys.begin(self._intake)
        self._housekeeping.run_if_due(self.site)

    def _is_wanted(self) -> bool:
        """Tell whether something has happened that work in between must not keep waiting."""
        return not self._hints.empty()

    def _patience_s(self, decided: Plan) -> float:
        now_s = self.site.monotonic_s()
        waits = [0.0 if self._inbox.has_more or self._intake.has_more else self._scan_at_s - now_s]
        if (look_s := self._intake.next_look_s()) is not None:
            waits.append(look_s - now_s)
        if (status_s := self._board.next_status_s()) is not None:
            waits.append(status_s - now_s)
        if decided.next_due_s is not None:
            waits.append(decided.next_due_s - self.site.utc_now().timestamp())
        if self._board.is_ending_something:
            waits.append(ENDING_TICK_S)
        return max(min(waits), 0.0)

    def _wait(self, patience_s: float) -> None:
        """Wait for the first hint, then take all that are there, each once: one change is told of often."""
        there: dict[Hint | Wish, None] = {}
        try:
            there[self._hints.get(timeout=patience_s) if patience_s > 0 else self._hints.get_nowait()] = None
            for _ in range(MOST_HINTS):
                there[self._hints.get_nowait()] = None
        except queue.Empty:
            pass
        self._guard("hints", partial(self._take_all, there))

    def _take_all(self, items: Iterable[Hint | Wish]) -> None:
        with names_together():
            for item in items:
                self._take(item)

    def _take(self, item: Hint | Wish) -> None:
        if item == "stop":
            self._stopping = True
        elif item == "reload":
            self._reload()
        elif isinstance(item, Hint):
            self._guard("a hint", lambda: self._follow(item.path))

    def _follow(self, path: Path) -> None:
        ws = self.site.workspace
        if path.parent in {ws.tasks, ws.held}:
            if is_dropped_name(path.name):
                self._intake.examine(path)
            elif path == ws.held:
                self._scan_at_s = 0.0
        elif path.parent == self.site.bell:
            self._board.answer_bell(path.name)
        elif path.parent in {ws.inbox_tasks, ws.inbox_control}:
            self._inbox.hint(path)
        elif path.parent == ws.results:
            self._index.touch(path.name)
            self._board.budgets.look(path.name)

    def _reload(self) -> None:
        """Read the options again; a broken file keeps those we have."""
        self._notifier.reloading(time.monotonic_ns() // 1000)
        try:
            config, registry = load(self.site.workspace), Registry.load(self.site.workspace)
        except ConfigError as error:
            log.warning("options not reloaded, the old ones stay", what=str(error))
        else:
            if self._slots is not None:
                config = config.model_copy(update={"slots": self._slots})  # the command line still wins
            self.site = self._board.reload(config, registry)
            self._scan_every_s = min(config.scan_interval_s, watchdog_interval_s() or math.inf)
            log.info("options reloaded")
        self._scan_at_s = 0.0
        self._notifier.ready("watching for tasks")

    def _take_signals(self) -> None:
        wishes: dict[signal.Signals, Wish] = {
            signal.SIGTERM: "stop",
            signal.SIGINT: "stop",
            signal.SIGHUP: "reload",
        }
        for number, wish in wishes.items():
            signal.signal(number, lambda *_, w=wish: self._hints.put(w))

    def _guard(self, doing: str, step: Callable[[], T]) -> T | None:
        """Do one step; a disk that fails stops claims until the next scan, and nothing else."""
        try:
            return step()
        except (OSError, DamagedError, ValidationError) as error:
            self._disk_error = f"{doing}: {error}"
            log.error("the disk failed us", doing=doing)
            return None
