"""What every launcher keeps, on the real programs."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import shlex
import signal
import stat
import struct
import subprocess
import sys
import termios
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import agent
from agent.launchers import LAUNCHERS, Launcher, LaunchError, SessionExists

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conftest import Bench

WAIT = [sys.executable, "-I", "-S", "-c", "import signal; signal.pause()"]
AWKWARD = [
    "two words",
    'it\'s "quoted"',
    "ends in;",
    ";",
    r"ends in\;",
    r"\;",
    "$HOME `id` $(id)",
    "line\nbreak\ttab",
    "ünï€ 漢字 🜚",
    "",
    "-x",
    "--",
    "#{pid} #(id) #[fg=red] %1 {x} ~ ^a !",
    "\x01\x1b[0m\x7f",
    os.fsdecode(b"\xff\xfe not UTF-8"),
]
LOOKALIKES = ["1", "10", "1.0", "1_0", "1-0", "a.b", "a_b", "a..b", "a._b", "A.b", "task-1"]
LONG = ["x" * 100, "x" * 99 + "y", "y" + "x" * 99, "x" * 99 + ".", "x" * 99 + "_", "x" * 99]


def test_argv_arrives_byte_for_byte(launcher: Launcher, workspace: Path, bench: Bench) -> None:
    """No shell and no parser of the multiplexer changes an argument."""
    out, argv = bench.recorder(*AWKWARD)
    launcher.start("t", argv, workspace)
    assert [word.encode("latin-1") for word in bench.record(out)["argv"]] == [os.fsencode(w) for w in AWKWARD]


def test_a_lone_word_is_a_program_and_not_code(
    launcher: Launcher, workspace: Path, folder: Path, bench: Bench
) -> None:
    program = folder / "run $(touch bad); touch bad"
    program.write_text(f"#!/bin/sh\ntouch {folder}/good\n")
    program.chmod(0o700)
    launcher.start("t", [str(program)], workspace)
    bench.wait_until((folder / "good").exists, "the program ran")
    assert not (workspace / "bad").exists()


@pytest.mark.parametrize("name", ["plain", "a b", "#{pid}", "##[x]", "$HOME", "ü;"])
def test_runs_in_its_working_directory(launcher: Launcher, workspace: Path, bench: Bench, name: str) -> None:
    cwd = workspace / name
    cwd.mkdir()
    out, argv = bench.recorder()
    launcher.start("t", argv, cwd)
    assert bench.record(out)["cwd"] == str(cwd)


def test_each_session_has_its_own_working_directory(
    launcher: Launcher, workspace: Path, folder: Path, bench: Bench
) -> None:
    """The directory of the session that started the server is not the next one's."""
    for number, cwd in enumerate([workspace, folder]):
        out, argv = bench.recorder()
        launcher.start(f"t{number}", argv, cwd)
        assert bench.record(out)["cwd"] == str(cwd)


def test_a_missing_working_directory_is_named(launcher: Launcher, workspace: Path) -> None:
    with pytest.raises(LaunchError, match="gone"):
        launcher.start("t", WAIT, workspace / "gone")
    assert not launcher.exists("t")


@pytest.mark.parametrize("ids", [LOOKALIKES, LONG], ids=["lookalikes", "100 characters"])
def test_ids_never_share_a_session(launcher: Launcher, workspace: Path, ids: list[str]) -> None:
    """Dot and underscore, prefixes, and ids that differ in their last letter are told apart."""
    for task_id in ids:
        launcher.start(task_id, WAIT, workspace)
    left = list(ids)
    assert len({launcher.session_name(task_id) for task_id in ids}) == len(ids)
    for task_id in ids:
        assert launcher.sessions() == {launcher.session_name(other) for other in left}
        launcher.end(task_id)
        left.remove(task_id)
        assert not launcher.exists(task_id)
    assert launcher.sessions() == set()


def test_short_names_are_what_the_protocol_says(launcher: Launcher) -> None:
    assert launcher.session_name("nightly-7") == "task-nightly-7"


def test_a_second_session_of_a_task_is_refused(launcher: Launcher, workspace: Path, bench: Bench) -> None:
    """The first one stays as it is, and the message says how to look at it."""
    first, argv = bench.recorder()
    second, again = bench.recorder()
    launcher.start("t", argv, workspace)
    pid = bench.record(first)["pid"]
    with pytest.raises(SessionExists, match="attach"):
        launcher.start("t", again, workspace)
    assert Path(f"/proc/{pid}").exists()
    assert not second.exists()


