"""What only tmux can get wrong: its socket, its configuration, plug-ins, names."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from agent.launchers import LaunchError, SessionExists, calls, place, socket_path, tmux
from agent.launchers.servers import server_pids
from agent.launchers.tmux import TmuxLauncher

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conftest import Bench

WAIT = [sys.executable, "-I", "-S", "-c", "import signal; signal.pause()"]
CONF = Path(__file__).parents[2] / "scripts" / "tmux.conf"

pytestmark = pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")


@pytest.fixture
def launcher(workspace: Path) -> TmuxLauncher:
    return TmuxLauncher(workspace, CONF)


def _ask(socket: Path, *command: str, **env: str) -> str:
    done = subprocess.run(
        ["tmux", "-S", str(socket), *command], capture_output=True, text=True, check=True, env=env or None
    )
    return done.stdout.strip()


def test_the_socket_lies_in_the_workspace(launcher: TmuxLauncher, workspace: Path) -> None:
    launcher.start("t", WAIT, workspace)
    assert socket_path(workspace) == workspace / ".aispool.tmux"
    assert _ask(workspace / ".aispool.tmux", "list-sessions", "-F", "#{session_name}") == "task-t"


def test_tmux_takes_the_names_as_they_are(launcher: TmuxLauncher, workspace: Path) -> None:
    """The dot becomes `~`, which tmux keeps and finds again by exact name."""
    launcher.start("a.b", WAIT, workspace)
    assert launcher.sessions() == {"task-a~b"}
    assert (
        _ask(socket_path(workspace), "display-message", "-p", "-t", "=task-a~b:", "#{session_name}")
        == "task-a~b"
    )


def test_a_removed_socket_comes_back(launcher: TmuxLauncher, workspace: Path, bench: Bench) -> None:
    """The sessions are still there, and no second server is started."""
    launcher.start("t", WAIT, workspace)
    before = bench.servers(workspace)
    for act in (
        lambda: launcher.start("u", WAIT, workspace),
        lambda: launcher.end("u"),
        lambda: None,
    ):
        socket_path(workspace).unlink()
        act()
        assert launcher.exists("t")
    assert launcher.sessions() == {"task-t"}
    assert bench.servers(workspace) == before == server_pids(socket_path(workspace))


def test_a_removed_socket_does_not_hide_a_session_of_the_same_name(
    launcher: TmuxLauncher, workspace: Path
) -> None:
    launcher.start("t", WAIT, workspace)
    socket_path(workspace).unlink()
    with pytest.raises(SessionExists):
        launcher.start("t", WAIT, workspace)


def test_many_who_find_the_socket_removed_revive_one_server(
    launcher: TmuxLauncher, workspace: Path, bench: Bench
) -> None:
    """Starting, ending and looking at once lose no session and start no second server."""
    launcher.start("t", WAIT, workspace)
    before = bench.servers(workspace)
    for turn in range(5):
        socket_path(workspace).unlink()
        with ThreadPoolExecutor(6) as pool:
            looks = [pool.submit(launcher.sessions) for _ in range(3)]
            starts = [pool.submit(launcher.start, f"u{turn}.{n}", WAIT, workspace) for n in range(3)]
        assert all("task-t" in look.result() for look in looks)
        assert [start.result() for start in starts] == [None] * 3
    assert len(launcher.sessions()) == 16
    assert bench.servers(workspace) == before


def test_a_lock_held_for_ever_is_named(
    launcher: TmuxLauncher, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(place, "LOCK_S", 0.1)
    with place.alone(workspace / ".aispool.tmux.start"), pytest.raises(LaunchError, match="fuser"):
        launcher.start("t", WAIT, workspace)
    launcher.start("t", WAIT, workspace)


def test_a_removed_socket_folder_comes_back(folder: Path, bench: Bench) -> None:
    """A cleaner of /tmp takes the folder with it; only our own server is asked."""
    deep = [folder / ("d" * 120) / name for name in ("one", "two")]
    try:
        for workspace in deep:
            workspace.mkdir(parents=True)
            TmuxLauncher(workspace).start(workspace.name, WAIT, workspace)
        for workspace in deep:
            socket_path(workspace).unlink()
        for workspace in deep:
            assert TmuxLauncher(workspace).sessions() == {f"task-{workspace.name}"}
    finally:
        for workspace in deep:
            bench.reap(workspace)


def test_a_server_that_cannot_come_back_is_named(
    launcher: TmuxLauncher, workspace: Path, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stopped server holds its sessions; a second one beside it would run tasks twice."""
    launcher.start("t", WAIT, workspace)
    (pid,) = bench.servers(workspace)
    monkeypatch.setattr(tmux, "REVIVAL_S", 0.1)
    os.kill(pid, signal.SIGSTOP)
    socket_path(workspace).unlink()
    with pytest.raises(LaunchError, match=f"server {pid} lives"):
        launcher.start("u", WAIT, workspace)
    os.kill(pid, signal.SIGCONT)
    bench.wait_until(lambda: launcher.sessions() == {"task-t"}, "the server is back")


