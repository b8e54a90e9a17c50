"""Sessions in tmux, on a server of the workspace's own.

One socket per workspace keeps a person's own tmux, its plug-ins and its `kill-server` apart from the tasks.
Starting is one call of `tmux new-session`, which daemonises the server when it is the first and refuses a
second session of the same name. The working directory is the caller's: `-c` would expand `#` in it.

A cleaner of /tmp may remove the socket of a living server. The next session would then start a second server
and lose sight of every session of the first. So when the socket is missing, the server is looked for among
our own processes, and SIGUSR1 makes it bind the socket again (tmux(1)).

Facts borrowed from tmux 3.3a: `.` and `:` in names become `_`; `-t name` matches prefixes, `-t =name` does
not; a trailing `;` of an argument separates commands; one word of command goes to a shell, several do not.
"""

from __future__ import annotations

import os
import re
import shlex
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from agent.launchers.base import Immediate, LaunchError, SessionExists
from agent.launchers.calls import Answer, ask, environment, missing, spawn
from agent.launchers.forked import Fork, Starter
from agent.launchers.place import alone, beside_or, private_folder, short_hash
from agent.launchers.servers import server_pids
from agent.launchers.wrappers import NotReadyError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from agent.launchers.base import Start

NAME: Final = ".aispool.tmux"
SOCKET_LIMIT_BYTES: Final = 100
REVIVAL_S: Final = 5.0
STARTER_AGAIN_S: Final = 30.0
"""After how long another starter is tried where one could not be made."""
TRIES: Final = 5
DUPLICATE: Final = "duplicate session"
NO_SERVER: Final = re.compile(
    r"no server running on|error connecting to .*\(No such file or directory\)|server exited|lost server",
    re.DOTALL,
)


def socket_path(workspace: Path) -> Path:
    """Give the socket of the workspace's tmux server."""
    workspace = workspace.resolve()
    fallback = Path(f"/tmp/tmux-{os.getuid()}") / f"aispool-{short_hash(str(workspace))}"  # noqa: S108 - checked
    return beside_or(workspace, NAME, fallback, SOCKET_LIMIT_BYTES)


