"""Drop, edit, hold, release, cancel, remove, retry, kill, recover, in any order: I1 to I6 hold.

Two agents run in this process, turn by turn, on a clock that the machine moves. At a chosen system call of a
turn the agent is killed (nothing of it happens after that, not even its clean-up), or something else happens
in that very moment: a person moves a file, a wrapper starts, ends or dies.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import tempfile
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

import agent.host.observing
import spool.admit
import spool.exclusive
import spool.names
from agent.config import load
from agent.host.loop import Loop
from agent.host.site import Site
from agent.launchers.base import Immediate
from agent.tools.registry import Registry
from spool.attempt import Attempt
from spool.files import make_folder
from spool.locks import take_agent_lock
from spool.records import Exit, Intent, Result, Started
from spool.task import AcceptedTask
from spool.workspace import create

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

AGENTS = ("a1", "a2")
NAMES = ("w.json", "x.json", "y.json")
IDS = ("t1", "t2", "t3")
NOBODY = 1 << 23  # above every pid
CALLS = (
    "rename",
    "replace",
    "link",
    "unlink",
    "mkdir",
    "rmdir",
    "fsync",
    "open",
    "listdir",
    "utime",
    "write",
)
PAST_THE_END = 10_000


class Killed(BaseException):
    """The agent was killed at this call."""


class Calls:
    """The system calls of an agent: counted, and at one of them something happens."""

    def __init__(self) -> None:
        self.active = False
        self.dead = False
        self.left = PAST_THE_END
        self.happens: Callable[[], None] = lambda: None

    @contextmanager
    def watched(self, at: int, happens: Callable[[], None]) -> Iterator[None]:
        """Let something happen before the `at`-th call of the block."""
        self.active, self.dead, self.left, self.happens = True, False, at, happens
        try:
            yield
        finally:
            self.active = False

    def passed(self) -> None:
        if not self.active:
            return
        if self.dead:
            raise Killed  # not even its clean-up happens
        self.left -= 1
        if self.left == 0:
            self.active = False
            try:
                self.happens()
            except Killed:
                self.dead = True
                raise
            finally:
                self.active = True

    def wrap(self, call: Callable[..., Any], *, skip: bool = False) -> Callable[..., Any]:
        def watched_call(*args: Any, **options: Any) -> Any:
            self.passed()
            return None if skip else call(*args, **options)

        return watched_call


@dataclass(slots=True)
class Wrapper:
    """What the real wrapper does, a step at a time."""

    folder: Path
    clock: Clock
    locks: list[int] = field(default_factory=list)
    intent: Intent | None = None
    state: str = "coming"

    def start(self) -> bool:
        """Take the locks and write `started`; False when it refuses."""
        self.state = "gone"
        try:
            self.locks.append(self._lock("wrap.lock"))
        except (FileNotFoundError, BlockingIOError):
            return False
        attempt = Attempt(self.folder)
        if attempt.started.exists() or attempt.exit.exists() or not attempt.intent.exists():
            self.release()
            return False
        self.locks.append(self._lock("tree.lock"))
        self.intent = Intent.read(attempt.intent)
        Started(
            wrapper_pid=NOBODY,
            wrapper_start_ticks=1,
            tool_pid=NOBODY + 1,
            tool_start_ticks=1,
            boot_id="this",
            started_at=self.clock.utc,
        ).write(attempt.started)
        self.state = "running"
        return True

    def finish(self, code: int) -> None:
        cancelled = (self.folder.parent.parent / "cancel").exists()
        now = self.clock.utc
        Exit(
            exit_code=None if cancelled else code,
            ended_by="cancel" if cancelled else None,
            started_at=now,
            finished_at=now,
            duration_s=0,
        ).write(self.folder / ".exit")
        (self.folder / ".exit").rename(self.folder / "exit")
        self.release()

    def die(self, *, with_tool: bool) -> None:
        """Be killed; the tool dies, too, or is an orphan that holds tree.lock."""
        os.close(self.locks.pop(0))
        self.state = "orphan"
        if with_tool:
            self.release()

    def release(self) -> None:
        while self.locks:
            os.close(self.locks.pop())
        self.state = "gone"

    def _lock(self, name: str) -> int:
        descriptor = os.open(self.folder / name, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise
        return descriptor


@dataclass(slots=True)
class Clock:
    monotonic_s: float = 1000.0
    utc: datetime = datetime(2026, 11, 20, tzinfo=UTC)

    def advance(self, seconds: float) -> None:
        self.monotonic_s += seconds
        self.utc += timedelta(seconds=seconds)


class Launcher(Immediate):
    """Remembers which wrappers were started."""

    name = "tmux"

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    def available(self) -> None:
        return None

    def session_name(self, task_id: str) -> str:
        return f"task-{task_id}"

    def start(self, _task_id: str, argv: Sequence[str], _cwd: Path) -> None:
        self._machine.wrappers.append(Wrapper(Path(argv[-1]), self._machine.clock))

    def attach_command(self, task_id: str) -> list[str]:
        return ["attach", task_id]


numbers = st.integers(0, 5)


class Machine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        # the same path each time: the order of a set of paths depends on it, and so does what happens
        self.root = Path(tempfile.gettempdir()) / f"aispool-properties-{os.getpid()}"
        self.root.mkdir(mode=0o700)
        self.ws = create(self.root / "ws")
        (self.ws.configs / "agent.toml").write_text("reserve_bytes = 0\nreject_unparsable_after_s = 5.0\n")
        self.clock = Clock()
        self.calls = Calls()
        self.wrappers: list[Wrapper] = []
        self.agents: dict[str, tuple[Loop, Any]] = {}
        self.dropped: dict[int, bytes] = {}
        self.ran: set[tuple[str, int]] = set()
        self.lost: set[str] = set()
        self.count = 0
        self.given = 0
        self.patches = ExitStack()
        for name in CALLS:
            # a real fsync costs most of the time and changes nothing that this process sees
            wrapped = self.calls.wrap(getattr(os, name), skip=name == "fsync")
            self.patches.enter_context(mock.patch.object(os, name, wrapped))
        renameat2 = self.calls.wrap(spool.exclusive._renameat2)
        self.patches.enter_context(mock.patch.object(spool.exclusive, "_renameat2", renameat2))
        self.patches.enter_context(mock.patch.object(agent.host.observing, "Ending", self._ending))
        # what the kernel's clock and its random numbers decide is the same in every run of an example
        self.patches.enter_context(
            mock.patch.object(spool.admit, "datetime", mock.Mock(fromtimestamp=self._now))
        )
        self.patches.enter_context(mock.patch.object(spool.names, "new_ulid", self._ulid))

    # ---- people

    @initialize(
        tasks=st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(IDS)), min_size=1, max_size=3)
    )
    def begin(self, tasks: list[tuple[str, str]]) -> None:
        """The first agent finds good tasks, and starts them."""
        for name, task_id in tasks:
            fields = {"task_id": task_id, "retry_policy": {"max_retries": 2, "backoff": "none"}}
            self.drop(name=name, fields=fields, damage=None, held=False)
        self.turn(name="a1", wrappers_follow=True)

    @rule(
        name=st.sampled_from(NAMES),
        fields=st.fixed_dictionaries(
            {},
            optional={
                "task_id": st.sampled_from(IDS),
                "idempotent": st.just(True),
                "dependencies": st.sampled_from([[], [], [], ["t1"], ["t2"], ["t3"]]),
                "retry_policy": st.just({"max_retries": 2, "backoff": "none"}),
                "command": st.just("always the same"),
            },
        ),
        damage=st.sampled_from((None, None, None, None, "cut", "tool")),
        held=st.sampled_from((False, False, False, True)),
    )
    def drop(self, *, name: str, fields: dict[str, Any], damage: str | None, held: bool) -> None:
        """Drop a file, perhaps over one that waits, perhaps with the bytes of an earlier one."""
        self.count += 1
        tool = "nope" if damage == "tool" else "shell"
        content = json.dumps({"tool": tool, "command": f"echo {self.count}", **fields}).encode()
        target = (self.ws.held if held else self.ws.tasks) / name
        if target.exists():
            del self.dropped[target.stat().st_ino]
        hidden = target.with_name(f".{name}.part")
        hidden.write_bytes(content[:-3] if damage == "cut" else content)
        self.dropped[hidden.stat().st_ino] = hidden.read_bytes()
        hidden.rename(target)

    def waiting_files(self) -> list[Path]:
        return sorted(p for folder in (self.ws.tasks, self.ws.held) for p in folder.glob("*.json"))

    @precondition(waiting_files)
    @rule(number=numbers, how=st.sampled_from(("edit", "remove", "hold or release")))
    def handle(self, *, number: int, how: str) -> None:
        """Edit a waiting file in place, remove it, or move it in or out of held/."""
        files = self.waiting_files()
        if not files:
            return  # it was there a moment ago, before the turn in whose middle this happens
        path = files[number % len(files)]
        inode = path.stat().st_ino
        if how == "edit":
            self.count += 1
            self.dropped[inode] = b'{"tool": "shell", "command": "echo %d"}' % self.count
            path.write_bytes(self.dropped[inode])
        elif how == "remove":
            del self.dropped[inode]
            path.unlink()
        else:
            target = (self.ws.tasks if path.parent == self.ws.held else self.ws.held) / path.name
            if not target.exists():
                path.rename(target)

    def sessions(self) -> list[Path]:
        return sorted(p for p in self.ws.sessions.iterdir() if not p.name.startswith("."))

    @precondition(sessions)
    @rule(number=numbers)
    def cancel(self, number: int) -> None:
        if sessions := self.sessions():
            (sessions[number % len(sessions)] / "cancel").touch()

    def results(self) -> list[Path]:
        return sorted(p for p in self.ws.results.iterdir() if (p / "result.json").exists())

    @precondition(results)
    @rule(number=numbers)
    def ask_again(self, number: int) -> None:
        results = self.results()
        chosen = results[number % len(results)]
        self.lost.discard(chosen.name)  # they know that it was lost
        (chosen / "retry").touch()

    # ---- wrappers and tools

    def coming(self) -> list[Wrapper]:
        return [wrapper for wrapper in self.wrappers if wrapper.state == "coming"]

    def running(self) -> list[Wrapper]:
        return [wrapper for wrapper in self.wrappers if wrapper.state == "running"]

    @precondition(coming)
    @rule(number=numbers, comes=st.sampled_from((True, True, True, False)))
    def wrapper_comes(self, *, number: int, comes: bool) -> None:
        """A wrapper takes its first steps, or is killed before them, as by the multiplexer's death."""
        if not (wrappers := self.coming()):
            return
        wrapper = wrappers[number % len(wrappers)]
        if comes:
            self._start(wrapper)
        else:
            wrapper.state = "gone"

    @precondition(running)
    @rule(number=numbers, how=st.sampled_from((0, 0, 1, "killed", "killed with its tool")))
    def wrapper_ends(self, *, number: int, how: int | str) -> None:
        if not (wrappers := self.running()):
            return
        wrapper = wrappers[number % len(wrappers)]
        if isinstance(how, int):
            wrapper.finish(how)
        else:
            self.lost.add(wrapper.folder.parent.parent.name)
            wrapper.die(with_tool=how != "killed")

    # ---- agents and time

    @rule(seconds=st.sampled_from((0.5, 6.0, 20.0)))
    def time_passes(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @rule(name=st.sampled_from(AGENTS), wrappers_follow=st.sampled_from((True, True, False)))
    def turn(self, *, name: str, wrappers_follow: bool) -> None:
        self._turn(name, PAST_THE_END, lambda: None)
        if wrappers_follow:
            for wrapper in self.coming():
                self._start(wrapper)

    @rule(name=st.sampled_from(AGENTS), at=st.one_of(st.integers(1, 60), st.integers(1, 150)))
    def killed_turn(self, name: str, at: int) -> None:
        """An agent is killed before a system call, or at the latest after its turn."""

        def kill() -> None:
            raise Killed

        self._turn(name, at, kill)
        self._bury(name)

    @rule(name=st.sampled_from(AGENTS), at=st.integers(1, 60), number=numbers, what=st.integers(0, 5))
    def turn_in_which_something_happens(self, name: str, at: int, number: int, what: int) -> None:
        """A person, a wrapper or the other agent acts in the middle of an agent's turn."""
        other = AGENTS[1 - AGENTS.index(name)]
        happens: tuple[Callable[[], None], ...] = (
            lambda: self.wrapper_comes(number=number, comes=True),
            lambda: self.wrapper_ends(number=number, how=number % 2),
            lambda: self.cancel(number),
            lambda: self.handle(number=number, how="remove"),
            lambda: self.handle(number=number, how="hold or release"),
            lambda: self._nested_turn(other),
        )
        self._turn(name, at, happens[what])

    # ---- what must hold

    @invariant()
    def each_file_is_in_one_place(self) -> None:
        """I1 and I4: every dropped file is in exactly one place, and its bytes are as they were."""
        found: dict[int, list[Path]] = {}
        folders = [self.ws.tasks, self.ws.held, self.ws.rejected]
        folders += self.ws.sessions.glob(".agent-*/*/source")
        folders += [*self.ws.sessions.glob("*/source"), *self.ws.results.glob("*/source")]
        for folder in set(folders):
            for path in folder.iterdir():
                if path.suffix == ".json" and not path.name.startswith(".") and path.is_file():
                    found.setdefault(path.stat().st_ino, []).append(path)
        for inode, content in self.dropped.items():
            paths = found.get(inode, [])
            assert len(paths) == 1, f"{content!r} lies in {paths}"
            assert paths[0].read_bytes() == content
        for path in self.ws.rejected.glob("*.json"):
            if not path.name.endswith(".error.json"):
                explained = json.loads((path.parent / f"{path.name}.error.json").read_bytes())
                assert explained["what"], explained
                assert explained["remedy"], explained

    @invariant()
    def results_are_whole(self) -> None:
        """I6: what lies in results/ has a whole result, and its validated task."""
        for folder in self.ws.results.iterdir():
            if not folder.name.startswith("."):
                result = Result.read(folder / "result.json")
                assert result is not None, folder
                assert result.task_id == folder.name
                assert AcceptedTask.model_validate_json((folder / "task.json").read_bytes())

    def teardown(self) -> None:
        try:
            self._bring_to_an_end()
        finally:
            for name in list(self.agents):
                self._bury(name)
            for wrapper in self.wrappers:
                wrapper.release()
            self.patches.close()
            shutil.rmtree(self.root)

    # ---- how it is done

    def _bring_to_an_end(self) -> None:
        """Let everything run out; then nothing is left behind, and starting anew changes nothing (I5)."""
        for _ in range(100):
            self.clock.advance(20)
            for name in AGENTS:
                self._turn(name, PAST_THE_END, lambda: None)
            for wrapper in self.coming():
                self._start(wrapper)
            for wrapper in self.running():
                wrapper.finish(0)
            self.each_file_is_in_one_place()
            self.results_are_whole()
            left = self.sessions()
            claims = list(self.ws.sessions.glob(".agent-*/*/source"))
            asked = list(self.ws.results.glob("*/retry"))
            cut = [p for p in self.ws.tasks.glob("*.json") if not p.with_suffix(".why").exists()]
            if not (left or claims or asked or cut):
                break
        else:
            raise AssertionError(f"never over: {left} {claims} {asked} {cut}")
        before = self._picture()
        for name in AGENTS:
            self._bury(name)
            self._turn(name, PAST_THE_END, lambda: None)
        assert self._picture() == before

    def _picture(self) -> dict[str, bytes]:
        folders = (self.ws.tasks, self.ws.results, self.ws.rejected, self.ws.sessions)
        return {
            str(path.relative_to(self.root)): path.read_bytes() if path.is_file() else b""
            for folder in folders
            for path in sorted(folder.rglob("*"))
            if path.name != "agent.json"
        }

    def _start(self, wrapper: Wrapper) -> None:
        """A wrapper comes; if it starts the tool, then what, and whether it may, is checked."""
        if not wrapper.start():
            return
        assert wrapper.intent is not None
        session = wrapper.folder.parent.parent
        run = (session.name, int(wrapper.folder.name))
        assert run not in self.ran, f"{run} started twice"
        self.ran.add(run)
        task = AcceptedTask.model_validate_json((session / "task.json").read_bytes())
        assert task.task_id == session.name
        assert hashlib.sha256((session / "task.json").read_bytes()).hexdigest() == wrapper.intent.task_sha256
        source = next((session / "source").iterdir()).read_bytes()
        assert hashlib.sha256(source).hexdigest() == task.source_sha256
        assert json.loads(source)["command"] in wrapper.intent.argv
        assert task.idempotent or session.name not in self.lost, f"{session.name} ran again after it was lost"

    def _ending(self, tree: Any, _grace_s: float) -> mock.Mock:
        """End what is left of a tool, at the second look."""

        def step(_now_s: float) -> bool:
            for wrapper in self.wrappers:
                if str(wrapper.folder) == tree.marker and wrapper.state == "orphan":
                    wrapper.release()
                    return False
            return True

        return mock.Mock(step=step)

    def _now(self, _ctime_s: float, _zone: Any) -> datetime:
        return self.clock.utc

    def _ulid(self) -> str:
        self.given += 1
        return f"{self.given:026d}"

    def _nested_turn(self, name: str) -> None:
        if name in self.agents:
            loop = self.agents[name][0]
            loop._scan_at_s = 0.0
            loop._turn()

    def _turn(self, name: str, at: int, happens: Callable[[], None]) -> None:
        """Give an agent one turn; a new one is started where none lives."""
        try:
            with self.calls.watched(at, happens):
                if name not in self.agents:
                    self.agents[name] = self._new_agent(name)
                loop = self.agents[name][0]
                loop._scan_at_s = 0.0
                loop._turn()
        except Killed:
            self._bury(name)

    def _new_agent(self, name: str) -> tuple[Loop, Any]:
        lock = take_agent_lock(self.ws, name)
        try:
            site = Site(
                self.ws,
                name,
                load(self.ws),
                Registry.load(self.ws),
                lambda: self.clock.utc,
                lambda: self.clock.monotonic_s,
                host="here",
                boot="this",
                launchers={"tmux": Launcher(self)},
            )
            for folder in (site.bell, site.outbox):
                make_folder(folder)
            loop = Loop(site, drain=False)
            loop._watch = mock.Mock()
            loop._housekeeping = mock.Mock()
            loop._wait = lambda _patience_s: None
            loop._board.scan()
        except BaseException:
            lock.release(force=True)
            raise
        return loop, lock

    def _bury(self, name: str) -> None:
        if name in self.agents:
            _, lock = self.agents.pop(name)
            lock.release(force=True)


Machine.TestCase.settings = settings(
    max_examples=60,
    stateful_step_count=40,
    derandomize=True,
    deadline=None,
    # a failure is printed as it was found: shrinking would take longer than pytest waits
    phases=(Phase.generate,),
    print_blob=True,
    suppress_health_check=list(HealthCheck),
)
TestAnyOrder = Machine.TestCase