@pytest.mark.parametrize("call", ["start", "sessions"])
def test_a_server_that_does_not_answer_is_given_up(
    launcher: TmuxLauncher, workspace: Path, bench: Bench, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    launcher.start("t", WAIT, workspace)
    (pid,) = bench.servers(workspace)
    monkeypatch.setattr(calls, "TIMEOUT_S", 0.2)
    os.kill(pid, signal.SIGSTOP)
    try:
        with pytest.raises(LaunchError, match=r"did not answer within 0\.2 s"):
            launcher.sessions() if call == "sessions" else launcher.start("u", WAIT, workspace)
    finally:
        os.kill(pid, signal.SIGCONT)


def test_a_socket_that_is_refused_is_not_an_empty_server(launcher: TmuxLauncher, workspace: Path) -> None:
    """What cannot be seen is not gone."""
    socket_path(workspace).symlink_to(socket_path(workspace))
    with pytest.raises(LaunchError, match="list sessions"):
        launcher.sessions()


def test_a_command_too_long_for_tmux_is_refused(launcher: TmuxLauncher, workspace: Path) -> None:
    with pytest.raises(LaunchError, match="too long"):
        launcher.start("t", ["/bin/echo", "x" * 20_000], workspace)
    assert not launcher.exists("t")


def test_the_workspaces_own_configuration_is_read(workspace: Path) -> None:
    (workspace / "configs").mkdir()
    (workspace / "configs" / "tmux.conf").write_text("set -g history-limit 77\n")
    TmuxLauncher(workspace).start("t", WAIT, workspace)
    assert _ask(socket_path(workspace), "show-options", "-gv", "history-limit") == "77"


def test_the_shipped_configuration(launcher: TmuxLauncher, workspace: Path) -> None:
    launcher.start("t", WAIT, workspace)
    socket = socket_path(workspace)
    session = ["default-terminal", "history-limit", "base-index", "renumber-windows"]
    window = ["pane-base-index", "automatic-rename", "remain-on-exit"]
    shown = {name: _ask(socket, "show-options", "-gv", name) for name in session}
    shown |= {name: _ask(socket, "show-options", "-gwv", name) for name in window}
    assert shown == {
        "default-terminal": "screen-256color",
        "history-limit": "10000",
        "base-index": "1",
        "renumber-windows": "on",
        "pane-base-index": "1",
        "automatic-rename": "on",
        "remain-on-exit": "off",
    }
    assert _ask(socket, "list-panes", "-s", "-t", "=task-t", "-F", "#I.#P #{history_limit}") == "1.1 10000"


@pytest.fixture
def home(folder: Path) -> Path:
    """A home where every plug-in is installed; each writes a file when it is loaded."""
    plugins = {"tpm/tpm", "tmux-resurrect/resurrect.tmux", "tmux-continuum/continuum.tmux"}
    home = folder / "home"
    for plugin in plugins:
        path = home / ".tmux" / "plugins" / plugin
        path.parent.mkdir(parents=True)
        path.write_text(f"#!/bin/sh\n: > '{home}/loaded-{path.name}'\n")
        path.chmod(0o700)
    return home


@pytest.fixture
def ordinary(folder: Path) -> Iterator[Path]:
    """The socket of a server that is a person's own."""
    socket = folder / "default"
    yield socket
    for pid in server_pids(socket):
        os.kill(pid, signal.SIGTERM)


def _loaded(home: Path) -> set[str]:
    return {path.name.removeprefix("loaded-") for path in home.glob("loaded-*")}


def _start_ordinary(socket: Path, home: Path, bench: Bench) -> str:
    """Start a person's server with the shipped file, and give its `@continuum-restore`."""
    env = {"HOME": str(home), "PATH": os.environ["PATH"], "SHELL": "/bin/sh"}
    _ask(socket, "-f", str(CONF), "new-session", "-d", "--", *WAIT, **env)
    bench.wait_until(lambda: server_pids(socket), "the server runs")
    return _ask(socket, "show-options", "-gqv", "@continuum-restore", **env)


def test_plugins_load_on_an_ordinary_server(home: Path, ordinary: Path, bench: Bench) -> None:
    assert _start_ordinary(ordinary, home, bench) == "on"
    bench.wait_until(lambda: _loaded(home) == {"tpm"}, "the plug-in manager ran, and it alone")


def test_the_plugin_manager_finds_its_list() -> None:
    """It does not ask tmux: it reads ~/.tmux.conf with this pattern (tpm, plugin_functions.sh)."""
    listed = re.findall(r"^[ \t]*set(?:-option)? +-g +@plugin +'(\S+)'", CONF.read_text(), re.MULTILINE)
    assert listed == ["tmux-plugins/tpm", "tmux-plugins/tmux-resurrect", "tmux-plugins/tmux-continuum"]


def test_plugins_load_without_their_manager(home: Path, ordinary: Path, bench: Bench) -> None:
    (home / ".tmux/plugins/tpm/tpm").unlink()
    assert _start_ordinary(ordinary, home, bench) == "on"
    bench.wait_until(lambda: _loaded(home) == {"resurrect.tmux", "continuum.tmux"}, "both plug-ins ran")


def test_nothing_is_loaded_where_nothing_is_installed(folder: Path, ordinary: Path, bench: Bench) -> None:
    assert not _start_ordinary(ordinary, folder, bench)
    assert "@plugin" not in _ask(ordinary, "show-options", "-g")


@pytest.mark.parametrize("depth", ["", "d" * 120], ids=["in the workspace", "under /tmp"])
def test_no_plugin_ever_loads_on_our_server(
    home: Path, workspace: Path, bench: Bench, monkeypatch: pytest.MonkeyPatch, depth: str
) -> None:
    """A plug-in that restored a session would start a tool again (I2)."""
    root = workspace / depth
    root.mkdir(exist_ok=True)
    monkeypatch.setenv("HOME", str(home))
    launcher = TmuxLauncher(root, CONF)
    try:
        out, argv = bench.recorder()
        launcher.start("t", argv, root)
        assert bench.record(out)["env"]["HOME"] == str(home)
        assert _ask(socket_path(root), "show-options", "-gv", "@continuum-restore") == "off"
        assert "@plugin" not in _ask(socket_path(root), "show-options", "-g")
        # run-shell jobs are done in order: once ours has run, theirs would have
        _ask(socket_path(root), "run-shell", f": > '{home}/loaded-ours'")
        assert _loaded(home) == {"ours"}
    finally:
        bench.reap(root)