def test_of_many_starts_of_a_task_one_wins(launcher: Launcher, workspace: Path) -> None:
    def start(_: int) -> bool:
        try:
            launcher.start("t", WAIT, workspace)
        except SessionExists:
            return False
        return True

    with ThreadPoolExecutor(5) as pool:
        assert sum(pool.map(start, range(5))) == 1


def test_end_is_quiet_about_a_session_that_is_not_there(launcher: Launcher, workspace: Path) -> None:
    launcher.end("t")
    launcher.start("other", WAIT, workspace)
    launcher.end("t")
    launcher.start("t", WAIT, workspace)
    launcher.end("t")
    launcher.end("t")
    assert launcher.sessions() == {launcher.session_name("other")}


def test_end_hangs_up_on_the_program(launcher: Launcher, workspace: Path, bench: Bench) -> None:
    out, argv = bench.recorder()
    launcher.start("t", argv, workspace)
    pid = bench.record(out)["pid"]
    launcher.end("t")
    bench.wait_until(lambda: not _alive(pid), "the program ended")


def test_twenty_sessions_at_once(launcher: Launcher, workspace: Path, bench: Bench) -> None:
    runs = [bench.recorder(str(number)) for number in range(20)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda n: launcher.start(f"t{n}", runs[n][1], workspace), range(20)))
    assert [bench.record(out)["argv"] for out, _ in runs] == [[str(number)] for number in range(20)]
    assert launcher.sessions() == {launcher.session_name(f"t{number}") for number in range(20)}


def test_a_session_ends_with_its_command(launcher: Launcher, workspace: Path, bench: Bench) -> None:
    launcher.start("t", ["/bin/true"], workspace)
    bench.wait_until(lambda: not launcher.exists("t"), "the session is over")
    launcher.start("t", WAIT, workspace)
    assert launcher.exists("t")


def test_fleeting_sessions_all_start(launcher: Launcher, workspace: Path, folder: Path, bench: Bench) -> None:
    """A server that leaves with its last session takes no new one with it."""
    marks = [folder / f"mark{number}" for number in range(40)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda m: launcher.start(m.name, ["/usr/bin/touch", str(m)], workspace), marks))
    bench.wait_until(lambda: all(mark.exists() for mark in marks), "all have run")


def test_needs_neither_environment_nor_terminal_nor_its_starter(
    kind: str, launcher: Launcher, workspace: Path, bench: Bench
) -> None:
    """Started with nothing, it outlives a hang-up, an interrupt and the end of the whole starting session."""
    out, argv = bench.recorder("ünï€")
    code = (
        "import sys, pathlib, signal\n"
        "from agent.launchers import LAUNCHERS\n"
        "kind, workspace, *argv = sys.argv[1:]\n"
        "LAUNCHERS[kind](pathlib.Path(workspace)).start('t', argv, pathlib.Path(workspace))\n"
        "print('started', flush=True)\n"
        "signal.pause()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, kind, str(workspace), *argv],
        env={name: value for name, value in os.environ.items() if name == "SLURM_CONF"},
        cwd=Path(agent.__file__).parents[1],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        start_new_session=True,
    ) as starter:
        assert starter.stdout is not None
        assert starter.stdout.readline() == b"started\n"
        record = bench.record(out)
        for number in (signal.SIGINT, signal.SIGHUP, signal.SIGKILL):
            os.killpg(starter.pid, number)
    assert record["argv"] == ["ünï€".encode().decode("latin-1")]
    assert launcher.exists("t")
    assert os.getsid(record["pid"]) != starter.pid
    assert _alive(record["pid"])