class TmuxLauncher(Immediate):
    """Sessions `task-ID` on the workspace's own tmux server."""

    name: Final = "tmux"

    def __init__(self, workspace: Path, conf: Path | None = None) -> None:
        configured = workspace / "configs" / "tmux.conf"
        self._socket = socket_path(workspace)
        self._lock = self._socket.with_name(f"{self._socket.name}.start")  # tmux itself uses .lock
        self._conf = conf or (configured if configured.is_file() else Path(os.devnull))
        self._workspace = workspace
        self._starter: Starter | None = None
        self._starter_at_s = 0.0

    def available(self) -> str | None:
        """Say what to install, in a sentence; None when nothing is missing."""
        return missing("tmux")

    def session_name(self, task_id: str) -> str:
        """Name the session of a task: `~` is in no id, so it stands for the dot that tmux would replace."""
        return "task-" + task_id.replace(".", "~")

    def start(self, task_id: str, argv: Sequence[str], cwd: Path) -> None:
        """Run `argv` in a new detached session; the first one starts the server.

        A server that ends while it takes a session may have run it, which nobody can tell: then `argv` runs
        again. The wrapper that we start refuses its second run.
        """
        name = self.session_name(task_id)
        self._make_place()
        with alone(self._lock):
            self._revive_server()
            answer = self._new_session(name, argv, cwd)
        self._expect_session(answer, task_id)

    def start_all(self, starts: Sequence[Start]) -> dict[str, LaunchError]:
        """Start them; those whose wrapper may be forked together, the others one by one."""
        forks = {start.task_id: start.attempt for start in starts if start.attempt is not None}
        try:
            errors = self._fork_all(forks) if forks else {}
        except NotReadyError:
            forks, errors = {}, {}
        return errors | super().start_all([start for start in starts if start.task_id not in forks])

    def warm_up(self) -> None:
        """Start the process that forks wrappers, unless there is one."""
        if self._starter is not None or time.monotonic() < self._starter_at_s:
            return
        self._make_place()
        try:
            with alone(self._lock):
                self._revive_server()
                self._starter = Starter(self._tmux("-f", str(self._conf)), self._workspace)
        except LaunchError:
            self._starter_at_s = time.monotonic() + STARTER_AGAIN_S  # until then each is started by itself

    def _fork_all(self, forks: Mapping[str, Path]) -> dict[str, LaunchError]:
        """Start sessions whose wrappers are forked.

        Raises:
            NotReadyError: nothing was started.
        """
        self.warm_up()
        if self._starter is None:
            raise NotReadyError("there is no starter")
        self._find_server()
        wanted = [Fork(self.session_name(task_id), attempt) for task_id, attempt in forks.items()]
        try:
            answers = self._starter.start_all(wanted)
        except NotReadyError:
            if not self._starter.has_begun:
                self._starter_at_s = time.monotonic() + STARTER_AGAIN_S
            self.close()
            raise
        except LaunchError as error:
            self.close()
            return dict.fromkeys(forks, error)  # what did start is found running when it is tried again
        errors: dict[str, LaunchError] = {}
        for task_id, answer in zip(forks, answers, strict=True):
            try:
                self._expect_session(answer, task_id)
            except LaunchError as error:
                errors[task_id] = error
        return errors

    def close(self) -> None:
        """End the process that forks wrappers; what runs goes on, and the next start makes another."""
        if self._starter is not None:
            self._starter.close()
            self._starter = None

    def _expect_session(self, answer: Answer, task_id: str) -> None:
        name = self.session_name(task_id)
        if answer.error.startswith(DUPLICATE):
            raise SessionExists(
                f"tmux has a session {name} already; attach: {shlex.join(self.attach_command(task_id))}"
            )
        self._expect(answer, f"start session {name}")

    def _new_session(self, name: str, argv: Sequence[str], cwd: Path) -> Answer:
        command = [*self._tmux("-f", str(self._conf)), "new-session", "-d", "-s", name, "--", *_words(argv)]
        answer = spawn(command, cwd=cwd, env=environment())
        for _ in range(TRIES):
            if not _no_server(answer):
                break
            # the server left with its last session while we came: the next call starts a new one
            answer = spawn(command, cwd=cwd, env=environment())
            if answer.error.startswith(DUPLICATE):
                return Answer(0, "", "")  # ours: we are alone, and what was there before left with its server
        return answer

    def attach_command(self, task_id: str) -> list[str]:
        """Give the words that attach; `-t=NAME` in one, because zsh expands a word that starts with `=`."""
        return ["tmux", "-u", "-S", str(self._socket), "attach-session", f"-t={self.session_name(task_id)}"]

    def sessions(self) -> set[str]:
        """List all sessions of the server; none when no server runs."""
        answer = self._ask("list-sessions", "-F", "#{session_name}")
        if _no_server(answer):
            return set()
        self._expect(answer, "list sessions")
        return set(answer.text.splitlines())

    def exists(self, task_id: str) -> bool:
        """Say whether the task has a session."""
        return self.session_name(task_id) in self.sessions()

    def end(self, task_id: str) -> None:
        """Kill the session; tmux sends SIGHUP to what runs in it."""
        answer = self._ask("kill-session", "-t", f"={self.session_name(task_id)}")
        if not (_no_server(answer) or answer.error.startswith("can't find session")):
            self._expect(answer, "end a session")

    def _tmux(self, *options: str) -> list[str]:
        return ["tmux", "-u", "-S", str(self._socket), *options]

    def _ask(self, *command: str) -> Answer:
        self._find_server()
        return ask([*self._tmux(), *command], env=environment())

    def _expect(self, answer: Answer, doing: str) -> None:
        if answer.code:
            message = (
                f"tmux could not {doing} on {self._socket}: {answer.said}; try: tmux -S {self._socket} ls"
            )
            raise LaunchError(message)

    def _make_place(self) -> None:
        if self._socket.name != NAME:
            private_folder(self._socket.parent)

    def _find_server(self) -> None:
        if not self._socket.exists() and server_pids(self._socket):
            self._make_place()
            with alone(self._lock):
                self._revive_server()

    def _revive_server(self) -> None:
        """Make a living server bind its socket again when a cleaner removed it."""
        if self._socket.exists() or not (servers := server_pids(self._socket)):
            return
        os.kill(servers[0], signal.SIGUSR1)
        deadline = time.monotonic() + REVIVAL_S
        while not self._socket.exists():
            if time.monotonic() > deadline:
                message = (
                    f"the tmux server {servers[0]} lives but its socket {self._socket} is gone and does not "
                    f"come back; end that server when its sessions are over: kill {servers[0]}"
                )
                raise LaunchError(message)
            time.sleep(0.005)


def _no_server(answer: Answer) -> bool:
    return answer.code != 0 and NO_SERVER.match(answer.error) is not None


def _words(argv: Sequence[str]) -> list[str]:
    """Escape for tmux's parser; a lone word is wrapped, because tmux would hand it to a shell as code."""
    words = list(argv) if len(argv) > 1 else ["/bin/sh", "-c", 'exec "$0"', *argv]
    return [_literal(word) for word in words]


def _literal(word: str) -> str:
    return word[:-1] + "\\;" if word.endswith(";") else word
