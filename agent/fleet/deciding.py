"""What becomes of the tasks in all outboxes: they end, wait, are released, or get a host."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent import log
from agent.fleet import depend, ending, gone, reassign
from agent.fleet.accept import refuse_accepted
from agent.fleet.capacity import OnItsWay, capacity
from agent.fleet.controls import order
from agent.fleet.depend import Fail, Go, Wait
from agent.fleet.layout import ANY
from agent.fleet.outbox import HELD, MOVE, READY, transfer
from agent.fleet.reasons import on_its_way, unreachable
from agent.fleet.route import Capacity, Wanted, route
from agent.fleet.shown import inode
from agent.fleet.whereabouts import Whereabouts
from spool.records import State
from spool.refusal import Refusal
from spool.view import Why

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from agent.fleet.capacity import Beat, Pulses
    from agent.fleet.desk import Desk
    from agent.fleet.hosts import Host
    from agent.fleet.outbox import Note, Parcel
    from agent.fleet.whereabouts import WaitingIds
    from spool.task import Task
    from spool.workspace import Workspace


class Deciding:
    """Decides about all tasks on their way; keeps what it read of them.

    Args:
        own: the collector's own workspace, whose results tasks may depend on.
        desks: by name, `any` among them.
        hosts: as they are configured, by name; both mappings change under us when the configuration does.
        pulses: which agents work.
    """

    def __init__(
        self,
        own: Workspace,
        desks: Mapping[str, Desk],
        hosts: Mapping[str, Host],
        waiting: WaitingIds,
        pulses: Pulses,
    ) -> None:
        self._own = own
        self._pulses = pulses
        self._desks = desks
        self.hosts = hosts
        self._waiting = waiting
        self._read: dict[int, Task] = {}
        self._read_before: dict[int, Task] = {}
        self._problems: dict[str, str | None] = {}
        self._beats: dict[str, list[Beat]] = {}

    def decide(self, now: datetime, now_s: float) -> dict[str, dict[str, Why]]:
        """Bring every task forward as far as it goes; return why the others wait, by host and id.

        Raises:
            OSError: the disk; calling again goes on.
        """
        # by the number of a file that is never written again; of one that is gone, it is given to another one
        self._read_before, self._read = self._read, {}
        self._problems = {name: unreachable(self._desks[name].mirror) for name in self.hosts}
        self._beats = {name: self._pulses.working(self._desks[name].mirror, now_s) for name in self.hosts}
        self._reassign()
        self._forget()
        self._recall()
        blocked = self._release(now)
        self._refuse_cycles(blocked)
        routes = self._route()
        return {name: self._whys(desk, blocked, routes) for name, desk in self._desks.items()}

    def _task(self, parcel: Parcel) -> Task | None:
        """Return a task as it was accepted."""
        number = inode(parcel.task)
        if number is None:
            return None
        task = self._read.get(number) or self._read_before.get(number) or parcel.accepted()
        if task is not None:
            self._read[number] = task
        return task

    # -------------------------------------------------------------------------------- to another host

    def _reassign(self) -> None:
        for name, desk in self._desks.items():
            for parcel in (*desk.outbox(), *desk.sent()):
                if parcel.has(MOVE):
                    problem = self._problems.get(name) or gone.why_gone(desk.mirror, parcel.task_id)
                    reassign.go_on(desk, parcel, self._desks, problem)

    def _forget(self) -> None:
        """End what people gave up on, where nobody knows what became of it."""
        for name in self.hosts:
            desk = self._desks[name]
            for task_id in gone.forget(desk.mirror, self._problems.get(name)):
                if not desk.controls.asks("cancel", task_id=task_id):
                    order(desk.mirror, "cancel", task_id=task_id)

    def _recall(self) -> None:
        """Take back what was meant for a host that went dark before it was given anything."""
        pool = self._desks[ANY].mirror.outbox.tasks
        for name, problem in self._problems.items():
            if problem is None:
                continue
            desk = self._desks[name]
            for parcel in desk.outbox():
                note = parcel.note()
                if note is not None and note.dropped_for == ANY:
                    ending.hide(desk.mirror, parcel)
                    transfer(parcel, pool)

    # ----------------------------------------------------------------------------------- dependencies

    def _release(self, now: datetime) -> dict[str, tuple[Desk, Parcel, Task, str]]:
        """Release what waits for nothing elsewhere; return the others, and what they wait for."""
        mirrors = [desk.mirror for desk in self._desks.values()]
        where = Whereabouts(self._own, mirrors, self._waiting)
        blocked: dict[str, tuple[Desk, Parcel, Task, str]] = {}
        for desk in self._desks.values():
            for parcel in desk.outbox():
                task = self._task(parcel)
                if task is None:
                    continue
                if task.expires_at is not None and task.expires_at <= now:
                    ending.end(desk.mirror, parcel, State.EXPIRED, f"it expired at {task.expires_at:%FT%TZ}")
                elif not parcel.has(READY):
                    wait = self._judge(desk, parcel, task, where)
                    if wait is not None:
                        blocked[parcel.task_id] = (desk, parcel, task, wait.reason)
        return blocked

    def _judge(self, desk: Desk, parcel: Parcel, task: Task, where: Whereabouts) -> Wait | None:
        def is_at_host(need: str) -> bool:
            return desk.is_a_host and where.on(desk.mirror, need) is not None

        decision: Wait | Fail | Go | None = depend.judge(task, is_at_host, where.of)
        try:
            if isinstance(decision, Go):
                decision = depend.release(parcel, task, decision, without_host=self._calls_itself(task.host))
        except FileNotFoundError:
            return None  # it was moved at this moment
        if isinstance(decision, Fail):
            ending.end(desk.mirror, parcel, decision.state, decision.reason)
            return None
        return decision

    def _calls_itself(self, wanted: str | None) -> bool:
        """Tell whether a host of the fleet goes by another name than it has itself."""
        if wanted is None or wanted not in self.hosts:
            return False
        own = (name for beat in self._beats[wanted] for name in (beat.host, beat.name))
        return wanted not in own

    def _refuse_cycles(self, blocked: dict[str, tuple[Desk, Parcel, Task, str]]) -> None:
        found = depend.in_cycles((task_id, task) for task_id, (_, _, task, _) in blocked.items())
        for task_id, cycle in found.items():
            desk, parcel, _, _ = blocked.pop(task_id)
            refusal = Refusal(
                f"these tasks wait for each other: {cycle}",
                "remove one of these dependencies and drop the tasks again",
                field="dependencies",
                task_id=task_id,
            )
            refuse_accepted(desk.mirror, parcel, refusal)
            ending.hide(desk.mirror, parcel)
            log.warning("task rejected", task_id=task_id, what=refusal.what)

    # ---------------------------------------------------------------------------------------- routing

    def _route(self) -> Mapping[str, str]:
        """Give hosts to tasks of `any`, as far as there is room; return why the others stay."""
        pool = self._desks[ANY]
        waiting = {p.task_id: p for p in pool.outbox() if p.has(READY) and not p.has(HELD)}
        wanted = [w for parcel in waiting.values() if (w := self._wanted(parcel)) is not None]
        if not wanted:
            return {}
        routes = route(wanted, [self._capacity(name) for name in sorted(self.hosts)])
        for task_id, name in routes.to.items():
            ending.hide(pool.mirror, waiting[task_id])
            transfer(waiting[task_id], self._desks[name].mirror.outbox.tasks)
        return routes.why

    def _wanted(self, parcel: Parcel) -> Wanted | None:
        task, note = self._task(parcel), parcel.note()
        if task is None or note is None:
            return None
        return Wanted(
            task_id=parcel.task_id,
            tool=task.tool,
            submitted_at_s=note.accepted_at.timestamp(),
            priority=task.priority_points,
            weight=task.weight,
            duration_s=task.estimated_duration,
            labels=frozenset(task.labels),
            host=task.host,
            not_on=frozenset(note.not_on),
        )

    def _capacity(self, name: str) -> Capacity:
        desk = self._desks[name]
        given = [
            OnItsWay(task, counted=parcel.is_sent and _is_seen(parcel.note()))
            for parcel in (*desk.outbox(), *desk.sent())
            if (task := self._task(parcel)) is not None
        ]
        return capacity(self.hosts[name], desk.mirror, self._beats[name], given, self._problems[name])

    # -------------------------------------------------------------------------------------- in words

    def _whys(
        self, desk: Desk, blocked: Mapping[str, tuple[Desk, Parcel, Task, str]], routes: Mapping[str, str]
    ) -> dict[str, Why]:
        found = {}
        problem = self._problems.get(desk.mirror.name)
        for parcel in (*desk.outbox(), *desk.sent()):
            task_id = parcel.task_id
            is_gone = parcel.is_sent and gone.is_gone(desk.mirror, task_id)
            if parcel.is_sent and not is_gone and _is_seen(parcel.note()):
                continue  # its host shows it
            if is_gone and (desk.mirror.workspace.sessions / task_id).is_dir():
                continue  # it is shown as the session that it was
            if parcel.has(HELD):
                found[task_id] = Why(task_id, State.HELD, "on hold")
            elif task_id in blocked and not parcel.is_sent:
                found[task_id] = Why(task_id, State.BLOCKED, blocked[task_id][3])
            elif is_gone:
                found[task_id] = Why(task_id, State.QUEUED, gone.words(desk.mirror, task_id))
            elif desk.is_a_host:
                found[task_id] = on_its_way(parcel, problem)
            else:
                found[task_id] = Why(task_id, State.QUEUED, routes.get(task_id, "waits for a host"))
        return found


def _is_seen(note: Note | None) -> bool:
    return note is not None and note.seen_at is not None
