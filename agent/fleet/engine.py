"""The collector: every host in its own time, each round in a thread of its own.

Connecting waits for nobody, so that dead hosts cost the living ones nothing; only transfers are counted
against `jobs`. What fails is tried again, five times quickly, then ever more slowly; the first answer makes a
whole round, before which the host's agent is started where that is wanted. The folder says everything: a
collector may be killed at any moment and started again.
"""

from __future__ import annotations

import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Final

from agent import log
from agent.config import ConfigError
from agent.fleet import calls, hosts, rsync, ssh
from agent.fleet.calls import CallError
from agent.fleet.exchange import connect, exchange, start_agent
from agent.fleet.layout import ANY, Fleet
from agent.fleet.peer import peer
from agent.fleet.retention import Retention
from agent.fleet.rsync import TransferError
from agent.fleet.slots import Slots
from agent.fleet.state import HostState, read_state, write_state
from agent.fleet.timing import AGAIN_S, Clock
from agent.notify import Notifier
from spool.locks import lock_path, take_lock
from spool.records import DamagedError, utc_now
from spool.workspace import WorkspaceError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from filelock import FileLock

    from agent.config import AgentConfig
    from agent.fleet.exchange import Round, Sending
    from agent.fleet.hosts import Host
    from agent.fleet.peer import Peer
    from spool.workspace import Workspace

TICK_S: Final = 1.0
SOONEST_S: Final = 0.2
PREPARING_SHARE: Final = 0.2
"""So much of its time the collector looks for what people dropped, at most; with many hosts it is long."""
LONGEST_GAP_S: Final = 10.0
LOCK: Final = ".collector"
MOST_THREADS: Final = 256


