"""The tool's environment: what we inherit, its secret file, what the agent set, and where the task lies.

Secrets stay in configs/env/TOOL.env: the agent names the file, the wrapper reads it, and no command line,
record or log ever holds a value of it.
"""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent.proctree import MARKER
from spool.files import open_regular, read_descriptor

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_FILE_BYTES = 1 << 20
_NOT_INHERITED = re.compile(r"AISPOOL_|TMUX|STY$|WINDOW$|NOTIFY_SOCKET$|WATCHDOG_|LISTEN_|INVOCATION_ID$")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class EnvironmentFileError(Exception):
    """A file of secrets cannot be used; the message holds none of its values."""


def environment(intent: Mapping[str, Any], attempt: Path, inherited: Mapping[str, str]) -> dict[str, str]:
    """Return the whole environment of a tool.

    Args:
        intent: the attempt's intent.
        attempt: the attempt's folder.
        inherited: the wrapper's own environment.

    Raises:
        EnvironmentFileError: an environment file is missing, damaged, or open to others.
    """
    values = {name: value for name, value in inherited.items() if not _NOT_INHERITED.match(name)}
    for file in intent["env_files"]:
        values.update(read_env_file(Path(file)))
    values.update(intent["env"])
    for name, others in intent["env_aliases"].items():
        found = next((values[other] for other in others if values.get(other)), None)
        if found is not None and not values.get(name):
            values[name] = found
    return values | own_names(intent, attempt)


def own_names(intent: Mapping[str, Any], attempt: Path) -> dict[str, str]:
    """Return the names by which a tool finds its own task."""
    session = attempt.parent.parent
    return {
        MARKER: str(attempt),
        "AISPOOL_TASK_ID": intent["task_id"],
        "AISPOOL_WORKSPACE": str(session.parent.parent),
        "AISPOOL_SESSION": str(session),
        "AISPOOL_FILES": str(session / "files"),
        "AISPOOL_ARTIFACTS": str(session / "artifacts"),
        "AISPOOL_ANSWERS": str(session / "answer"),
        "AISPOOL_WAITING": str(attempt / "waiting"),
    }


def read_env_file(path: Path) -> dict[str, str]:
    """Read KEY=VALUE lines: comments, `export` and one pair of quotes are understood, nothing is expanded.

    Raises:
        EnvironmentFileError: it is missing, not ours alone, or a line is something else.
    """
    try:
        with open_regular(path) as descriptor:
            status = os.fstat(descriptor)
            if status.st_uid != os.geteuid() or stat.S_IMODE(status.st_mode) & 0o077:
                raise EnvironmentFileError(f"{path} may be read by others: chmod 600 {path}")
            text = read_descriptor(descriptor, MAX_FILE_BYTES).decode()
    except (OSError, UnicodeDecodeError) as error:
        raise EnvironmentFileError(f"{path} cannot be read ({error}): mend or remove it") from None
    values: dict[str, str] = {}
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        name, equals, value = line.removeprefix("export ").partition("=")
        name, value = name.strip(), value.strip()
        if not equals or not _NAME.fullmatch(name) or "\0" in value:
            raise EnvironmentFileError(f"{path}, line {number}: write NAME=VALUE")
        if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"":
            value = value[1:-1]
        values[name] = value
    return values
