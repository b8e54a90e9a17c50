"""What goes out: from what people drop to what hosts have taken over.

    prepare   no network: take up what people dropped and asked for, release, route, reassign, say why
    give      .outbox → .sent, then push; what is in .sent is pushed until the host shows it
    settle    after the host was looked at: let go of what it has taken over

All state lies in files, so a collector killed anywhere goes on where it was. One thread prepares; each host's
own thread gives and settles; what both touch is moved by renames, of which the first one wins. The visible
part of a mirror has a lock of its own, for which preparing never waits.
"""

from __future__ import annotations

import os
import threading
import time
from collections import defaultdict
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from agent import log
from agent.fleet import local, reassign
from agent.fleet.accept import known_on
from agent.fleet.asked import read_retry
from agent.fleet.capacity import Pulses
from agent.fleet.deciding import Deciding
from agent.fleet.desk import Desk
from agent.fleet.ending import hide
from agent.fleet.gone import is_gone
from agent.fleet.layout import ANY
from agent.fleet.outbox import HELD, MOVE, NOTE, READY, Parcel, discard, transfer, unsettled
from agent.fleet.push import push
from agent.fleet.settled import Shown
from agent.fleet.whereabouts import WaitingIds, is_result
from spool.names import is_task_id
from spool.records import DamagedError, utc_now
from spool.refusal import Refusal
from spool.results import RETRY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from datetime import datetime

    from agent.fleet.hosts import Host
    from agent.fleet.layout import Fleet
    from agent.fleet.peer import Peer
    from spool.admit import Rules
    from spool.task import Task

SLICE: Final = 1000
"""Results that are looked at for `retry` in one turn."""
DECIDE_S: Final = 5.0
"""How often everything is decided anew, for what nobody told us."""
LOOKS: Final = 2
"""What was given is given again when the host was looked at so often and did not show it."""


