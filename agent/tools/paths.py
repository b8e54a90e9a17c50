"""Where a task's paths may lead: inputs, the working folder, and `output`.

A relative path is looked for in the task's files, then in the working folder, then in the workspace;
`~/` is the home folder of the agent's user. What it leads to, after every link, must lie in one of the
`allowed_paths` or in the task's own files. `output` is a new file directly in results/, with a suffix:
never in a sub folder, since that is, or could become, the folder of an id.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from spool.refusal import Refusal

if TYPE_CHECKING:
    from agent.config import AgentConfig
    from spool.workspace import Workspace

MAX_NAME_BYTES = 200
_PATH_MAX = 4096


@dataclass(frozen=True, slots=True)
class Places:
    """Where one task's paths are looked for, and where they may lead."""

    workspace: Path
    allowed: tuple[Path, ...]
    files: Path | None
    cwd: Path | None = None

    @classmethod
    def of(cls, workspace: Workspace, config: AgentConfig, files: Path | None) -> Places:
        """Return the places of a task; `files` is its folder of input files, where it has one."""
        roots = [_real(Path(path)) for path in config.allowed_paths]
        if files is not None:
            roots.append(_real(files))
        return cls(workspace.root, tuple(roots), files)

    def allow(self, real: Path) -> bool:
        """Tell whether a path without links lies where the task may go."""
        return any(real.is_relative_to(root) for root in self.allowed)

    def folders(self) -> tuple[Path, ...]:
        """Return where relative paths are looked for, in order."""
        return tuple(folder for folder in (self.files, self.cwd, self.workspace) if folder is not None)


def locate(value: str, field: str, places: Places) -> Path | Refusal | None:
    """Return where a path of the task leads, links resolved; None when nothing is there yet."""
    candidates = _candidates(value, field, places)
    if isinstance(candidates, Refusal):
        return candidates
    real = [_real(path) for path in candidates]
    found = next((path for path in real if os.path.lexists(path)), None)
    if found is not None:
        return found if places.allow(found) else _outside(value, found, field)
    if not any(places.allow(path) for path in real):
        return _outside(value, real[0], field)
    return None


def find(value: str, field: str, places: Places) -> Path | Refusal:
    """Return where an input is; it must be there now."""
    found = locate(value, field, places)
    if found is not None:
        return found
    tried = ", ".join(dict.fromkeys(str(folder) for folder in places.folders()))
    where = "" if value.startswith(("/", "~")) else f" (looked in {tried})"
    return Refusal(
        f"input not found: {value}{where}",
        "make it before the task runs, put it into NAME.files/ beside the task, or mend the path",
        field=field,
    )


def working_folder(value: str, places: Places) -> Path | Refusal | None:
    """Return the folder that `parameters.cwd` names; None when nothing is there yet."""
    found = locate(value, "parameters.cwd", places)
    if isinstance(found, Path) and not found.is_dir():
        return Refusal(f"{value} is not a folder", "name a folder as cwd", field="parameters.cwd")
    return found


def output_file(value: str, workspace: Workspace, *, must_be_new: bool = True) -> Path | Refusal:
    """Return the file that `parameters.output` names."""
    target = _output_target(value, workspace)
    if isinstance(target, Refusal):
        return target
    if must_be_new and os.path.lexists(target):
        return _output_refusal(f"{value} is there already", "choose a new name, or move the old file away")
    return target


def _output_target(value: str, workspace: Workspace) -> Path | Refusal:
    if problem := _unusable(value):
        return _output_refusal(problem, "write it like results/report.json")
    if ".." in value.split("/"):
        return _output_refusal(f"{value} goes up with '..'", "write it like results/report.json")
    text = os.path.expanduser(value) if value.startswith("~/") else value  # noqa: PTH111 - only ~/ expands
    if text.endswith("/"):
        return _output_refusal(f"{value} names a folder", "name a file, like results/report.json")
    target = workspace.root / text
    if _real(target.parent) != _real(workspace.results):
        return _output_refusal(
            f"{value} does not lie directly in {workspace.results}",
            f"write it like results/{target.name}; the folders in there belong to task ids",
        )
    if problem := _bad_output_name(target.name):
        return _output_refusal(f"{value}: {problem}", "write it like results/report.json")
    return workspace.results / target.name


def _bad_output_name(name: str) -> str | None:
    if name.startswith("."):
        return "the name begins with a dot"
    if not name.isprintable():
        return "the name holds a control character"
    if len(name.encode()) > MAX_NAME_BYTES:
        return f"the name is longer than {MAX_NAME_BYTES} bytes"
    stem, dot, suffix = name.rpartition(".")
    if not (stem and dot and suffix):
        return "the name has no suffix, and could be taken for a task id"
    return None


def _output_refusal(what: str, remedy: str) -> Refusal:
    return Refusal(what, remedy, field="parameters.output")


def _candidates(value: str, field: str, places: Places) -> tuple[Path, ...] | Refusal:
    if problem := _unusable(value):
        return Refusal(problem, "write a path", field=field)
    if value.startswith("/"):
        return (Path(value),)
    if value == "~" or value.startswith("~/"):
        return (Path(value).expanduser(),)
    if value.startswith("~"):
        return Refusal(
            f"{value} names another user's home, which is not expanded",
            f"write the whole path, or ./{value} for a file of that name",
            field=field,
        )
    return tuple(folder / value for folder in places.folders())


def _unusable(value: str) -> str | None:
    if not value or "\0" in value:
        return "the path is empty" if not value else "the path holds a NUL character"
    return "the path is too long" if len(value.encode()) >= _PATH_MAX else None


def _real(path: Path) -> Path:
    return Path(os.path.realpath(path))


def _outside(value: str, real: Path, field: str) -> Refusal:
    leads = "" if str(real) == value else f" leads to {real}, which"
    return Refusal(
        f"{value}{leads} is not in a folder that tasks may use",
        "use a path in one that they may, or add this folder to allowed_paths in configs/agent.toml",
        field=field,
    )
