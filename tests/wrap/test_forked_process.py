"""A wrapper that is forked without a terminal: once, known by its record, and whatever else dies."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from agent.launchers import SessionExists, Start
from agent.launchers.process import ProcessLauncher

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from conftest import Bench

    from agent.launchers.wrappers import Forks, Waiting

LEDGER = 'echo ran >>"$RAN"'


def start(bench: Bench, launcher: ProcessLauncher) -> dict[str, Exception]:
    """Start the prepared attempt as the agent does."""
    return dict(launcher.start_all([Start("t", tuple(bench.command), bench.root, attempt=bench.attempt)]))


def servers(forks: Forks | None) -> list[int]:
    """The pids of our children that fork wrappers for a launcher."""
    name = forks._name.encode() if forks is not None else b"none"
    found = []
    for task in Path("/proc/self/task").iterdir():
        for pid in (task / "children").read_text().split():
            with suppress(OSError):
                if b"wrap.py\0--serve\0" + name in Path(f"/proc/{pid}/cmdline").read_bytes():
                    found.append(int(pid))
    return found


def ready(bench: Bench, launcher: ProcessLauncher) -> int:
    launcher.warm_up()
    bench.wait(lambda: servers(launcher._forks), "wrappers can be forked")
    return int(servers(launcher._forks)[0])


def left(bench: Bench) -> list[str]:
    return sorted(path.name for path in (bench.root / ".aispool.process").glob("*task-*"))


@pytest.fixture
def launcher(bench: Bench) -> Iterator[ProcessLauncher]:
    launcher = ProcessLauncher(bench.root)
    yield launcher
    forks = launcher._forks
    launcher.close()
    bench.wait(lambda: not servers(forks), "nobody forks any more")


def test_it_runs_and_says_what_it_is(bench: Bench, launcher: ProcessLauncher) -> None:
    server = ready(bench, launcher)
    bench.prepare(f"{LEDGER}; echo hello; until [ -e go ]; do sleep 0.02; done")
    assert start(bench, launcher) == {}
    wrapper = bench.started()["wrapper_pid"]
    assert Path(f"/proc/{wrapper}/stat").read_text().rpartition(")")[2].split()[1] == str(server)
    words = Path(f"/proc/{wrapper}/cmdline").read_bytes().rstrip(b"\0").split(b"\0")
    assert words[-2:] == [os.fsencode(bench.command[-2]), os.fsencode(bench.attempt)]
    assert os.getsid(wrapper) == wrapper
    assert f"--pid={wrapper}" in launcher.attach_command("t")
    assert isinstance(start(bench, launcher)["t"], SessionExists)
    (bench.root / "go").touch()
    bench.wait((bench.attempt / "exit").exists, "its end is recorded")
    assert (bench.exit()["exit_code"], bench.stdout) == (0, b"hello\n")
    bench.wait(lambda: not launcher.exists("t"), "its session ends with it")
    bench.wait(lambda: not left(bench), "and nothing of it is left")
    assert bench.ran == ["ran"]


def test_who_forks_may_die(bench: Bench, launcher: ProcessLauncher) -> None:
    """What runs goes on, and the next one is started all the same."""
    server = ready(bench, launcher)
    bench.prepare(f"{LEDGER}; until [ -e go ]; do sleep 0.02; done")
    assert start(bench, launcher) == {}
    bench.wait(lambda: bench.ran, "the tool runs")
    os.kill(server, signal.SIGKILL)
    (bench.root / "go").touch()
    bench.wait((bench.attempt / "exit").exists, "its end is recorded")
    bench.wait(lambda: not launcher.exists("t"), "its session ends with it")
    assert set(start(bench, launcher)) == set()  # it refuses: it was started before
    bench.wait(lambda: not launcher.exists("t"), "the second one is over")
    assert bench.ran == ["ran"]


def test_a_launcher_that_dies_in_between_starts_nothing(bench: Bench, launcher: ProcessLauncher) -> None:
    """Its wrapper waits to be told to begin, and ends when nobody is left who could."""
    ready(bench, launcher)
    bench.prepare(LEDGER)
    assert launcher._forks is not None
    waiting = launcher._forks.ask_for(bench.attempt)[0]
    assert Path(f"/proc/{waiting.pid}").exists()
    waiting.connection.close()
    bench.wait(lambda: not Path(f"/proc/{waiting.pid}").exists(), "it ends")
    assert not (bench.attempt / "started").exists()
    assert bench.ran == []
    assert start(bench, launcher) == {}
    bench.wait((bench.attempt / "exit").exists, "it is launched again")


def test_what_a_wrapper_says_is_logged(
    bench: Bench, launcher: ProcessLauncher, caplog: pytest.LogCaptureFixture
) -> None:
    ready(bench, launcher)
    bench.prepare(LEDGER)
    (bench.attempt / "started").write_text("{}")
    assert start(bench, launcher) == {}
    bench.wait(lambda: (bench.root / ".aispool.process").exists() and not left(bench), "it is over")
    assert any("it was started before" in str(vars(record)) for record in caplog.records)


def test_a_wrapper_that_is_killed_before_it_begins_is_started_again(
    bench: Bench, launcher: ProcessLauncher, monkeypatch: pytest.MonkeyPatch
) -> None:
    ready(bench, launcher)
    bench.prepare(LEDGER)
    real = launcher._ask_for

    def killed(attempts: Mapping[str, Path]) -> dict[str, Waiting]:
        forked = real(attempts)
        for wrapper in forked.values():
            os.kill(wrapper.pid, signal.SIGKILL)
            bench.wait(lambda pid=wrapper.pid: not Path(f"/proc/{pid}").exists(), "it is gone")
        return forked

    with monkeypatch.context() as patch:
        patch.setattr(launcher, "_ask_for", killed)
        assert "killed before it began" in str(start(bench, launcher)["t"])
    assert not launcher.exists("t")
    assert start(bench, launcher) == {}
    bench.wait((bench.attempt / "exit").exists, "it runs")
    assert bench.ran == ["ran"]
