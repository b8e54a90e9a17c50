"""`aispool top` as people use it: a shell in tmux, 80 by 24, a real agent, real sessions."""

from __future__ import annotations

import json
import os
import signal
import sys
from typing import TYPE_CHECKING

import pytest
from top_screen import until

from agent.cli import main

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conftest import Tasks
    from top_screen import Screen

    from spool.workspace import Workspace

COUNT = 'i=0; while :; do i=$((i+1)); printf "\\033[32mline %d\\033[0m\\n" $i; sleep 0.2; done'
ASK = """
echo "may I go on?" >"$AISPOOL_WAITING"
until [ -n "$(ls "$AISPOOL_ANSWERS")" ]; do sleep 0.05; done
rm "$AISPOOL_WAITING"
echo "got: $(cat "$AISPOOL_ANSWERS"/*)"
"""


def drop(workspace: Workspace, task_id: str, command: str, **fields: object) -> None:
    task = {"task_id": task_id, "tool": "shell", "command": command, **fields}
    part = workspace.tasks / f".{task_id}.part"
    part.write_text(json.dumps(task))
    part.rename(workspace.tasks / f"{task_id}.json")


def top_pid(screen: Screen) -> int:
    """Return the process that draws: the shell's child."""
    shell = int(screen.asked("pane_pid"))
    children = f"/proc/{shell}/task/{shell}/children"
    with open(children, encoding="ascii") as file:  # noqa: PTH123 - /proc
        return int(file.read().split()[0])


def test_a_day_with_it(living: Workspace, screens: Callable[..., Screen]) -> None:
    """A task is watched in colour and attached to; one that asks is answered; the first is cancelled."""
    screen = screens()
    screen.run(living.root)
    screen.shows("nothing here")
    drop(living, "counter", COUNT)
    screen.shows("counter", "running", "line 3")
    assert "\x1b[32mline" in screen.coloured
    screen.press("a")
    until(lambda: screen.asked("alternate_on") == "1" and "aispool  " not in screen.text, "it is attached")
    screen.shows("line ")
    screen.press("C-b", "d")
    screen.shows("counter: back from its session")
    drop(living, "asker", ASK)
    screen.shows("asks: may I go on?", "1 asks", "1 running")
    screen.press("Home", "w")
    screen.shows("asker asks", "may I go on?", "Enter  send it")
    screen.type("yes")
    screen.press("Enter")
    screen.shows("asker: answered with 001.txt")
    screen.shows("succeeded", "1 over")
    screen.press("Home", "c")
    screen.shows("Cancel counter? It is running.")
    screen.press("y")
    screen.shows("cancelled", "2 over")
    screen.press("/")
    screen.shows("Enter keep it")
    screen.type("asker")
    screen.press("Enter")
    screen.shows("got: yes", "log of asker: succeeded")
    screen.press("q")
    screen.shows("left with 0")
    assert screen.is_clean


def test_a_task_that_ends_while_one_is_attached(living: Workspace, screens: Callable[..., Screen]) -> None:
    """Its end gives the terminal back to the list."""
    screen = screens()
    drop(living, "short", "while :; do echo tick; sleep 0.2; done")
    screen.run(living.root)
    screen.shows("running", "tick")
    screen.press("a")
    until(lambda: "aispool  " not in screen.text, "it is attached")
    screen.shows("tick")
    (living.sessions / "short" / "cancel").touch()
    screen.shows("short: back from its session")
    screen.press("q")
    screen.shows("left with 0")
    assert screen.is_clean


@pytest.mark.parametrize(
    ("width", "height", "environment"),
    [
        (80, 24, {"TERM": "xterm", "NO_COLOR": "1"}),
        (80, 24, {"TERM": "linux"}),
        (80, 24, {"TERM": "screen", "LANG": "C", "LC_ALL": "C"}),
        (80, 24, {"TERM": "vt100"}),
        (44, 14, {}),
        (160, 50, {}),
    ],
)
def test_any_terminal_will_do(
    width: int,
    height: int,
    environment: dict[str, str],
    workspace: Workspace,
    tasks: Tasks,
    screens: Callable[..., Screen],
) -> None:
    """Old kinds, no colours, no UTF-8 locale, narrow and wide; the terminal is left as it was."""
    tasks.is_over("done", log=b"\x1b[31mred\x1b[0m\n")
    screen = screens(width, height, **environment)
    screen.run(workspace.root)
    screen.shows("done", "succeeded", "red")
    if "NO_COLOR" in environment:
        assert not any(f"\x1b[{code}m" in screen.coloured for code in (31, 32, 36))
    screen.press("/")
    screen.shows("Enter keep it")
    screen.type("nothing")
    screen.shows("nothing like this")
    screen.press("Escape")
    screen.shows("done")
    screen.tmux("resize-window", "-t", "person", "-x", "70", "-y", "20")
    screen.shows("done", "q leave")
    screen.press("C-c")
    screen.shows("left with 0")
    assert screen.is_clean


