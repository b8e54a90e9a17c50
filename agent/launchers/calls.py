"""How the multiplexers are called, two ways, each with an outer time limit; how a plain process is started.

`spawn` starts sessions, once per task: subprocess, because `sh` forks the whole (threaded) interpreter and
costs five to thirty times as much. `ask` is for the rare calls (list, end, type) and uses `sh`, with
timeout(1) around the program: `sh`'s own `_timeout` rounds every call up to 0.1 s.

All close every descriptor above 2: one that leaked into a multiplexer's server would keep its lock for
ever. None hands on the variables that belong to this process alone: a tool must not speak to our service
manager, nor take itself for a window of the terminal that the agent happened to be started from.
"""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import sh

from agent.launchers.base import LaunchError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

TIMEOUT_S: Final = 20.0
KILL_AFTER_S: Final = 1.0
TIMED_OUT: Final = (124, 137, -9)  # timeout(1): 124, or 137 when it had to kill; -9 seen from outside
ANY_STATUS: Final = tuple(range(-64, 256))  # signals too: the caller judges
NOT_HANDED_ON: Final = frozenset(
    {
        "TMUX",
        "TMUX_PANE",
        "STY",
        "WINDOW",
        "NOTIFY_SOCKET",
        "WATCHDOG_PID",
        "WATCHDOG_USEC",
        "LISTEN_FDS",
        "LISTEN_FDNAMES",
        "LISTEN_PID",
    }
)

# sh logs every command line at INFO, also between fork and exec, where a logging lock can deadlock (sh #607).
logging.getLogger("sh").setLevel(logging.CRITICAL)


@dataclass(frozen=True, slots=True)
class Answer:
    """How a call ended; `text` is what it printed, `error` what it printed on stderr."""

    code: int
    text: str
    error: str

    @property
    def said(self) -> str:
        """The first thing it had to say, for a message to a person."""
        return (self.error.strip() or self.text.strip() or f"exit status {self.code}").splitlines()[0]


def environment(**extra: str) -> dict[str, str]:
    """Copy ours without what belongs to this process alone, and add `extra`."""
    return {name: value for name, value in os.environ.items() if name not in NOT_HANDED_ON} | extra


def spawn(
    argv: Sequence[str], *, cwd: Path, env: Mapping[str, str], timeout_s: float | None = None
) -> Answer:
    """Run a program that daemonises, from `cwd`, in a session of its own.

    Raises:
        LaunchError: it is missing, `cwd` is, or it did not answer in time.
    """
    try:
        done = subprocess.run(
            argv,
            cwd=cwd,
            env=env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=timeout_s or TIMEOUT_S,
            start_new_session=True,  # a ^C in the agent's terminal is not for the server being born
            check=False,
        )
    except subprocess.TimeoutExpired as late:
        raise LaunchError(_late(argv[0], timeout_s or TIMEOUT_S)) from late
    except OSError as error:
        raise LaunchError(_not_started(argv[0], cwd, error)) from error
    return Answer(done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace"))


def detach(argv: Sequence[str], *, cwd: Path, output: int) -> subprocess.Popen[bytes]:
    """Start a program that stays, in a session of its own; it reads nothing and prints to `output`.

    Raises:
        LaunchError: it is missing, or `cwd` is.
    """
    try:
        return subprocess.Popen(
            argv,
            cwd=cwd,
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    except OSError as error:
        raise LaunchError(_not_started(argv[0], cwd, error)) from error


def ask(argv: Sequence[str], *, env: Mapping[str, str]) -> Answer:
    """Run a short command of a multiplexer and give its answer, whatever its exit status.

    Raises:
        LaunchError: the program is missing, or did not answer in time.
    """
    program, guard = shutil.which(argv[0]), shutil.which("timeout")
    if program is None or guard is None:
        what, package = ("timeout", "coreutils") if program else (argv[0], argv[0])
        raise LaunchError(f"{what} is not on PATH: install it (Debian, Ubuntu: apt install {package})")
    done = sh.Command(guard)(
        f"--kill-after={KILL_AFTER_S:g}",
        f"{TIMEOUT_S:g}",
        program,
        *argv[1:],
        _env=dict(env),
        _tty_out=False,
        _ok_code=ANY_STATUS,
        _return_cmd=True,
    )
    if done.exit_code in TIMED_OUT:
        raise LaunchError(_late(argv[0], TIMEOUT_S))
    return Answer(done.exit_code, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace"))


def missing(program: str) -> str | None:
    """Say what to install when `program` is not on PATH."""
    if shutil.which(program) is None:
        return f"{program} is not on PATH: install it (Debian, Ubuntu: apt install {program})"
    return None


def _not_started(program: str, cwd: Path, error: OSError) -> str:
    return f"cannot start {program} in {cwd}: {error.strerror}: {error.filename}; check that both exist"


def _late(program: str, limit_s: float) -> str:
    return f"{program} did not answer within {limit_s:g} s; look for a stopped {program} server (ps -o stat)"