def test_nothing_of_ours_leaks_into_program_or_server(
    kind: str,
    launcher: Launcher,
    workspace: Path,
    bench: Bench,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A descriptor that the server kept would hold its lock for ever."""
    monkeypatch.setenv("NOTIFY_SOCKET", "/run/x")
    monkeypatch.setenv("TMUX", "/tmp/x,1,0")
    monkeypatch.setenv("STY", "1.x")
    monkeypatch.setenv("KEPT", "yes")
    path = folder / "lock"
    with path.open("w") as lock:
        os.set_inheritable(lock.fileno(), True)
        fcntl.flock(lock, fcntl.LOCK_EX)
        out, argv = bench.recorder()
        launcher.start("t", argv, workspace)
        launcher.sessions()
        record = bench.record(out)
        open_in_servers = [
            fd.readlink()
            for pid in (*bench.servers(workspace), *bench.jobs(workspace))
            for fd in Path(f"/proc/{pid}/fd").iterdir()
        ]
    assert {fd for fd in record["fds"] if int(fd) > 2} == set()
    assert open_in_servers or kind == "process"  # which has no server
    assert path not in open_in_servers
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    assert "NOTIFY_SOCKET" not in record["env"]
    assert record["env"].get("TMUX") != "/tmp/x,1,0"
    assert record["env"].get("STY") != "1.x"
    assert record["env"]["KEPT"] == "yes"


def test_the_attach_command_attaches(terminal: str, workspace: Path, bench: Bench) -> None:
    """Pasted into a shell on a terminal, it shows the program and takes input; leaving ends nothing."""
    launcher = LAUNCHERS[terminal](workspace)
    launcher.start("a.bc", WAIT, workspace)
    out, argv = bench.recorder()
    launcher.start("a.b", argv, workspace)
    bench.record(out)
    with _terminal(shlex.join(launcher.attach_command("a.b"))) as (screen, client):
        _see(screen, b"ready for you")
        os.write(screen, b"typed by a person\r")
        assert bench.line(out, 0) == b"typed by a person\n"
        client.terminate()
        client.wait(10)
    assert launcher.exists("a.b")


def test_a_workspace_too_deep_for_sockets(multiplexer: str, folder: Path, bench: Bench) -> None:
    """Its sockets move to a private folder under /tmp, and two such workspaces stay apart."""
    deep = [folder / ("d" * 120) / name for name in ("one", "two")]
    for workspace in deep:
        workspace.mkdir(parents=True)
    try:
        for number, workspace in enumerate(deep):
            out, argv = bench.recorder()
            launcher = LAUNCHERS[multiplexer](workspace)
            launcher.start(f"t{number}", argv, workspace)
            assert bench.record(out)["cwd"] == str(workspace)
            assert launcher.sessions() == {f"task-t{number}"}
            assert list(workspace.iterdir()) == []
    finally:
        for workspace in deep:
            bench.reap(workspace)


def test_a_workspace_reached_through_a_link_is_the_same(
    kind: str, launcher: Launcher, workspace: Path
) -> None:
    launcher.start("t", WAIT, workspace)
    link = workspace.with_name("link")
    link.symlink_to(workspace)
    assert LAUNCHERS[kind](link).exists("t")


def test_sockets_are_the_users_alone(multiplexer: str, workspace: Path) -> None:
    launcher = LAUNCHERS[multiplexer](workspace)
    launcher.start("t", WAIT, workspace)
    sockets = [path for path in workspace.rglob("*") if path.is_socket()]
    assert sockets
    for socket in sockets:
        assert stat.S_IMODE(socket.stat().st_mode) & 0o007 == 0


def test_a_killed_server_leaves_no_session_and_no_obstacle(
    multiplexer: str, workspace: Path, bench: Bench
) -> None:
    """The socket that it left is neither taken for a session nor in the way of the next."""
    launcher = LAUNCHERS[multiplexer](workspace)
    launcher.start("t", WAIT, workspace)
    for pid in bench.servers(workspace):
        os.kill(pid, signal.SIGKILL)
    bench.wait_until(lambda: not bench.servers(workspace), "the server is dead")
    assert launcher.sessions() == set()
    launcher.start("t", WAIT, workspace)
    assert launcher.exists("t")


def test_a_missing_program_is_named_with_its_remedy(
    terminal: str, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    launcher = LAUNCHERS[terminal](workspace)
    assert launcher.name == terminal
    assert launcher.available() is None
    launcher.start("t", WAIT, workspace)
    with monkeypatch.context() as patch:
        patch.setenv("PATH", str(workspace))
        assert f"apt install {'slurm-client' if terminal == 'slurm' else terminal}" in (
            launcher.available() or ""
        )
        with pytest.raises(LaunchError, match=f"not on PATH|{terminal}"):
            launcher.start("u", WAIT, workspace)
        with pytest.raises(LaunchError, match="apt install"):
            launcher.sessions()


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@contextmanager
def _terminal(command: str) -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    env = {"TERM": "xterm", "PATH": os.environ["PATH"], "HOME": "/nonexistent"}
    env |= {name: value for name, value in os.environ.items() if name == "SLURM_CONF"}
    try:
        with subprocess.Popen(
            ["/bin/sh", "-c", f"exec {command}"],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            env=env,
        ) as client:
            try:
                yield master, client
            finally:
                client.kill()
    finally:
        os.close(slave)
        os.close(master)


def _see(master: int, text: bytes) -> None:
    seen = b""
    while text not in seen:
        readable, _, _ = select.select([master], [], [], 15)
        assert readable, f"{text!r} is not on the screen: {seen!r}"
        seen += os.read(master, 65536)
