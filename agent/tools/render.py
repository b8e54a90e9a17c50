"""A task becomes an `Invocation`: the program, its arguments, its folder and its environment.

Nothing is run and nothing is written, so that `submit --dry-run` shows exactly what an agent would do.
"""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import agent.hook
from agent.tools.adapter import Need
from agent.tools.adapters import adapter_of
from agent.tools.asking import Ground, Run, asking
from agent.tools.check import check
from agent.tools.environment import names_in, secrets_files, too_long
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
from agent.tools.repository import plan_worktree
from agent.tools.template import text_of
from spool.refusal import Refusal

if TYPE_CHECKING:
    from agent.config import AgentConfig
    from agent.tools.definition import ToolDefinition
    from spool.task import Task
    from spool.workspace import Workspace

OURS = "task-"
"""How the name of a private folder begins that was made for one task; others a person prepared."""
HOOK = Path(agent.hook.__file__).absolute()


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
    attempt_folder: Path | None = None,
    config_dir: Path | None = None,
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
        attempt_folder: what belongs to the attempt lies there; the task's first one where it is not given.
        config_dir: the tool's private configuration folder; the task's own where it is not given.
    """
    search = service_path() if search_path is None else search_path
    attempt = attempt_folder or workspace.sessions / task_id / "attempts" / "001"
    private = config_dir or workspace.configs / "runners" / tool.name / f"{OURS}{task_id}"
    run = Run(tool, task, workspace, config, task_id, files_folder, resume, search, attempt, private)
    refused = _refused(run)
    if refused:
        return refused
    ground = _ground(run)
    if isinstance(ground, Refusal):
        return ground
    program = find_program(tool, search)
    if program is None:
        return not_installed(tool)
    setup = find_setup(tool, run_path(tool, program, search))
    if isinstance(setup, Refusal):
        return setup
    secrets = secrets_files(tool, workspace.configs)
    if isinstance(secrets, Refusal):
        return secrets
    seed = adapter_of(tool).seed(_need(run, ground, secrets))
    asked = asking(run, ground, str(program.path))
    if isinstance(asked, Refusal):
        return asked
    is_login = not private.name.startswith(OURS)
    has_folder = bool(is_login or seed.files or seed.env or "config_dir" in tool.argv_names)
    env = {**_env(run, program), **seed.env, **({"AISPOOL_CONFIG": str(private)} if has_folder else {})}
    if refused := too_long(env):
        return refused
    signs = adapter_of(tool).SIGNS
    return Invocation(
        argv=asked.arguments.argv,
        cwd=ground.cwd,
        env=env,
        env_files=secrets,
        env_aliases=dict(tool.env_aliases),
        setup_argv=setup,
        tool_session_id=asked.session_id or None,
        timeout_s=task.timeout or tool.timeout_s or config.timeout_s,
        interactive=task.interactive,
        max_output_bytes=min(tool.max_output_bytes or config.max_output_bytes, config.max_output_bytes),
        output=tool.output,
        output_path=_output_path(run),
        stdin=asked.arguments.stdin,
        script=asked.arguments.script,
        config_dir=private if has_folder else None,
        seeds=seed.files,
        calls=asked.calls,
        worktree=ground.worktree,
        limit_text=None if task.interactive else signs.limit,
        waiting_title=signs.title if task.interactive else None,
        waiting_text=signs.text if task.interactive else None,
    )


def _refused(run: Run) -> Refusal | None:
    refused = check(run.tool, run.task, run.workspace, run.config, run.files, output_must_be_new=False)
    if refused is None and run.resume is not None and not run.tool.session_resume:
        return Refusal(f"{run.tool.name} cannot go on with an earlier conversation", "run the task again")
    return refused


def _ground(run: Run) -> Ground | Refusal:
    """Find where it runs, and its inputs; in a worktree, both lie in there."""
    places = Places.of(run.workspace, run.config, run.files)
    cwd = _cwd(run.tool, run.task, places)
    if isinstance(cwd, Refusal):
        return cwd
    inputs = _inputs(run.tool, run.task, replace(places, cwd=cwd))
    if isinstance(inputs, Refusal):
        return inputs
    if not run.task.worktree:
        return Ground(cwd, inputs)
    plan = plan_worktree(run.workspace, run.task_id, Path(os.path.realpath(cwd)), places.allow)
    if isinstance(plan, Refusal):
        return plan
    return Ground(plan.cwd, inputs, plan)


def _need(run: Run, ground: Ground, secrets: tuple[str, ...]) -> Need:
    has = {name for name, value in os.environ.items() if value}
    has |= {*run.tool.env, *run.task.env, *(name for file in secrets for name in names_in(Path(file)))}
    has |= {name for name, others in run.tool.env_aliases.items() if has & {*others}}
    return Need(
        task=run.task,
        config_dir=run.config_dir,
        cwd=ground.cwd,
        has=frozenset(has),
        hook=(sys.executable, "-I", "-S", str(HOOK)),
        headless=not run.task.interactive,
    )


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


def _env(run: Run, program: Program) -> dict[str, str]:
    env = {"PATH": run_path(run.tool, program, run.search)}
    if environment := virtual_env(run.tool):
        env["VIRTUAL_ENV"] = str(environment)
    return {**env, **run.tool.env, **run.task.env, **_ours(run)}


def _ours(run: Run) -> dict[str, str]:
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


def _output_path(run: Run) -> Path | None:
    given = run.task.parameters.get("output")
    target = output_file(given, run.workspace, must_be_new=False) if given is not None else None
    assert not isinstance(target, Refusal), "_refused has seen it"
    return target
