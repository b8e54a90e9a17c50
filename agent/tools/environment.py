"""What a tool's environment holds: plain values, names a task may set, and the file with the secrets.

Secrets are never read here, apart from the names beside them: the wrapper reads the file itself, so that
they stand in no command line, log or result.
"""

from __future__ import annotations

import os
import re
import stat
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from spool.refusal import Refusal

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from agent.tools.definition import ToolDefinition

OUR_PREFIX = "AISPOOL_"

MAX_STRING_BYTES = 131_072 - 1
"""The kernel's MAX_ARG_STRLEN (execve(2)) without the closing NUL, of an argument or a variable."""

CODE_LOADERS = (
    *("PATH", "ENV", "BASH_ENV", "BASH_FUNC_*", "SHELLOPTS", "PS4", "IFS", "LD_*", "DYLD_*", "GCONV_PATH"),
    *("NODE_OPTIONS", "NODE_PATH", "NODE_EXTRA_CA_CERTS", "PYTHON*", "PERL5*", "RUBY*", "GIT_*", "*_PROXY"),
    *("HOME", "SHELL", "EDITOR", "VISUAL", "PAGER", "BROWSER", "*_proxy"),
)
"""Names that make a program run other code or talk to others: `*` alone does not allow them."""

_ASSIGNMENT = re.compile(r"\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)=")


def env_refusal(tool: ToolDefinition, names: list[str]) -> Refusal | None:
    """Say which name of a task's `env` the tool does not allow; None when all are fine."""
    for name in names:
        if name.startswith(OUR_PREFIX):
            return Refusal(f"{name} is set by aispool itself", "take it out of env", field=f"env.{name}")
        if not _allowed(tool, name):
            allowed = ", ".join(tool.env_allowed) or "none"
            return Refusal(
                f"{tool.name} does not let a task set {name} (allowed: {allowed})",
                f"take it out of env, or add {name!r} to tools.{tool.name}.env_allowed in configs/tools.toml",
                field=f"env.{name}",
            )
    return None


def _allowed(tool: ToolDefinition, name: str) -> bool:
    if loaders := [pattern for pattern in CODE_LOADERS if fnmatchcase(name, pattern)]:
        return not {name, *loaders}.isdisjoint(tool.env_allowed)
    return any(fnmatchcase(name, pattern) for pattern in tool.env_allowed)


def too_long(env: Mapping[str, str]) -> Refusal | None:
    """Say which value the kernel would not pass on; None when all fit."""
    for name, value in env.items():
        if (size := len(os.fsencode(f"{name}={value}"))) > MAX_STRING_BYTES:
            return Refusal(
                f"{name} is {size} bytes long, and Linux passes at most {MAX_STRING_BYTES} in one variable",
                "put the long part into a file in NAME.files/ beside the task, and name the file instead",
                field=f"env.{name}",
            )
    return None


def secrets_files(tool: ToolDefinition, configs: Path) -> tuple[str, ...] | Refusal:
    """Return the tool's file with secrets, links resolved; empty when there is none."""
    file = tool.secrets_file(configs)
    try:
        status = file.stat()
    except FileNotFoundError:
        if tool.env_file is None:
            return ()
        return Refusal(
            f"{file} is missing, which env_file of tools.{tool.name} names",
            f"write KEY=VALUE lines into it and run: chmod 600 {file}",
        )
    except OSError as error:
        return Refusal(f"{file} cannot be read ({error.strerror})", "mend its permissions")
    if not stat.S_ISREG(status.st_mode):
        return Refusal(f"{file} is not a regular file", "put KEY=VALUE lines into a file of that name")
    if status.st_uid != os.geteuid():
        return Refusal(
            f"{file} belongs to another user (number {status.st_uid})",
            f"run: sudo chown {os.geteuid()} {file}",
        )
    if status.st_mode & 0o077:
        return Refusal(
            f"{file} holds secrets and others may use it (mode {stat.S_IMODE(status.st_mode):04o})",
            f"run: chmod 600 {file}",
        )
    return (os.path.realpath(file),)


def names_in(file: Path) -> tuple[str, ...]:
    """Return the names that a KEY=VALUE file sets, and nothing else of it.

    Raises:
        OSError: it cannot be read.
    """
    lines = file.read_bytes().decode(errors="replace").splitlines()
    return tuple(dict.fromkeys(match[1] for line in lines if (match := _ASSIGNMENT.match(line))))
