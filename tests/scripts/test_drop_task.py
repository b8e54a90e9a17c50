"""drop-task.sh: whole or not there, and never instead of another."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Shell

SCRIPTS = Path(__file__).parents[2] / "scripts"
TASK = '{"tool": "shell", "command": "true"}\n'


def visible(shell: Shell) -> list[str]:
    return sorted(name for name in os.listdir(shell.workspace / "tasks") if name != "held")


@pytest.fixture
def task(tmp_path: Path) -> Path:
    path = tmp_path / "night ly.json"
    path.write_text(TASK)
    return path


def test_the_bytes_arrive_unchanged_and_private(shell: Shell, task: Path) -> None:
    """The name is printed, the mode is 0600, and no temporary file stays."""
    done = shell.run("drop-task.sh", task)
    assert (done.returncode, done.stdout, done.stderr) == (0, "night ly.json\n", "")
    dropped = shell.workspace / "tasks/night ly.json"
    assert dropped.read_text() == TASK
    assert dropped.stat().st_mode & 0o777 == 0o600
    assert visible(shell) == ["night ly.json"]


@pytest.mark.parametrize(
    "name", ["plain", "with.json", "zwölf Aufgaben", 'quote\'s "here" $HOME `x`', "-dash"]
)
def test_any_visible_name_will_do(shell: Shell, name: str) -> None:
    """Spaces, quotes and signs that mean something to a shell are only letters in a name."""
    done = shell.run("drop-task.sh", "-", name, given=TASK)
    expected = name.removesuffix(".json") + ".json"
    assert (done.returncode, done.stdout) == (0, expected + "\n")
    assert visible(shell) == [expected]


@pytest.mark.parametrize("name", ["../out", "a/b", ".hidden", "two\nlines", "x" * 201])
def test_other_names_are_refused(shell: Shell, name: str) -> None:
    """A name that leaves the folder, hides, or breaks a listing drops nothing."""
    done = shell.run("drop-task.sh", "-", name, given=TASK)
    assert done.returncode == 2
    assert "NAME" in done.stderr
    assert visible(shell) == []


def test_twenty_at_once_under_one_name_lose_nothing(shell: Shell) -> None:
    """Each gets a name of its own and prints it."""
    processes = [shell.start("drop-task.sh", "-", "same") for _ in range(20)]
    printed = set()
    for number, process in enumerate(processes):
        output, errors = process.communicate(TASK + f"{number}\n", timeout=60)
        assert (process.returncode, errors) == (0, "")
        printed.add(output.strip())
    assert sorted(printed) == visible(shell)
    contents = {(shell.workspace / "tasks" / name).read_text() for name in printed}
    assert contents == {TASK + f"{number}\n" for number in range(20)}


def test_files_travel_under_the_same_stem(shell: Shell, task: Path, tmp_path: Path) -> None:
    """NAME.files is there before NAME.json, and a second drop gets both under a new name."""
    inputs = tmp_path / "in put"
    (inputs / "deep").mkdir(parents=True)
    (inputs / "deep/a.txt").write_text("a")
    names = [shell.run("drop-task.sh", "--files", inputs, task).stdout.strip() for _ in range(2)]
    assert names[0] == "night ly.json" != names[1]
    for name in names:
        files = shell.workspace / "tasks" / f"{name.removesuffix('.json')}.files"
        assert (files / "deep/a.txt").read_text() == "a"
    assert len(visible(shell)) == 4


def test_a_connection_that_broke_drops_nothing(shell: Shell) -> None:
    """--bytes tells the rest is missing, though the part may even be valid."""
    done = shell.run("drop-task.sh", "--bytes", str(len(TASK) + 1), "-", "cut", given=TASK)
    assert done.returncode == 1
    assert f"of {len(TASK) + 1} bytes arrived" in done.stderr
    assert visible(shell) == []
    assert shell.run("drop-task.sh", "--bytes", str(len(TASK)), "-", "all", given=TASK).returncode == 0


def test_nothing_is_visible_before_it_is_whole(shell: Shell, until: Callable[..., None]) -> None:
    """While the task still arrives there is a dotfile only, and killing the writer leaves it at that."""
    process = shell.start("drop-task.sh", "-", "slow")
    assert process.stdin is not None
    process.stdin.write(TASK[:10])
    process.stdin.flush()
    tasks = shell.workspace / "tasks"
    until(lambda: any(path.stat().st_size for path in tasks.glob(".drop-*")), "the first bytes arrive")
    assert [name for name in visible(shell) if not name.startswith(".")] == []
    process.kill()
    process.communicate()
    assert [name for name in visible(shell) if not name.startswith(".")] == []


@pytest.mark.parametrize(("content", "said"), [("", "is empty"), (None, "no such file")])
def test_a_file_that_is_no_task_is_named(
    shell: Shell, tmp_path: Path, content: str | None, said: str
) -> None:
    """An empty or missing file is refused before anything is there."""
    path = tmp_path / "task.json"
    if content is not None:
        path.write_text(content)
    done = shell.run("drop-task.sh", path)
    assert done.returncode == 1
    assert said in done.stderr
    assert visible(shell) == []


def test_a_read_only_folder_is_said_so(shell: Shell, task: Path) -> None:
    """One clear line, exit 1, and nothing there."""
    tasks = shell.workspace / "tasks"
    if os.geteuid() == 0:  # to root a mode means nothing, so somebody else tries
        for folder in (tasks, *list(tasks.parents)[:3]):
            folder.chmod(0o755)
        done = subprocess.run(
            [SCRIPTS / "drop-task.sh", "-"],
            env=shell.environment,
            input=TASK,
            capture_output=True,
            text=True,
            check=False,
            user=65534,
            group=65534,
            extra_groups=[],
        )
    else:
        tasks.chmod(0o500)
        done = shell.run("drop-task.sh", task)
    tasks.chmod(0o700)
    assert done.returncode == 1
    assert (
        done.stderr == f"drop-task.sh: cannot write in {tasks}: is it yours, is the disk full or read-only?\n"
    )
    assert visible(shell) == []
