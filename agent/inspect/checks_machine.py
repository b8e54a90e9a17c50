"""Checks of the machine: Python, the multiplexers, the clock, and what starts the agent after a reboot."""

from __future__ import annotations

import os
import pwd
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from agent.cluster import CLUSTER, NO_TERMINAL
from agent.config import load_or_defaults
from agent.inspect.finding import Finding, note, ok, problem
from agent.launchers import LAUNCHERS, LaunchError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spool.workspace import Workspace

OLDEST_PYTHON: Final = (3, 11)
OLDEST_TMUX: Final = (3, 0)
YEAR_OF_THIS_VERSION: Final = 2024
TIMEOUT_S: Final = 10.0
SYSTEMD: Final = Path("/run/systemd/system")
LINGER: Final = Path("/var/lib/systemd/linger")
UNITS: Final = ("aispool-tmux.service", "aispool-agent.service")


def python() -> Iterator[Finding]:
    """Look at the interpreter that runs us."""
    text = ".".join(str(part) for part in sys.version_info[:3])
    if sys.version_info[:2] < OLDEST_PYTHON:
        yield problem("python", f"{text} is too old", "install Python 3.11 or newer")
    else:
        yield ok("python", f"{text}, {sys.executable}")


def programs() -> Iterator[Finding]:
    """Look for the multiplexers."""
    tmux = _said("tmux", "-V")
    version = re.search(r"(\d+)\.(\d+)", tmux or "")
    if tmux is None:
        yield problem("tmux", "it is not installed", "apt install tmux, or set launcher = 'screen'")
    elif version and (int(version[1]), int(version[2])) < OLDEST_TMUX:
        yield problem("tmux", f"{tmux} is too old", "install tmux 3.0 or newer")
    else:
        yield ok("tmux", tmux)
    # screen exits with 1 after printing its version
    screen = _said("screen", "-v")
    if screen is None:
        yield note("screen", "it is not installed", "apt install screen, if a task is to use it")
    else:
        yield ok("screen", screen)


def clock() -> Iterator[Finding]:
    """Look at the wall clock: schedules and retention go by it."""
    year = time.gmtime().tm_year
    if year < YEAR_OF_THIS_VERSION:
        yield problem("clock", f"it says {year}", "set it: timedatectl set-ntp true")
        return
    synchronised = _said("timedatectl", "show", "--property=NTPSynchronized", "--value")
    if synchronised == "no":
        yield note("clock", "no time server sets it", "timedatectl set-ntp true")
    else:
        yield ok("clock", time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()))


def service(workspace: Workspace) -> Iterator[Finding]:
    """Look at what starts the agent after a reboot."""
    config = load_or_defaults(workspace)[0]
    launcher = config.launcher
    if launcher not in {CLUSTER, NO_TERMINAL} and shutil.which(launcher) is None:
        yield problem("launcher", f"agent.toml says {launcher}, which is missing", f"apt install {launcher}")
    if CLUSTER in {launcher, *config.launcher_by_tool.values(), *config.launcher_by_group.values()}:
        yield _cluster(workspace)
    if not SYSTEMD.is_dir():
        yield note(
            "service",
            "systemd does not run here",
            "start the agent from cron: @reboot and */5 * * * * aispool agent --drain --if-idle",
        )
        return
    yield from _linger()
    folder = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "systemd" / "user"
    for unit in UNITS:
        yield _unit(unit, folder)


def _cluster(workspace: Workspace) -> Finding:
    """Ask Slurm for our jobs, as the agent does."""
    slurm = LAUNCHERS[CLUSTER](workspace.root)
    lacking = slurm.available()
    if lacking is not None:
        return problem("slurm", lacking, "or name another launcher in agent.toml")
    try:
        jobs = len(slurm.sessions())
    except (LaunchError, OSError) as error:
        remedy = "scontrol ping; SLURM_CONF names a configuration that lies elsewhere, also for the service"
        return problem("slurm", str(error), remedy)
    conf = os.environ.get("SLURM_CONF")
    where = f", by {conf}: the service needs SLURM_CONF as well" if conf else ""
    return ok("slurm", f"its controller answers, {jobs} of our jobs are there{where}")


def _linger() -> Iterator[Finding]:
    user = pwd.getpwuid(os.geteuid()).pw_name
    if (LINGER / user).exists():
        yield ok("linger", f"the services of {user} run without a login")
    else:
        yield note(
            "linger",
            f"systemd ends the services and sessions of {user} at logout",
            f"loginctl enable-linger {user}",
        )


def _unit(unit: str, folder: Path) -> Finding:
    enable = f"systemctl --user enable --now {unit}"
    if not (folder / unit).exists():
        return note(
            "service", f"{unit} is not installed", f"copy it from systemd/ to {folder}, then {enable}"
        )
    enabled = _said("systemctl", "--user", "is-enabled", unit)
    if enabled not in {"enabled", "static", "linked", "alias"}:
        return note("service", f"{unit} is {enabled or 'unknown'}", enable)
    return ok("service", f"{unit} is {enabled}")


def _said(program: str, *arguments: str) -> str | None:
    """Return the first line that a program prints; None when it is missing or silent."""
    path = shutil.which(program)
    if path is None:
        return None
    try:
        done = subprocess.run(
            [path, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    lines = done.stdout.decode(errors="replace").strip().splitlines()
    return lines[0] if lines else None
