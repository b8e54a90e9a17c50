"""Sessions in GNU screen, in a socket folder of the workspace's own.

Each session is a process of its own, with a socket PID.NAME in SCREENDIR. screen matches names by prefix and
takes any number of sessions of one name, so a session is always addressed by the full PID.NAME that
`screen -ls` shows, and looking and starting happen under a file lock.

Names are cut to 40 bytes, with a hash in place of the rest, so that SCREENDIR/PID.NAME fits a socket's 107.

`screen -dm` returns before the new session has its socket, and a session may be over before anybody sees it.
So the session makes an empty file before it becomes `argv`, and starting waits for that file.

Facts borrowed from screen 4.9: `-ls` has no meaningful exit status; SCREENDIR must have mode 0700 and its
dotfiles are no sessions.
"""

from __future__ import annotations

import os
import re
import shlex
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from agent.launchers.base import Immediate, LaunchError, SessionExists
from agent.launchers.calls import Answer, ask, environment, missing, spawn
from agent.launchers.place import alone, beside_or, private_folder, short_hash

if TYPE_CHECKING:
    from collections.abc import Sequence

FOLDER_LIMIT_BYTES: Final = 56
NAME_LIMIT_BYTES: Final = 40
START_S: Final = 10.0
GONE_S: Final = 5.0
SESSION: Final = re.compile(r"^\t(?P<full>\d+\.(?P<name>\S+))\t.*\((?!Dead)[^()]*\)\s*$", re.MULTILINE)
MARK_AND_RUN: Final = 'true 2>/dev/null >"$0"; exec "$@"'
SCREENRC: Final = """\
# Written by aispool for its own sessions.
startup_message off
defutf8 on
defscrollback 10000
logfile flush 0
"""


def screen_folder(workspace: Path) -> Path:
    """Give the SCREENDIR of the workspace."""
    workspace = workspace.resolve()
    fallback = Path(f"/tmp/aispool-screen-{os.getuid()}-{short_hash(str(workspace))}")  # noqa: S108 - checked
    return beside_or(workspace, ".aispool.screen", fallback, FOLDER_LIMIT_BYTES)


class ScreenLauncher(Immediate):
    """Sessions `task-ID` of GNU screen, in the workspace's own SCREENDIR."""

    name: Final = "screen"

    def __init__(self, workspace: Path) -> None:
        self._folder = screen_folder(workspace)
        self._rc = self._folder / ".screenrc"

    def available(self) -> str | None:
        """Say what to install, in a sentence; None when nothing is missing."""
        return missing("screen")

    def session_name(self, task_id: str) -> str:
        """Name the session of a task; `~` is in no id, so a cut name is never another's full one."""
        name = f"task-{task_id}"
        if len(name) <= NAME_LIMIT_BYTES:
            return name
        return f"{name[: NAME_LIMIT_BYTES - 17]}~{short_hash(task_id)}"

    def start(self, task_id: str, argv: Sequence[str], cwd: Path) -> None:
        """Run `argv` in a new detached session, which is a daemon of its own."""
        name = self.session_name(task_id)
        private_folder(self._folder)
        with alone(self._folder / ".lock"):
            if self._find(name):
                raise SessionExists(
                    f"screen has a session {name} already; attach: {shlex.join(self.attach_command(task_id))}"
                )
            mark = self._folder / f".started-{name}"
            self._prepare(mark)
            words = ["/bin/sh", "-c", MARK_AND_RUN, str(mark), *argv]
            answer = spawn(
                ["screen", "-c", str(self._rc), "-dmS", name, *words], cwd=cwd, env=self._environment()
            )
            self._expect(answer, f"start session {name}")
            self._wait_for(mark, name)

    def attach_command(self, task_id: str) -> list[str]:
        """Give the words that attach; a session that is not there yet is named without its pid."""
        name = self.session_name(task_id)
        full = next(iter(self._find(name)), name)
        return ["env", f"SCREENDIR={self._folder}", "screen", "-U", "-x", full]

    def sessions(self) -> set[str]:
        """List the names of all sessions in SCREENDIR."""
        return {name for _, name in self._list()}

    def exists(self, task_id: str) -> bool:
        """Say whether the task has a session."""
        return self.session_name(task_id) in self.sessions()

    def end(self, task_id: str) -> None:
        """Tell the session to quit, and wait until it is gone."""
        name = self.session_name(task_id)
        deadline = time.monotonic() + GONE_S
        for full in self._find(name):
            self._ask("-S", full, "-X", "quit")
        while self._find(name):
            if time.monotonic() > deadline:
                raise LaunchError(
                    f"screen session {name} in {self._folder} does not quit; kill the pid in its name"
                )
            time.sleep(0.005)

    def _prepare(self, mark: Path) -> None:
        try:
            self._rc.write_text(SCREENRC)
            mark.unlink(missing_ok=True)  # of a start whose starter died
        except OSError as error:
            message = (
                f"cannot write in {self._folder}: {error.strerror}; make it writable and free some space"
            )
            raise LaunchError(message) from error

    def _wait_for(self, mark: Path, name: str) -> None:
        deadline = time.monotonic() + START_S
        while not mark.exists():
            if time.monotonic() > deadline:
                if self._find(name):  # it runs, on a disk too full for the mark
                    return
                raise LaunchError(
                    f"screen started no session {name} in {self._folder}; try by hand: screen -dm true"
                )
            time.sleep(0.002)
        mark.unlink()

    def _list(self) -> list[tuple[str, str]]:
        if not self._folder.exists():
            return []
        return [(match["full"], match["name"]) for match in SESSION.finditer(self._ask("-ls").text)]

    def _find(self, name: str) -> list[str]:
        return [full for full, found in self._list() if found == name]

    def _environment(self) -> dict[str, str]:
        return environment(SCREENDIR=str(self._folder))

    def _ask(self, *command: str) -> Answer:
        return ask(["screen", *command], env=self._environment() | {"LC_ALL": "C"})

    def _expect(self, answer: Answer, doing: str) -> None:
        if answer.code:
            raise LaunchError(
                f"screen could not {doing} in {self._folder}: {answer.said}; "
                f"try: SCREENDIR={self._folder} screen -ls"
            )
