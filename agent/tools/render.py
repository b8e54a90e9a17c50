"""A task becomes an `Invocation`: the program, its arguments, its folder and its environment.

Nothing is run and nothing is written, so that `submit --dry-run` shows exactly what an agent would do.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent.tools.arguments import argument_list
from agent.tools.check import check
from agent.tools.environment import secrets_files, too_long
from agent.tools.executable import (
    Program,
    find_program,
    find_setup,
    not_installed,
    run_path,
    service_path,
    virtual_env,
)
from agent.tools.invocation import Invocation
from agent.tools.parameters import given_paths, parameters_of
from agent.tools.paths import Places, find, output_file, working_folder
from agent.tools.prompt import values_of
from agent.tools.template import text_of
from spool.refusal import Refusal

if TYPE_CHECKING:
    from agent.config import AgentConfig
    from agent.tools.definition import ToolDefinition
    from spool.task import Task
    from spool.workspace import Workspace


def invocation(
    tool: ToolDefinition,
    task: Task,
    workspace: Workspace,
    config: AgentConfig,
    *,
    task_id: str,
    files_folder: Path | None = None,
    resume: str | None = None,
    search_path: str | None = None,
) -> Invocation | Refusal:
    """Return how the task is run here and now, or why it cannot be.

    Args:
        tool: the one that the task names.
        task: what the person wrote.
        workspace: where it runs.
        config: the agent's options.
        task_id: the task's, or what stands for it in a dry run.
        files_folder: the task's input files, where it has any.
        resume: the conversation of an interrupted attempt, to go on with it.
        search_path: instead of this process's PATH.
    """
    search = service_path() if search_path is None else search_path
    run = _Run(tool, task, workspace, config, task_id, files_folder, resume, search)
    refused = _refused(run)
    if refused:
        return refused
    where = _where(run)
    if isinstance(where, Refusal):
        return where
    cwd, inputs = where
    program = find_program(tool, search)
    if program is None:
        return not_installed(tool)
    session_id = resume or task.resume or (str(uuid.uuid4()) if tool.session_new else "")
    arguments = _arguments(run, program, inputs, session_id)
    if isinstance(arguments, Refusal):
        return arguments
    setup = find_setup(tool, run_path(tool, program, search))
    if isinstance(setup, Refusal):
        return setup
    secrets = secrets_files(tool, workspace.configs)
    if isinstance(secrets, Refusal):
        return secrets
    env = _env(run, program)
    if refused := too_long(env):
        return refused
    return Invocation(
        argv=arguments,
        cwd=cwd,
        env=env,
        env_files=secrets,
        env_aliases=dict(tool.env_aliases),
        setup_argv=setup,
        tool_session_id=session_id or None,
        timeout_s=task.timeout or tool.timeout_s or config.timeout_s,
        interactive=task.interactive,
        max_output_bytes=min(tool.max_output_bytes or config.max_output_bytes, config.max_output_bytes),
        output=tool.output,
        output_path=_output_path(run),
    )


@dataclass(frozen=True, slots=True)
class _Run:
    """What `invocation` was asked for."""

    tool: ToolDefinition
    task: Task
    workspace: Workspace
    config: AgentConfig
    task_id: str
    files: Path | None
    resume: str | None
    search: str


def _refused(run: _Run) -> Refusal | None:
    refused = check(run.tool, run.task, run.workspace, run.config, run.files, output_must_be_new=False)
    if refused is None and run.resume is not None and not run.tool.session_resume:
        return Refusal(f"{run.tool.name} cannot go on with an earlier conversation", "run the task again")
    return refused


def _where(run: _Run) -> tuple[Path, dict[str, Any]] | Refusal:
    places = Places.of(run.workspace, run.config, run.files)
    cwd = _cwd(run.tool, run.task, places)
    if isinstance(cwd, Refusal):
        return cwd
    inputs = _inputs(run.tool, run.task, replace(places, cwd=cwd))
    return inputs if isinstance(inputs, Refusal) else (cwd, inputs)


def _cwd(tool: ToolDefinition, task: Task, places: Places) -> Path | Refusal:
    if given := task.parameters.get("cwd"):
        found = working_folder(given, places)
        missing = Refusal(f"input not found: {given}", "make the folder, or mend cwd", field="parameters.cwd")
        return missing if found is None else found
    if tool.cwd == "workspace" or (tool.cwd is None and places.files is None):
        return places.workspace
    folder = Path(tool.cwd) if tool.cwd else places.files
    assert folder is not None
    if not folder.is_dir():
        return Refusal(
            f"{folder} is not a folder", f"make it, or mend tools.{tool.name}.cwd in configs/tools.toml"
        )
    return folder


def _inputs(tool: ToolDefinition, task: Task, places: Places) -> dict[str, Any] | Refusal:
    given = given_paths(tool, task)
    if isinstance(given, Refusal):
        return given
    inputs: dict[str, Any] = {}
    for name, texts in given.items():
        found: list[str] = []
        for text in texts:
            path = find(text, f"parameters.{name}", places)
            if isinstance(path, Refusal):
                return path
            found.append(str(path))
        inputs[name] = found if isinstance(parameters_of(tool, task)[name], list) else found[0]
    return inputs


def _arguments(
    run: _Run, program: Program, inputs: dict[str, Any], session_id: str
) -> tuple[str, ...] | Refusal:
    values = values_of(
        run.tool,
        run.task,
        task_id=run.task_id,
        workspace=run.workspace.root,
        files=run.files,
        inputs=inputs,
        executable=str(program.path),
        session_id=session_id,
        goes_on=run.resume is not None,
    )
    return argument_list(run.tool, values)


def _env(run: _Run, program: Program) -> dict[str, str]:
    env = {"PATH": run_path(run.tool, program, run.search)}
    if environment := virtual_env(run.tool):
        env["VIRTUAL_ENV"] = str(environment)
    return {**env, **run.tool.env, **run.task.env, **_ours(run)}


def _ours(run: _Run) -> dict[str, str]:
    ours = {
        "AISPOOL_WORKSPACE": str(run.workspace.root),
        "AISPOOL_TASK_ID": run.task_id,
        "AISPOOL_TOOL": run.tool.name,
    }
    if run.files is not None:
        ours["AISPOOL_FILES"] = str(run.files)
    said_elsewhere = {"cwd", "output"} | run.tool.argv_names
    given = parameters_of(run.tool, run.task).items()
    rest = {name: value for name, value in given if name not in said_elsewhere}
    if rest and not run.tool.takes_prompt:
        # there is no prompt to tell the tool the rest of its parameters
        ours["AISPOOL_PARAMETERS"] = text_of(rest)
    return ours


def _output_path(run: _Run) -> Path | None:
    given = run.task.parameters.get("output")
    target = output_file(given, run.workspace, must_be_new=False) if given is not None else None
    assert not isinstance(target, Refusal), "_refused has seen it"
    return target
