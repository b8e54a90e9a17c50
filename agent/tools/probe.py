"""What is installed on this machine, and what a person would find that the agent does not.

A login shell reads profiles in which nvm, pyenv and their like extend PATH; a service has a shorter one.
`login_path` asks the person's shell for its PATH, so that `doctor` can name the difference.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import re
import signal
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from agent.tools.environment import secrets_files
from agent.tools.executable import find_on, find_program, find_setup, not_installed, service_path, virtual_env
from spool.refusal import Refusal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agent.tools.definition import ToolDefinition
    from agent.tools.executable import Source
    from spool.workspace import Workspace

_MARK = "--aispool-path--"
_ANSWER = re.compile(f"{_MARK}(.*?){_MARK}", re.DOTALL)


@dataclass(frozen=True, slots=True)
class ToolProbe:
    """What there is of one tool.

    Args:
        name: the tool's.
        about: what it is, in a line.
        executable: its program; None when it is not installed.
        source: how the program was found.
        virtual_env: the environment it runs in, where that exists.
        env_file: where its secrets are, or would be.
        env_file_state: whether the agent would use that file.
        problems: what stops it here, each with its remedy.
    """

    name: str
    about: str
    executable: str | None
    source: Source | None
    virtual_env: str | None
    env_file: str
    env_file_state: Literal["absent", "ready", "refused"]
    problems: tuple[Refusal, ...]

    @property
    def ready(self) -> bool:
        """Tell whether a task of this tool would start."""
        return not self.problems


def probe(
    tool: ToolDefinition,
    workspace: Workspace,
    *,
    search_path: str | None = None,
    login: Sequence[str] | None = None,
) -> ToolProbe:
    """Look for a tool as an agent with this PATH would.

    Args:
        tool: what is looked for.
        workspace: where its secrets are.
        search_path: instead of this process's PATH.
        login: what `login_path` answered, to say where a missing program is.
    """
    search = service_path() if search_path is None else search_path
    program = find_program(tool, search)
    environment = virtual_env(tool)
    secrets = secrets_files(tool, workspace.configs)
    problems = [secrets] if isinstance(secrets, Refusal) else []
    if program is None:
        problems.insert(0, _missing(tool, login or ()))
    elif isinstance(setup := find_setup(tool, search), Refusal):
        problems.append(setup)
    return ToolProbe(
        name=tool.name,
        about=tool.about,
        executable=str(program.path) if program else None,
        source=program.source if program else None,
        virtual_env=str(environment) if environment else None,
        env_file=str(tool.secrets_file(workspace.configs)),
        env_file_state="refused" if isinstance(secrets, Refusal) else "ready" if secrets else "absent",
        problems=tuple(problems),
    )


def _missing(tool: ToolDefinition, login: Sequence[str]) -> Refusal:
    found = find_on(tool.executables, login) if not tool.path else None
    if found is None:
        return not_installed(tool)
    return Refusal(
        f"{tool.name} is installed as {found}, which your login shell finds and the agent does not",
        f'set path = "{found}" below [tools.{tool.name}] in configs/tools.toml',
    )


def login_path(timeout_s: float = 10.0) -> list[str] | None:
    """Return the folders on the PATH of the user's shell; None when it does not say.

    The shell is asked as a login and interactive one, since nvm writes into files that only an interactive
    shell reads, and as a login shell alone when that fails. It runs in a session of its own without input.
    """
    account = pwd.getpwuid(os.geteuid())
    shell = os.environ.get("SHELL") or account.pw_shell or "/bin/sh"
    for flags in ("-lic", "-lc"):
        answer = _ask([shell, flags, f'printf "%s" "{_MARK}$PATH{_MARK}"'], account, timeout_s)
        if answer and (match := _ANSWER.search(answer)):
            return [folder for folder in match[1].split(os.pathsep) if folder]
    return None


def _ask(argv: list[str], account: pwd.struct_passwd, timeout_s: float) -> str | None:
    env = {"HOME": account.pw_dir, "USER": account.pw_name, "LOGNAME": account.pw_name, "SHELL": argv[0]}
    env |= {"TERM": "dumb", "LANG": os.environ.get("LANG", "C.UTF-8")}
    home = account.pw_dir if Path(account.pw_dir).is_dir() else "/"
    # a file, not a pipe: what a profile starts in the background would hold a pipe open
    with tempfile.TemporaryFile() as said:
        try:
            process = subprocess.Popen(
                argv,
                env=env,
                cwd=home,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        except OSError:
            return None
        try:
            process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            return None
        said.seek(0)
        return said.read().decode(errors="replace")
