"""init-ai-session.sh on a real tmux."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conftest import Shell

    Until = Callable[[Callable[[], object], str], None]


def open_session(shell: Shell, tool: str = "qwen", task_id: str = "t-1", **environment: str) -> str:
    done = shell.run("init-ai-session.sh", tool, task_id, **environment)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[0]


def type_in(shell: Shell, session: str, text: str) -> None:
    shell.tmux("send-keys", "-t", f"={session}:", text, "Enter")


def test_the_session_is_named_logged_and_attachable(shell: Shell, until: Until) -> None:
    """What the pane shows is appended to logs/TOOL-ID.log, and the way to attach is printed."""
    log = shell.workspace / "logs/qwen-t-1.log"
    log.write_text("earlier\n")
    done = shell.run("init-ai-session.sh", "qwen", "t-1")
    session, attach, _ = done.stdout.splitlines()
    assert re.fullmatch(r"ai-work-\d{8}-\d{6}", session)
    assert attach == f"attach: tmux attach -t ={session}"
    assert session in shell.tmux("list-sessions", "-F", "#{session_name}").splitlines()
    type_in(shell, session, "echo $((6*7)) in $(pwd)")
    until(lambda: f"42 in {shell.workspace}" in log.read_text("utf-8", "replace"), "the log has it")
    assert log.read_text("utf-8", "replace").startswith("earlier\n")


def test_an_awkward_path_is_no_trouble(shell: Shell, until: Until) -> None:
    """In a path # and % mean something to tmux, and a shell reads the pipe: the log is written anyway."""
    place = shell.home / "it's a #{x} %H $HOME ws"
    assert shell.run("setup-ai-protocol.sh", AISPOOL_WORKSPACE=str(place)).returncode == 0
    session = open_session(shell, AISPOOL_WORKSPACE=str(place))
    type_in(shell, session, "echo $((6*7))")
    until(lambda: "42" in (place / "logs/qwen-t-1.log").read_text("utf-8", "replace"), "the log has it")


def test_the_environment_is_data(shell: Shell, until: Until) -> None:
    """Values are taken as they stand: nothing in them is run, and they are in no command line."""
    secret = "a b $(touch owned) `touch owned` \\ 'x' #1"
    file = shell.workspace / "configs/env/qwen.env"
    file.write_text(f"# keys\n\nexport KEY_ONE={secret}\nKEY_TWO=\"two words\"\n  GEMINI_KEY='g'\r\nLAST=1")
    file.chmod(0o600)
    (shell.home / "qwen-env/bin").mkdir(parents=True)
    session = open_session(shell)
    out = shell.workspace / "seen"
    type_in(shell, session, f"env > {out}.part; mv {out}.part {out}")
    until(out.exists, "the shell wrote its environment")
    seen = dict(line.split("=", 1) for line in out.read_text().splitlines() if "=" in line)
    assert (seen["KEY_ONE"], seen["KEY_TWO"], seen["LAST"]) == (secret, "two words", "1")
    assert seen["GEMINI_API_KEY"] == "g"
    assert seen["VIRTUAL_ENV"] == f"{shell.home}/qwen-env"
    assert seen["PATH"].startswith(f"{shell.home}/qwen-env/bin:")
    assert (seen["AISPOOL_TASK_ID"], seen["AISPOOL_TOOL"]) == ("t-1", "qwen")
    assert not (shell.workspace / "owned").exists()


@pytest.mark.parametrize(
    ("content", "mode", "said"),
    [
        ("KEY=1\n", 0o644, "chmod 600"),
        ("no assignment\n", 0o600, "line 1: write KEY=VALUE"),
        ("2X=1\n", 0o600, "line 1: write KEY=VALUE"),
    ],
)
def test_a_bad_environment_file_opens_nothing(shell: Shell, content: str, mode: int, said: str) -> None:
    """One that others can read, or that is not KEY=VALUE, is refused before a session exists."""
    file: Path = shell.workspace / "configs/env/qwen.env"
    file.write_text(content)
    file.chmod(mode)
    done = shell.run("init-ai-session.sh", "qwen", "t-1")
    assert done.returncode == 1
    assert said in done.stderr
    assert shell.tmux("list-sessions") == ""


@pytest.mark.parametrize("bad", ["", "-x", "../up", "a b", "a;b", "$(id)", "x" * 101, "a\nb"])
def test_names_are_checked(shell: Shell, bad: str) -> None:
    """Neither a tool nor an id can name a path, an option or a command."""
    for arguments in ((bad, "t-1"), ("qwen", bad)):
        assert shell.run("init-ai-session.sh", *arguments).returncode == 2
    assert shell.tmux("list-sessions") == ""
    assert list((shell.workspace / "logs").iterdir()) == []


def test_two_in_one_second_get_two_names(shell: Shell) -> None:
    """The second waits for the next second's name."""
    processes = [shell.start("init-ai-session.sh", "qwen", f"t-{number}") for number in range(3)]
    names = {process.communicate(timeout=60)[0].splitlines()[0] for process in processes}
    assert len(names) == 3
    assert names == set(shell.tmux("list-sessions", "-F", "#{session_name}").splitlines())