class Collector:
    """Collects from all hosts of a workspace's configuration.

    Args:
        workspace: the collector's own.
        config: its options; `name` is the collector's name.
        sending: makes what gives tasks to hosts; None: only collect.

    Raises:
        ConfigError: the list of hosts cannot be used.
        CallError: ssh or rsync is missing, or too old.
        LaunchError: the folder of the connections' sockets is not ours.
        OSError: the fleet's folder cannot be made.
    """

    def __init__(
        self, workspace: Workspace, config: AgentConfig, sending: Callable[[Collector], Sending] | None = None
    ) -> None:
        for program in ("ssh", "rsync"):
            calls.program(program)
        rsync.check_version()
        self.fleet = Fleet(workspace)
        self.config = config
        self.peers: dict[str, Peer] = {}
        self.progress: Callable[[str, int, float], None] | None = None
        """Told of a transfer with a host: how much is done, in bytes and of 1, in many threads."""
        self.stop = threading.Event()
        self._options = config.collector
        self._sockets = ssh.runtime_folder()
        self._slots = Slots(self._options.jobs)
        self._clocks: dict[str, Clock] = {}
        self._files: dict[str, threading.Lock] = {}
        self._prepare_at_s = 0.0
        self._retention = Retention(self._options)
        self._listed: tuple[object, ...] = ()
        self._ticked = threading.Event()
        self.fleet.mirror(ANY).make()
        self._read_hosts()
        self._sending = sending(self) if sending is not None else None

    # ------------------------------------------------------------------------------------------------ loops

    def run(self) -> None:
        """Collect until `stop` is set."""
        notifier = Notifier()
        log.info("collector starts", collector=self.config.name, hosts=len(self.peers))
        notifier.ready(f"{len(self.peers)} hosts")
        try:
            with ThreadPoolExecutor(MOST_THREADS, "host") as pool:
                while not self.stop.is_set():
                    self._tick(pool)
                    notifier.alive(self._status())
                    if self._ticked.wait(TICK_S):
                        self._ticked.clear()
                        # what happened is looked at, but not all the time
                        self.stop.wait(min(self._prepare_at_s - time.monotonic(), TICK_S))
                notifier.stopping()
        finally:
            self._close()

    def run_once(self) -> bool:
        """Make one round with every host, and close all connections; tell whether all went well."""
        try:
            return self.rounds()
        finally:
            self._close()

    def rounds(self) -> bool:
        """Make one round with every host; tell whether all went well."""
        self._prepare()
        with ThreadPoolExecutor(MOST_THREADS, "host") as pool:
            list(pool.map(self._round, self._liveliest()))
        return all(not clock.failures for clock in self._clocks.values())

    def end(self) -> None:
        """Stop: for signal handlers and other threads."""
        self.stop.set()
        self._ticked.set()

    def _tick(self, pool: ThreadPoolExecutor) -> None:
        self._read_hosts()
        now_s = time.monotonic()
        if now_s >= self._prepare_at_s:
            for name in self._prepare():
                if name in self._clocks:
                    self._clocks[name].wake(now_s)
            took_s = time.monotonic() - now_s
            gap_s = took_s * (1 / PREPARING_SHARE - 1)
            self._prepare_at_s = now_s + took_s + min(max(gap_s, SOONEST_S), LONGEST_GAP_S)
        for name in self._liveliest():
            clock = self._clocks[name]
            if not clock.running and clock.due_s <= now_s:
                clock.running = True
                pool.submit(self._round, name)
        self._retention.run_if_due(self.fleet.mirrors())

    def _liveliest(self) -> list[str]:
        """Return the hosts, those first that answered the last time."""
        return sorted(self.peers, key=lambda name: (self._clocks[name].failures > 0, name))

    def _status(self) -> str:
        away = sum(clock.failures > 0 for clock in list(self._clocks.values()))
        return f"{len(self.peers)} hosts, {away} of them do not answer"

    def _prepare(self) -> set[str]:
        if self._sending is None:
            return set()
        try:
            return self._sending.prepare()
        except OSError:
            log.error("what was dropped here could not be taken")
            return set()

    def _close(self) -> None:
        calls.disconnect([link for one in self.peers.values() for link in one.links])
        log.info("collector ends", collector=self.config.name)

    # ------------------------------------------------------------------------------------------------ hosts

    def _read_hosts(self) -> None:
        """Take up the list of hosts when its files have changed; a mistake in them keeps the old list."""
        configs = self.fleet.workspace.configs
        now = tuple(_stamp(configs / name) for name in (hosts.TOML, hosts.TXT))
        if now == self._listed:
            return
        first, self._listed = not self._listed, now
        try:
            wanted = hosts.load(self.fleet.workspace)
        except ConfigError as error:
            if first:
                raise
            log.warning("the list of hosts was not taken up", what=str(error))
            return
        # a new table, never a changed one: other threads look into it
        self.peers = dict(self._taken_up(wanted))

    def _taken_up(self, wanted: dict[str, Host]) -> Iterator[tuple[str, Peer]]:
        busy = {name for name in self.peers if self._clocks[name].running}
        for name, before in self.peers.items():
            if wanted.get(name) == before.host:
                yield name, before
            elif name in busy:
                # two rounds must not work on one mirror: the change is taken up when this one is over
                self._listed = (None,)
                yield name, before
            else:
                calls.disconnect(before.links)
        for name, host in wanted.items():
            known = self.peers.get(name)
            if known is None or (known.host != host and name not in busy):
                one = peer(host, self.fleet.mirror(name), self.config.name, self._options, self._sockets)
                one.watching.stop, one.files = self.stop, self.files(name)
                self._clocks[name] = self._first_clock(one)
                yield name, one

    def files(self, name: str) -> threading.Lock:
        """Return the lock of one mirror's visible part: held to change it, and to read what people want."""
        return self._files.setdefault(name, threading.Lock())

    def _first_clock(self, one: Peer) -> Clock:
        state = self._state(one)
        # known to be away: it is tried at once like the others, and given up behind them
        return Clock(failures=0 if state.reachable is not False else 1)

    # ------------------------------------------------------------------------------------------------ rounds

    def _round(self, name: str) -> None:
        one, clock = self.peers.get(name), self._clocks[name]
        if one is None:
            return
        failure: str | None = None
        done: Round | None = None
        try:
            if connect(one) and self._options.start_agents and not one.host.restricted:
                start_agent(one)
            done = self._exchange_in_turn(one)
        except TransferError as error:
            failure = str(error)
            if rsync.is_away(error.code):
                calls.disconnect(one.links)
        except (CallError, DamagedError, WorkspaceError) as error:
            failure = str(error)
        except OSError as error:
            failure = f"our own disk: {error}"
            log.error("a round failed", host=name)
        except Exception as error:  # noqa: BLE001 - a bug costs this host its round, and the others nothing
            failure = f"a bug in the collector: {type(error).__name__}: {error}"
            log.error("a round failed", host=name)
        if self.stop.is_set():
            clock.running = False
            return
        self._note(one, clock, done, failure)

    def _exchange_in_turn(self, one: Peer) -> Round | None:
        """Exchange with a connected host when there is room; None when we are to stop."""
        connected_s = time.monotonic()
        slot = self._slots.take(self.stop)
        if slot is None:
            return None
        one.watching.quiet = slot.release
        one.watching.progress = partial(self.progress, one.host.name) if self.progress else None
        try:
            if time.monotonic() - connected_s > ssh.PERSIST_S / 2:
                connect(one)  # nobody used the connection meanwhile: it ended, or is about to
            return exchange(one, self._sending)
        finally:
            slot.release()

    def _note(self, one: Peer, clock: Clock, done: Round | None, failure: str | None) -> None:
        """Write what became of a round, and when the next is; wake who decides when something changed."""
        now_s = time.monotonic()
        if failure is None:
            gave = done is not None and done.gave
            clock.succeeded(
                now_s, min(AGAIN_S, self._options.interval_s) if gave else self._options.interval_s
            )
        else:
            clock.failed(now_s, self._options.slowest_retry_s, random.random())  # noqa: S311 - spreads retries
        before = self._state(one)
        after = _state_after(before, one, clock, done, failure, clock.due_s - now_s)
        _tell(before, after)
        try:
            write_state(one.mirror, after)
        except OSError:
            log.error("the state of a host could not be written", host=one.host.name)
        moved = done is not None and (done.gave or done.published > 0)
        if moved or _stands(before) != _stands(after):
            self._ticked.set()

    def _state(self, one: Peer) -> HostState:
        fresh = HostState(host=one.host.name, address=one.host.target)
        try:
            return read_state(one.mirror) or fresh
        except DamagedError:
            return fresh  # it is information only, and is written anew


