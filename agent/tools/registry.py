"""The tools of a workspace: the built-in definitions, and configs/tools.toml laid over them.

Tables merge, option by option; a list or a value replaces the one below it. `[commands.NAME]` is a prompt
for every tool that takes prompts, `[tools.X.commands.NAME]` for one.
"""

from __future__ import annotations

import sys
import tomllib
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from agent.config import ConfigError, config_error, merged, read_toml
from agent.tools import check as rules
from agent.tools import render
from agent.tools.definition import CommandDefinition, ToolDefinition
from spool.refusal import Refusal

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from agent.config import AgentConfig
    from agent.tools.invocation import Invocation
    from spool.task import Task
    from spool.workspace import Workspace

TOOLS_FILE = "tools.toml"
_TABLES = ("tools", "commands")


@dataclass(frozen=True, slots=True)
class Registry:
    """Every tool by its name."""

    tools: Mapping[str, ToolDefinition]

    @classmethod
    def load(cls, workspace: Workspace) -> Registry:
        """Return the tools of a workspace.

        Raises:
            ConfigError: tools.toml cannot be used.
        """
        file = workspace.configs / TOOLS_FILE
        return cls(_defined(file, merged(_builtin(), _tables(file))))

    def names(self) -> tuple[str, ...]:
        """Return the tools' names, sorted."""
        return tuple(sorted(self.tools))

    def get(self, name: str) -> ToolDefinition | None:
        """Return a tool; None when nobody defined it."""
        return self.tools.get(name)

    def slots(self, config: AgentConfig) -> dict[str, int]:
        """Return the limits by tool; what agent.toml says wins over the tool's own."""
        own = {name: tool.slots for name, tool in self.tools.items() if tool.slots is not None}
        return {**own, **config.slots_by_tool}

    @property
    def slotless(self) -> frozenset[str]:
        """Return the tools that take none of the agent's slots."""
        return frozenset(name for name, tool in self.tools.items() if not tool.takes_slot)

    def check(
        self,
        task: Task,
        workspace: Workspace,
        config: AgentConfig,
        files_folder: Path | None = None,
        *,
        output_must_be_new: bool = True,
    ) -> Refusal | None:
        """Say why a task cannot be accepted; None when it can. See `agent.tools.check`."""
        tool = self.get(task.tool)
        if tool is None:
            return self._unknown(task)
        return rules.check(tool, task, workspace, config, files_folder, output_must_be_new=output_must_be_new)

    def invocation(
        self,
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
        """Return how a task is run here and now, or why it cannot be. See `agent.tools.render`."""
        tool = self.get(task.tool)
        if tool is None:
            return self._unknown(task)
        return render.invocation(
            tool,
            task,
            workspace,
            config,
            task_id=task_id,
            files_folder=files_folder,
            resume=resume,
            search_path=search_path,
            attempt_folder=attempt_folder,
            config_dir=config_dir,
        )

    def _unknown(self, task: Task) -> Refusal:
        return Refusal(
            f"there is no tool {task.tool!r}",
            f"{rules.suggestion(task.tool, self.tools)}; or define it in configs/{TOOLS_FILE}",
            field="tool",
        )


def _builtin() -> dict[str, Any]:
    document = tomllib.loads(resources.files("agent.tools").joinpath("builtin.toml").read_text("utf-8"))
    document["tools"]["collab"]["path"] = sys.executable  # a module of ours
    return document


def _tables(file: Path) -> dict[str, Any]:
    document = read_toml(file)
    for name, table in document.items():
        if name not in _TABLES:
            what = f"there is no table [{name[:100]}]"
            raise ConfigError(file, what, "write [tools.NAME] or [commands.NAME]", place=name)
        if not isinstance(table, dict):
            raise ConfigError(file, f"{name} is not a table", f"write [{name}.NAME]", place=name)
        for key, entry in table.items():
            if not isinstance(entry, dict):
                raise ConfigError(file, "it is not a table", f"write [{name}.{key}]", place=f"{name}.{key}")
            if name == "tools" and "name" in entry:
                what = "there is no option 'name'"
                raise ConfigError(file, what, "the table's own name is the tool's", place=f"tools.{key}.name")
    return document


def _defined(file: Path, document: Mapping[str, Any]) -> dict[str, ToolDefinition]:
    shared = document.get("commands", {})
    for name, table in shared.items():
        try:
            CommandDefinition.model_validate(table)
        except ValidationError as error:
            known = tuple(CommandDefinition.model_fields)
            raise config_error(file, error, known, ("commands", name)) from None
    return {name: _tool(file, name, table, shared) for name, table in document.get("tools", {}).items()}


def _tool(file: Path, name: str, table: dict[str, Any], shared: dict[str, Any]) -> ToolDefinition:
    known = (*ToolDefinition.model_fields, *CommandDefinition.model_fields)
    own = table.get("commands", {})
    commands = merged(shared, own) if isinstance(own, dict) else own
    try:
        tool = ToolDefinition.model_validate({**table, "name": name, "commands": commands})
    except ValidationError as error:
        raise config_error(file, error, known, ("tools", name)) from None
    if tool.takes_prompt:
        return tool
    if own:
        what = "the tool takes no prompts, since its argv has no $prompt"
        raise ConfigError(file, what, "add $prompt, or take the commands out", place=f"tools.{name}.commands")
    return tool.model_copy(update={"commands": {}})
