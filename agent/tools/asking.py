"""What a tool is asked in one attempt: once, or in several calls when there are many files.

The files of a command that lists some are found here, at launch; each call of a batched command is given
`batch_size` of them, those of an earlier attempt where there was one.
"""

from __future__ import annotations

import sys
import uuid
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent.tools.arguments import Arguments, arguments_of
from agent.tools.batches import Batches
from agent.tools.invocation import Call
from agent.tools.listing import Listed, files_of, text_of
from agent.tools.parameters import parameters_of
from agent.tools.prompt import values_of
from spool.refusal import Refusal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from agent.config import AgentConfig
    from agent.tools.definition import CommandDefinition, ToolDefinition
    from agent.tools.repository import WorktreePlan
    from spool.task import Task
    from spool.workspace import Workspace

DRIVER = Path(__file__).absolute().with_name("batching.py")
MOST_CALLS = 1000


@dataclass(frozen=True, slots=True)
class Run:
    """What `render.invocation` was asked for."""

    tool: ToolDefinition
    task: Task
    workspace: Workspace
    config: AgentConfig
    task_id: str
    files: Path | None
    resume: str | None
    search: str
    attempt: Path
    config_dir: Path


@dataclass(frozen=True, slots=True)
class Ground:
    """Where it runs.

    Args:
        inputs: the parameters that are paths, and where they lead outside of a worktree.
        worktree: to be made before it runs.
    """

    cwd: Path
    inputs: Mapping[str, Any]
    worktree: WorktreePlan | None = None

    def moved(self, path: str) -> str:
        """Return where an input lies when the tool runs."""
        return path if self.worktree is None else self.worktree.moved(path)

    def values(self) -> dict[str, Any]:
        """Return the inputs, each where it lies when the tool runs."""
        return {
            name: [self.moved(path) for path in value] if isinstance(value, list) else self.moved(value)
            for name, value in self.inputs.items()
        }

    def folders(self, files: Path | None) -> tuple[Path, ...]:
        """Return the folders that the tool has to use besides the one that it runs in."""
        paths = [Path(path) for value in self.values().values() for path in _listed(value)]
        wanted = [path.parent if path.is_file() else path for path in paths]
        if files is not None:
            wanted.append(files)
        return tuple(dict.fromkeys(path for path in wanted if not path.is_relative_to(self.cwd)))


@dataclass(frozen=True, slots=True)
class Asked:
    """What the attempt runs."""

    arguments: Arguments
    session_id: str
    calls: tuple[Call, ...] = field(default=())


def asking(run: Run, ground: Ground, program: str) -> Asked | Refusal:
    """Return what the tool is asked, in one call or in several."""
    command = run.tool.commands.get(run.task.command)
    if command is None or command.lists is None:
        return _once(run, ground, program)
    batched = command.batched and not run.task.interactive
    planned = Batches.of(run.attempt).plan() if batched else ()
    if run.resume is not None and not planned:
        return _once(run, ground, program)  # it has seen the list
    size = batch_size(run.tool, run.task) if batched else None
    if isinstance(size, Refusal):
        return size
    files = _files(run, ground, command, planned)
    if isinstance(files, Refusal):
        return files
    kinds = command.kinds is not None
    if size is None or (not planned and len(files) <= size):
        return _once(run, ground, program, _text(run, ground, files, kinds=kinds))
    by_path = {file.path: file for file in files}
    groups = planned or [[file.path for file in files[at : at + size]] for at in range(0, len(files), size)]
    return _in_calls(run, ground, program, [[by_path[path] for path in group] for group in groups])


def batch_size(tool: ToolDefinition, task: Task) -> int | Refusal | None:
    """Return how many files one call of the task's command is given; None when it is not batched."""
    command = tool.commands.get(task.command)
    if command is None or not command.batched:
        return None
    size = parameters_of(tool, task)["batch_size"]
    if not isinstance(size, int) or isinstance(size, bool) or size < 1:
        return Refusal(
            f"parameters.batch_size is {size!r}",
            "write a whole number from 1 on",
            field="parameters.batch_size",
        )
    return size


def _files(
    run: Run, ground: Ground, command: CommandDefinition, planned: Sequence[Sequence[str]]
) -> tuple[Listed, ...] | Refusal:
    if planned:
        return tuple(Listed.of(path) for group in planned for path in group)
    assert command.lists is not None
    kinds = parameters_of(run.tool, run.task).get(command.kinds) if command.kinds else None
    folders = [Path(path) for path in _listed(ground.inputs[command.lists])]
    return files_of(folders, [str(kind) for kind in _listed(kinds)] if kinds is not None else None)


def _text(run: Run, ground: Ground, files: Sequence[Listed], *, kinds: bool) -> str:
    moved = [replace(file, path=ground.moved(file.path)) for file in files]
    return text_of(moved, run.tool.file_mark, kinds=kinds)


def _once(run: Run, ground: Ground, program: str, listing: str = "") -> Asked | Refusal:
    session_id = run.resume or run.task.resume or _new_session(run)
    arguments = _arguments(run, ground, program, listing, session_id, goes_on=run.resume is not None)
    return arguments if isinstance(arguments, Refusal) else Asked(arguments, session_id)


def _in_calls(run: Run, ground: Ground, program: str, groups: Sequence[Sequence[Listed]]) -> Asked | Refusal:
    if len(groups) > MOST_CALLS:
        return Refusal(
            f"the files make {len(groups)} calls, more than {MOST_CALLS}",
            "raise batch_size, or split them over several tasks",
            field="parameters.batch_size",
        )
    if run.task.resume is not None:
        return Refusal(
            f"the files make {len(groups)} calls, each a conversation of its own",
            "leave resume out",
            field="resume",
        )
    calls: list[Call] = []
    for number, group in enumerate(groups, 1):
        part = f"This is part {number} of {len(groups)}; the other parts are worked through apart from it."
        listing = f"{part}\n{_text(run, ground, group, kinds=False)}"
        arguments = _arguments(run, ground, program, listing, _new_session(run), goes_on=False)
        if isinstance(arguments, Refusal):
            return arguments
        calls.append(Call(tuple(file.path for file in group), arguments.argv, arguments.stdin))
    driver = (sys.executable, "-I", str(DRIVER), str(run.attempt))
    return Asked(Arguments(driver), "", tuple(calls))


def _new_session(run: Run) -> str:
    return str(uuid.uuid4()) if run.tool.session_new else ""


def _arguments(
    run: Run, ground: Ground, program: str, listing: str, session_id: str, *, goes_on: bool
) -> Arguments | Refusal:
    values = values_of(
        run.tool,
        run.task,
        task_id=run.task_id,
        workspace=run.workspace.root,
        files=run.files,
        inputs=ground.values(),
        executable=program,
        session_id=session_id,
        goes_on=goes_on,
        places={
            "config_dir": str(run.config_dir),
            "folders": ground.folders(run.files),
            **({"script": str(run.attempt / "script")} if run.tool.script_argv else {}),
        },
        listing=listing,
    )
    return arguments_of(run.tool, values, interactive=run.task.interactive)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