def _state_after(
    before: HostState, one: Peer, clock: Clock, done: Round | None, failure: str | None, next_in_s: float
) -> HostState:
    now = utc_now()
    reachable = failure is None
    changes: dict[str, object] = {
        "address": one.host.target,
        "reachable": reachable,
        "since": before.since if before.reachable is reachable else now,
        "error": failure,
        "attempt": clock.failures,
        "next_try_at": now + timedelta(seconds=next_in_s),
    }
    if done is not None:
        changes |= {
            "last_seen_at": now,
            "error": done.short,
            "problem": done.problem,
            "enrolled": done.enrolled,
        }
    if done is not None and done.problem is None:
        changes |= {
            "collected_at": now if done.short is None else before.collected_at,
            "waiting": done.waiting,
            "running": done.running,
            "uncollected": done.uncollected,
            "refused": tuple(done.refused.told),
            "refused_count": done.refused.count,
            "unaccounted": done.unaccounted,
        }
    return before.model_copy(update=changes)


def _stands(state: HostState) -> tuple[object, ...]:
    return state.reachable, state.problem, state.waiting, state.running, state.unaccounted


def _tell(before: HostState, after: HostState) -> None:
    """Log what changed."""
    if after.reachable is not before.reachable:
        if after.reachable:
            log.info("host answers", host=after.host)
        else:
            log.warning("host does not answer", host=after.host, what=after.error)
    if after.problem != before.problem and after.problem is not None:
        log.warning("host is not believed", host=after.host, what=after.problem)
    if after.refused_count > before.refused_count:
        log.warning("files of a host are not shown", host=after.host, first=after.refused[0])


def _stamp(file: Path) -> tuple[int, int, int] | None:
    try:
        status = file.stat()
    except FileNotFoundError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns


def lock(workspace: Workspace, wait_s: float = 0.0) -> FileLock:
    """Be the only collector of a workspace for as long as this process lives.

    Raises:
        NameTakenError: there is another.
        OSError: the lock cannot be used.
    """
    taken = f"a collector already works on {workspace.root}: stop it first"
    return take_lock(lock_path(Fleet(workspace).root / LOCK), taken, wait_s)
