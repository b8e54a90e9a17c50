"""A wrapper that is forked is a wrapper like any other: in its session, once, and whatever else dies."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from agent.launchers import LaunchError, SessionExists, Start, socket_path
from agent.launchers.forked import Starter
from agent.launchers.tmux import TmuxLauncher

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conftest import Bench

LEDGER = 'echo ran >>"$RAN"'


def tmux(bench: Bench, *words: str) -> str:
    """Ask the workspace's tmux; an error is an empty answer."""
    done = subprocess.run(
        ["tmux", "-S", socket_path(bench.root), *words],
        capture_output=True,
        text=True,
        check=False,
        timeout=20,
    )
    return done.stdout.strip() if not done.returncode else ""


def start(bench: Bench, launcher: TmuxLauncher, task_id: str = "t") -> dict[str, Exception]:
    """Start the prepared attempt as the agent does."""
    wish = Start(task_id, tuple(bench.command), bench.root, attempt=bench.attempt)
    return dict(launcher.start_all([wish]))


def servers(bench: Bench) -> list[int]:
    """The pids of the processes that fork wrappers."""
    return [
        pid for pid, line in bench.processes().items() if "wrap.py --serve" in line and "tmux" not in line
    ]


def ready(bench: Bench, launcher: TmuxLauncher) -> int:
    """Make somebody ready who forks wrappers, and return its pid."""
    launcher.warm_up()
    bench.wait(lambda: servers(bench), "wrappers can be forked")
    return int(servers(bench)[0])


@pytest.fixture
def launcher(bench: Bench) -> Iterator[TmuxLauncher]:
    bench.root.chmod(0o700)
    launcher = TmuxLauncher(bench.root)
    yield launcher
    launcher.close()
    tmux(bench, "kill-server")
    bench.wait(lambda: not servers(bench), "nobody forks any more")


def test_it_runs_in_its_session_and_says_what_it_is(bench: Bench, launcher: TmuxLauncher) -> None:
    server = ready(bench, launcher)
    bench.prepare(f"{LEDGER}; echo hello from the tool; until [ -e go ]; do sleep 0.02; done")
    assert start(bench, launcher) == {}
    wrapper = bench.started()["wrapper_pid"]
    assert Path(f"/proc/{wrapper}/stat").read_text().rpartition(")")[2].split()[1] == str(server)
    words = Path(f"/proc/{wrapper}/cmdline").read_bytes().rstrip(b"\0").split(b"\0")
    assert words[-2:] == [os.fsencode(bench.command[-2]), os.fsencode(bench.attempt)]
    bench.wait(
        lambda: "hello from the tool" in tmux(bench, "capture-pane", "-p", "-t", "=task-t:"), "it shows"
    )
    (bench.root / "go").touch()
    bench.wait((bench.attempt / "exit").exists, "its end is recorded")
    assert bench.exit()["exit_code"] == 0
    bench.wait(lambda: not launcher.exists("t"), "its session ends with it")
    assert bench.ran == ["ran"]


def test_ctrl_c_in_its_terminal_cancels_it(bench: Bench, launcher: TmuxLauncher) -> None:
    ready(bench, launcher)
    bench.prepare(f"{LEDGER}; sleep 60")
    assert start(bench, launcher) == {}
    bench.wait(lambda: bench.ran, "the tool runs")
    for key in ("C-z", "C-\\"):
        tmux(bench, "send-keys", "-t", "=task-t:", key)
    assert launcher.exists("t")
    tmux(bench, "send-keys", "-t", "=task-t:", "C-c")
    bench.wait((bench.attempt / "exit").exists, "its end is recorded")
    assert bench.exit()["ended_by"] == "cancel"
    bench.wait(lambda: not launcher.exists("t"), "its session ends with it")


def test_its_terminal_may_go(bench: Bench, launcher: TmuxLauncher) -> None:
    """Who kills the session, or the whole tmux server, ends no tool: it is recorded all the same."""
    ready(bench, launcher)
    bench.prepare(f"{LEDGER}; until [ -e go ]; do sleep 0.02; done; echo late")
    assert start(bench, launcher) == {}
    bench.wait(lambda: bench.ran, "the tool runs")
    launcher.end("t")
    tmux(bench, "kill-server")
    (bench.root / "go").touch()
    bench.wait((bench.attempt / "exit").exists, "its end is recorded")
    assert bench.stdout == b"late\n"
    assert bench.exit()["exit_code"] == 0


@pytest.mark.parametrize("victim", ["server", "tmux"])
def test_who_forks_may_die(bench: Bench, launcher: TmuxLauncher, victim: str) -> None:
    """What runs goes on; the next attempt is started without it, and later ones are forked again."""
    server = ready(bench, launcher)
    bench.prepare(f"{LEDGER}; until [ -e go ]; do sleep 0.02; done")
    assert start(bench, launcher) == {}
    bench.wait(lambda: bench.ran, "the tool runs")
    if victim == "server":
        os.kill(server, signal.SIGKILL)
    else:
        tmux(bench, "kill-server")
    bench.wait(lambda: server not in servers(bench), "it is dead")
    other = bench.session.with_name("u")
    (bench.root / "go").touch()
    bench.wait((bench.attempt / "exit").exists, "its end is recorded")
    bench.session.rename(other)
    bench.prepare(LEDGER)
    bench.wait(lambda: start(bench, launcher, "u") == {}, "another is started")
    bench.wait((bench.attempt / "exit").exists, "and recorded")
    assert bench.ran == ["ran", "ran"]
    assert ready(bench, launcher) != server