def test_hostile_tasks_steer_nothing(
    workspace: Workspace, tasks: Tasks, screens: Callable[..., Screen]
) -> None:
    """Names, reasons and logs with escape sequences: the title stays, the screen stays, it is text."""
    evil = "\x1b]0;owned\x07\x1b]2;owned\x1b\\\x1b[2J\x1b[?1049l\x1b[?1000h\x1b[6n\x1bc\x9b2J\u202e"
    (workspace.tasks / f"{evil.replace('/', '')}name.json").write_text("{}")
    tasks.is_over(
        "t", reason=f"{evil}reason [b]x", tool="[red]tool", log=f"{evil}log \x1b[7mshown\x1b[0m\n".encode()
    )
    screen = screens()
    title = screen.title
    screen.run(workspace.root)
    screen.shows("\nt ", "\\x1b]0;owned")
    screen.press("End")
    screen.shows("log shown")
    screen.press("Enter")
    screen.shows("[b]x", "lies in")
    screen.press("Escape")
    screen.shows("log shown")
    screen.press("r")
    screen.shows("Run t again?")
    screen.press("n")
    screen.shows("aispool", "log shown", "? help")
    assert screen.title == title
    assert screen.asked("mouse_any_flag,alternate_on") == "0,1"
    screen.press("q")
    screen.shows("left with 0")
    assert screen.is_clean


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_leaves_the_terminal_clean(
    number: int, code: int, workspace: Workspace, tasks: Tasks, screens: Callable[..., Screen]
) -> None:
    """Told to end, it ends, and the shell works as before."""
    tasks.is_over("done")
    screen = screens()
    screen.run(workspace.root)
    screen.shows("done")
    os.kill(top_pid(screen), number)
    screen.shows(f"left with {code}")
    assert screen.is_clean


def test_a_signal_ends_it_while_another_program_has_the_terminal(
    living: Workspace, screens: Callable[..., Screen]
) -> None:
    """Attached, and told to end: the session goes on, the terminal is a shell's again."""
    screen = screens()
    drop(living, "counter", COUNT)
    screen.run(living.root)
    screen.shows("running", "line 3")
    screen.press("a")
    until(lambda: "aispool  " not in screen.text, "it is attached")
    screen.shows("line ")
    os.kill(top_pid(screen), signal.SIGTERM)
    screen.shows("left with 143")
    assert screen.is_clean
    assert (living.sessions / "counter").is_dir()


def test_a_crash_leaves_the_terminal_clean(
    workspace: Workspace, tasks: Tasks, screens: Callable[..., Screen], tmp_path: Path
) -> None:
    """A bug of ours is told in words behind a terminal that works."""
    tasks.is_over("done")
    script = tmp_path / "crash.py"
    script.write_text(
        "import sys\n"
        "from agent.cli import main\n"
        "from agent.top import app\n"
        "app.TopApp.action_log = lambda self: 1 / 0\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    screen = screens(100, 50)
    screen.type(f"clear; {sys.executable} {script} -w {workspace.root} top; echo left with $?")
    screen.press("Enter")
    screen.shows("done", "q leave")
    screen.press("l")
    seen = screen.shows("left with 3")
    assert "ZeroDivisionError" in seen
    assert "this is a bug in aispool" in seen
    assert screen.is_clean
    screen.type("echo it works")
    screen.press("Enter")
    screen.shows("\nit works")


def test_a_terminal_that_is_gone_ends_it(
    workspace: Workspace, tasks: Tasks, screens: Callable[..., Screen]
) -> None:
    """The connection dies: nothing of it stays behind, even where nobody sends it a signal."""
    tasks.is_over("done")
    screen = screens()
    words = " ".join([sys.executable, "-m", "agent", "-w", str(workspace.root), "top"])
    screen.type(f"clear; setsid -c {words}")
    screen.press("Enter")
    screen.shows("done")
    pid = int(screen.asked("pane_pid"))
    [top] = [int(p) for p in os.listdir("/proc") if p.isdigit() and _is_top(p, str(workspace.root))]
    os.kill(pid, signal.SIGKILL)
    until(lambda: not os.path.exists(f"/proc/{top}"), "it ends")  # noqa: PTH110
    screen.has_ended = True


def _is_top(process: str, root: str) -> bool:
    try:
        with open(f"/proc/{process}/cmdline", "rb") as file:  # noqa: PTH123 - /proc
            words = file.read().split(b"\0")
    except OSError:
        return False
    return words[-2:-1] == [b"top"] and root.encode() in words


def test_without_a_terminal_it_says_so(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    """Piped or from cron: a sentence, and what to use instead."""
    assert main(["-w", str(workspace.root), "top"]) == 1
    said = capsys.readouterr().err
    assert "is not a terminal" in said
    assert "aispool ls" in said


def test_a_dumb_terminal_and_a_wrong_host(workspace: Workspace, screens: Callable[..., Screen]) -> None:
    """What cannot be drawn on, and who is not there."""
    screen = screens(200)
    screen.type("export TERM=dumb")
    screen.press("Enter")
    screen.run(workspace.root)
    screen.shows("left with 1", "TERM names no terminal")
    screen.type("export TERM=xterm")
    screen.press("Enter")
    screen.run(workspace.root, "--host", "nobody")
    screen.shows("there is no host nobody", "left with 1")


def test_without_the_extra_it_says_so(workspace: Workspace, screens: Callable[..., Screen]) -> None:
    """The package without Textual: how to add it."""
    screen = screens(200)
    blocked = (
        "import sys; sys.modules['textual'] = None; from agent.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    screen.type(f'clear; {sys.executable} -c "{blocked}" -w {workspace.root} top; echo left with $?')
    screen.press("Enter")
    screen.shows('pip install "aispool[top]"', "left with 1")