class Sending:
    """All that goes out to the hosts of a fleet.

    Args:
        fleet: the folders.
        hosts: returns them as they are configured now, by name.
        rules: what may be dropped.
        files: returns the lock of a mirror's visible part, by the host's name. Who shows a host that has
            much holds it for long: then its folder is looked at the next time, and no other one waits.
    """

    def __init__(
        self,
        fleet: Fleet,
        hosts: Callable[[], Mapping[str, Host]],
        rules: Rules,
        *,
        files: Callable[[str], threading.Lock] | None = None,
        monotonic_s: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._fleet = fleet
        self._configured = hosts
        self._rules = rules
        self._monotonic_s = monotonic_s
        self._now = now
        self._waiting = WaitingIds()
        self._pulses = Pulses()
        self._hosts: dict[str, Host] = {}
        self._desks: dict[str, Desk] = {}
        self._given: dict[str, dict[str, int]] = {}
        self._looks: dict[str, int] = {}
        own_locks: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
        self._files = files or own_locks.__getitem__
        self._own = threading.RLock()
        self._left: list[tuple[str, str]] = []
        self._news = True
        self._decide_at_s = 0.0
        self._deciding = Deciding(fleet.workspace, self._desks, self._hosts, self._waiting, self._pulses)
        self._take_up_hosts()

    def _take_up_hosts(self) -> None:
        """Work with the hosts that are configured now."""
        hosts = dict(self._configured())
        if hosts == self._hosts and self._desks:
            return
        self._hosts.clear()
        self._hosts.update(hosts)
        for name in (ANY, *hosts):
            if name not in self._desks:
                self._desks[name] = Desk(self._fleet.mirror(name), self._waiting, self._judge_for(name))
        for name in self._desks.keys() - {ANY, *hosts}:
            del self._desks[name]
        self._news = True

    # ---------------------------------------------------------------------------------------- prepare

    def prepare(self) -> set[str]:
        """Take up what people dropped and asked for; return the hosts for which something waits.

        Raises:
            OSError: the disk; calling again goes on.
        """
        now_s = self._monotonic_s()
        with self._own:
            self._take_up_hosts()
            for desk in self._desks.values():
                self._news = self._look(desk, now_s) or self._news
            self._look_for_retries()
            for desk in self._desks.values():
                others = [other for other in self._desks.values() if other is not desk]
                with self._free(desk) as free:
                    self._news = (free and local.apply(desk, others)) or self._news
            if self._news or now_s >= self._decide_at_s:
                self._news, self._decide_at_s = False, now_s + DECIDE_S
                whys = self._deciding.decide(self._now(), now_s)
                for name, desk in self._desks.items():
                    with self._free(desk) as free:
                        if free:
                            desk.show(whys[name])
                        self._news = self._news or not free
            return {name for name in self._hosts if self._has_something(self._desks[name])}

    def _look(self, desk: Desk, now_s: float) -> bool:
        """Look at one desk; what is wrong with it alone keeps no other from being looked at."""
        try:
            with self._free(desk) as free:
                return free and desk.look(now_s, self._rules)
        except (OSError, DamagedError) as error:
            log.warning("mirror cannot be looked at", host=desk.mirror.name, what=str(error))
            return False

    @contextmanager
    def _free(self, desk: Desk) -> Iterator[bool]:
        """Hold the lock of a mirror's visible part; False when somebody else does."""
        files = self._files(desk.mirror.name)
        if not files.acquire(blocking=False):
            yield False
            return
        try:
            yield True
        finally:
            files.release()

    def _judge_for(self, name: str) -> Callable[[Task, str, str], Refusal | None]:
        def judge(task: Task, task_id: str, sha256: str) -> Refusal | None:
            if name != ANY:
                return self._host_problem(name, task) or known_on(self._desks[name].mirror, task_id, sha256)
            found = (known_on(desk.mirror, task_id, sha256) for desk in self._desks.values())
            return next((refusal for refusal in found if refusal is not None), None)

        return judge

    def _host_problem(self, name: str, task: Task) -> Refusal | None:
        """Refuse a task that asks for one host of the fleet and was dropped for another."""
        if task.host is None or task.host == name or task.host not in self._hosts:
            return None
        return Refusal(
            f"it asks for the host {task.host}, and was dropped for {name}",
            f"drop it into fleet/{task.host}/tasks/, or take `host` out",
            field="host",
        )

    def _look_for_retries(self) -> None:
        """Look at a slice of all results for requests to run again."""
        if not self._left:
            self._left = [
                (name, task_id)
                for name, desk in self._desks.items()
                for task_id in os.listdir(desk.mirror.workspace.results)
                if is_task_id(task_id)
            ]
        some, self._left = self._left[-SLICE:], self._left[:-SLICE]
        for name, task_id in some:
            desk = self._desks.get(name)
            if desk and os.path.lexists(desk.mirror.workspace.results / task_id / RETRY):
                read_retry(desk.mirror, task_id)

    def _has_something(self, desk: Desk) -> bool:
        if any(parcel.has(READY) and not parcel.has(HELD) for parcel in desk.outbox()):
            return True
        return bool(desk.controls.unsent()) or any(self._unknown(desk))

    # ------------------------------------------------------------------------------------------- give

    def unsettled(self, peer: Peer) -> list[str]:
        """Return the files on a host that tell what became of what it was given."""
        return unsettled(peer.mirror)

    def give(self, peer: Peer) -> bool:
        """Give a host what waits for it; True when there was anything.

        Raises:
            TransferError: the connection broke; it is given again.
            CallError: a program is missing here.
        """
        with self._own:
            desk = self._desks.get(peer.host.name)
            if desk is None:
                return False  # it was added at this moment
            for parcel in desk.outbox():
                if parcel.has(READY) and not parcel.has(HELD):
                    # before the first byte: from here on the host may have it
                    transfer(parcel, desk.mirror.sent.tasks)
            desk.controls.send()
            due = self._unknown(desk)
        tasks = [desk.parcel_sent(key) for key in due if not key.endswith(".json")]
        names = [key for key in due if key.endswith(".json")]
        if not due:
            return False
        push(peer.sending, desk.mirror, tasks, names, peer.watching)
        with self._own:
            given = self._given.setdefault(desk.mirror.name, {})
            given.update(dict.fromkeys(due, self._looks.get(desk.mirror.name, 0)))
            for parcel in tasks:
                parcel.note_as_given(self._now())
            self._news = True
        log.info("given to host", host=desk.mirror.name, tasks=len(tasks), controls=len(names))
        return True

    def _unknown(self, desk: Desk) -> list[str]:
        """Return what the host does not show and was not given lately: ids of tasks, names of controls."""
        name = desk.mirror.name
        looks, given = self._looks.get(name, 0), self._given.get(name, {})
        shown = Shown(desk.mirror)
        unseen = (p for p in desk.sent() if not shown.is_seen(p) and not shown.is_in_inbox(p))
        tasks = [parcel.task_id for parcel in unseen if not is_gone(desk.mirror, parcel.task_id)]
        controls = [f"{control.id}.json" for control in desk.controls.sent()]
        return [key for key in (*tasks, *controls) if key not in given or looks - given[key] >= LOOKS]

    # ----------------------------------------------------------------------------------------- settle

    def settle(self, peer: Peer) -> None:
        """Look at what a host shows now, and let go of what it has taken over.

        Raises:
            OSError: the disk; calling again goes on.
        """
        name = peer.host.name
        shown = Shown(peer.mirror)
        with self._own:
            desk = self._desks.get(name)
            if desk is None:
                return
            self._looks[name] = self._looks.get(name, 0) + 1
            self._pulses.collected(peer.mirror, self._monotonic_s())
            outcomes = desk.controls.settle()
            for parcel in desk.sent():
                self._settle(desk, parcel, shown, outcomes)
            here = {parcel.task_id for parcel in desk.sent()} | {f"{c.id}.json" for c in desk.controls.sent()}
            given = self._given.get(name, {})
            self._given[name] = {key: looks for key, looks in given.items() if key in here}
            self._news = True

    def _settle(self, desk: Desk, parcel: Parcel, shown: Shown, outcomes: Mapping[str, str]) -> None:
        if parcel.has(MOVE):
            reassign.settle(desk, parcel, self._desks, outcomes)
            if not parcel.folder.exists():
                return
        refused = shown.refused_as(parcel)
        if is_result(desk.mirror.workspace.results / parcel.task_id) or refused is not None:
            desk.hand_to_mirror(parcel)
            hide(desk.mirror, parcel)
            discard(parcel)
            if refused is not None:
                log.warning("task refused by its host", task_id=parcel.task_id, host=desk.mirror.name)
        elif shown.has(parcel) and (note := parcel.note()) is not None:
            if note.seen_at is None:
                note.model_copy(update={"seen_at": self._now()}).write(parcel.folder / NOTE)
                log.info("task arrived", task_id=parcel.task_id, host=desk.mirror.name)
            elif not is_gone(desk.mirror, parcel.task_id):
                return
            desk.hand_to_mirror(parcel)