def test_a_session_of_that_name_keeps_it_from_starting(bench: Bench, launcher: TmuxLauncher) -> None:
    ready(bench, launcher)
    bench.prepare(LEDGER)
    launcher.start("t", ["sleep", "60"], bench.root)
    errors = start(bench, launcher)
    assert isinstance(errors["t"], SessionExists)
    bench.wait(
        lambda: not any("attempts" in line for line in bench.processes().values()), "no wrapper is left"
    )
    assert not (bench.attempt / "started").exists()
    assert bench.ran == []
    launcher.end("t")
    assert start(bench, launcher) == {}
    bench.wait(lambda: bench.ran == ["ran"], "it runs")
    bench.wait((bench.attempt / "exit").exists, "its end is recorded")


def test_twice_at_once_runs_once(bench: Bench, launcher: TmuxLauncher) -> None:
    """Two forked wrappers of one attempt, each with a session: its locks let one of them run."""
    ready(bench, launcher)
    bench.prepare(f"{LEDGER}; sleep 0.3")
    wishes = [Start(name, tuple(bench.command), bench.root, attempt=bench.attempt) for name in ("t", "u")]
    assert launcher.start_all(wishes) == {}
    bench.wait((bench.attempt / "exit").exists, "its end is recorded")
    bench.wait(lambda: not (launcher.exists("t") or launcher.exists("u")), "both sessions are over")
    assert bench.ran == ["ran"]


def test_an_agent_that_dies_in_between_starts_nothing(bench: Bench, launcher: TmuxLauncher) -> None:
    """A wrapper that was asked for and never told its terminal ends, and its attempt was never begun."""
    ready(bench, launcher)
    bench.prepare(LEDGER)
    assert start(bench, launcher, "t") == {}
    bench.wait((bench.attempt / "exit").exists, "somebody forks")
    for name in ("started", "exit"):
        (bench.attempt / name).unlink()
    (bench.root / "ran").unlink()
    assert launcher._starter is not None
    waiting = launcher._starter._forks.ask_for(bench.attempt)[0]
    assert waiting.pid in bench.processes() or Path(f"/proc/{waiting.pid}").exists()
    waiting.connection.close()
    bench.wait(lambda: not Path(f"/proc/{waiting.pid}").exists(), "it is gone")
    assert not (bench.attempt / "started").exists()
    assert bench.ran == []


def test_it_ends_with_its_owner(bench: Bench) -> None:
    bench.root.chmod(0o700)
    code = (
        "import sys; from pathlib import Path; from agent.launchers.tmux import TmuxLauncher\n"
        "one = TmuxLauncher(Path(sys.argv[1])); one.warm_up(); print('up', flush=True); sys.stdin.read()"
    )
    owner = subprocess.Popen(
        [*bench.command[:1], "-c", code, bench.root], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert owner.stdout is not None
    assert owner.stdin is not None
    assert owner.stdout.readline() == b"up\n"
    bench.wait(lambda: servers(bench), "it serves")
    launcher = TmuxLauncher(bench.root)
    try:
        owner.kill()
        owner.wait(10)
        bench.wait(lambda: not servers(bench), "it ends, though it never heard of its owner", 60)
        bench.wait(lambda: not launcher.sessions(), "and so does its session")
    finally:
        owner.stdin.close()
        owner.stdout.close()
        tmux(bench, "kill-server")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")
def test_another_user_cannot_take_its_place(bench: Bench, launcher: TmuxLauncher) -> None:
    """Whoever connects first, and is not us, is sent away."""
    code = (
        "import os, socket, sys; os.setuid(65534); s = socket.socket(socket.AF_UNIX); s.settimeout(20)\n"
        "s.connect(chr(0) + sys.argv[1]); print('in', flush=True); print(s.recv(64))"
    )
    ready(bench, launcher)
    assert launcher._starter is not None
    name = launcher._starter._forks._listener.getsockname()[1:].decode()
    other = subprocess.Popen([*bench.command[:1], "-c", code, name], stdout=subprocess.PIPE, text=True)
    assert other.stdout is not None
    assert other.stdout.readline() == "in\n"
    bench.prepare(LEDGER)
    assert start(bench, launcher) == {}
    bench.wait((bench.attempt / "exit").exists, "it ran all the same")
    launcher.close()
    assert other.communicate(timeout=30)[0] in {"b''\n", ""}


def test_nothing_can_be_forked_without_a_tmux(bench: Bench) -> None:
    """A starter whose tmux refuses says so, and leaves nothing behind."""
    with pytest.raises(LaunchError):
        Starter(["tmux", "-S", str(bench.root / "no" / "such" / "folder")], bench.root)
    assert servers(bench) == []
