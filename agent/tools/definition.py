"""What a person says about a tool: one table `[tools.NAME]` of tools.toml, checked when it is read.

A tool is given a task in one of two ways. When its `argv` names `$prompt`, the task's command is the name
of a prompt below `commands`, or is left out for `parameters.prompt` alone. When its `argv` names
`$command`, the command is free text that goes there as it is, as with `shell`.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StrictStr,
    model_validator,
)

from agent.quantities import Duration, Name, Slots, SomeBytes  # noqa: TC001 - pydantic reads the annotations
from agent.tools import template
from agent.tools.reading import Reading

OUR_NAMES = frozenset(
    {
        *("executable", "command", "task_id", "workspace", "files", "config_dir", "listing"),
        *("session_id", "session", "approval", "folders"),
    }
)
"""Variables that we fill; every other one is a parameter of the task."""

OPTIONAL_NAMES = frozenset({"prompt", "model", "args"})
"""Parameters with a meaning of their own: empty where the task does not give them."""

ADAPTER_NAMES = (
    *("aider", "blackbox", "claude", "codex", "collab", "crush"),
    *("gemini", "generic", "opencode", "qwen", "shell"),
)
"""The modules that `agent.tools.adapters` holds; they are loaded only where a tool is prepared or read."""


def _check_template(text: str) -> str:
    template.parse(text)
    return text


def _check_one_line(text: str) -> str:
    if not text or "\0" in text:
        raise ValueError("it is empty or holds a NUL character: write a name, or take it out")
    return text


def _check_place(text: str) -> str:
    expanded = os.path.expanduser(text)  # noqa: PTH111 - stays text
    if text and not expanded.startswith("/"):
        raise ValueError(f"{text[:200]!r} is not absolute: begin it with / or ~/")
    return expanded


def _check_cwd(text: str) -> str:
    return text if text == "workspace" else _check_place(text)


def _check_adapter(text: str) -> str:
    if text and text not in ADAPTER_NAMES:
        raise ValueError(f"there is no adapter {text[:100]!r}: write one of {', '.join(ADAPTER_NAMES)}")
    return text


def _unset_when_empty(value: Any) -> Any:
    return None if value == "" else value


Template = Annotated[StrictStr, AfterValidator(_check_template)]
Argv = tuple[Template | tuple[Template, ...], ...]
Text = Annotated[StrictStr, AfterValidator(_check_one_line)]
Place = Annotated[StrictStr, AfterValidator(_check_place)]
Approval = Literal["read-only", "ask", "auto"]
Unset = BeforeValidator(_unset_when_empty)

_STRICT = ConfigDict(frozen=True, extra="forbid")


class CommandDefinition(BaseModel):
    """A prompt under a name.

    Args:
        prompt: a template; its variables are in `required` or have a default.
        about: one line for `aispool tools show`.
        paths: the parameters that name input files or folders: resolved, checked, and there at launch.
        required: parameters without which the task is refused.
        defaults: parameters that the task may leave out; a given one must be of the same kind.
        lists: the parameter that names a folder whose files stand for `$listing`, sorted.
        kinds: the parameter that says which kinds of files are listed: text, image, video, audio.
        batched: the tool is called once for every `batch_size` files, and the answers are joined.
    """

    model_config = _STRICT
    prompt: Template
    about: StrictStr = ""
    paths: tuple[Text, ...] = ()
    lists: Text | None = None
    kinds: Text | None = None
    batched: StrictBool = False
    required: tuple[Text, ...] = ()
    defaults: dict[Text, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _knows_its_variables(self) -> Self:
        known = {*self.required, *self.defaults, *OUR_NAMES, *OPTIONAL_NAMES}
        for name in sorted(template.names(self.prompt) - known):
            raise ValueError(f"the prompt uses ${name}: list it in `required`, or give it a default")
        if self.lists is not None and self.lists not in self.paths:
            raise ValueError(f"lists is {self.lists!r}, which is not one of `paths`: add it there")
        if self.lists is None and (self.kinds or self.batched or "listing" in template.names(self.prompt)):
            raise ValueError("there are no files to list: name the folder's parameter in `lists`")
        if self.batched and "batch_size" not in self.defaults:
            raise ValueError("batched needs a default for batch_size: add batch_size = 10 to `defaults`")
        return self


class ToolDefinition(BaseModel):
    """How one tool is found, started, limited and resumed.

    Args:
        name: the table's name.
        about: one line for `aispool tools`.
        executables: names to look for, in this order, in the virtual environment and on PATH.
        path: the executable itself; wins over `executables`.
        argv: templates, one an argument; a list among them is left out when one of its variables is empty.
        interactive_argv: instead of `argv` when the task is interactive; empty: the same.
        script_argv: instead of `argv` when the command is longer than one argument; `$script` is its file.
        prompt_by: how a prompt goes that is longer than 100 KiB: on standard input, without the parts of
            `argv` that name it, or not at all.
        folder_argv: the arguments that let it use one more folder, `$folder`; all of them are `$folders`.
        file_mark: put before the path of a listed file, so that the tool reads it at once.
        commands: prompts by name.
        paths: like a command's, for every task of this tool.
        defaults: like a command's, for every task of this tool.
        env: set for the tool; not for secrets.
        env_aliases: a name that the tool reads → other names that may hold its value.
        env_allowed: names or patterns of what a task may put into `env`.
        env_file: KEY=VALUE lines with the secrets; 0600. Unset: configs/env/NAME.env, where it exists.
        virtual_env: a Python environment to run in, where it exists.
        setup: run before the tool, in its environment; a failure fails the attempt.
        setup_optional: leave `setup` out where its program is not installed.
        cwd: "workspace" or a folder. Unset: the task's files where it has any, else the workspace.
        command_choices: what `$command` may be; empty: any text.
        takes_slot: False for a tool that waits for tasks of its own, which need the agent's slots; then its
            own `slots` alone bound it.
        slots: at most that many at once.
        timeout_s: of one attempt, where the task does not say.
        approval: the arguments that stand for `$approval`, by the task's `approval`.
        session_new: the arguments that stand for `$session` in a new conversation.
        session_resume: the same for one that goes on.
        resume_prompt: said instead of the prompt when an interrupted conversation goes on.
        adapter: the module of agent.tools that prepares it and reads its output; empty: the one of its own
            name where there is one, else "generic" for a tool that takes prompts or has `read`, else "shell".
        read: how its output is read; for the generic adapter alone.
        output: which stream holds the answer.
        max_output_bytes: kept of each stream of one attempt; at most what agent.toml says.
    """

    model_config = _STRICT
    name: Name
    about: StrictStr = ""
    executables: tuple[Text, ...] = ()
    path: Annotated[Place | None, Unset] = None
    argv: Argv
    interactive_argv: Argv = ()
    script_argv: Argv = ()
    prompt_by: Literal["argument", "stdin"] = "argument"
    folder_argv: tuple[Template, ...] = ()
    file_mark: StrictStr = ""
    commands: dict[Name, CommandDefinition] = Field(default_factory=dict)
    paths: tuple[Text, ...] = ()
    defaults: dict[Text, Any] = Field(default_factory=dict)
    env: dict[Annotated[StrictStr, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")], StrictStr] = Field(
        default_factory=dict
    )
    env_aliases: dict[Text, tuple[Text, ...]] = Field(default_factory=dict)
    env_allowed: tuple[Text, ...] = ("LANG", "LC_*", "TZ", "NO_COLOR")
    env_file: Annotated[Place | None, Unset] = None
    virtual_env: Annotated[Place | None, Unset] = None
    setup: tuple[Text, ...] = ()
    setup_optional: StrictBool = False
    cwd: Annotated[Annotated[StrictStr, AfterValidator(_check_cwd)] | None, Unset] = None
    command_choices: tuple[Text, ...] = ()
    takes_slot: StrictBool = True
    slots: Slots | None = None
    timeout_s: Duration | None = None
    approval: dict[Approval, tuple[Text, ...]] = Field(default_factory=dict)
    session_new: tuple[Template, ...] = ()
    session_resume: tuple[Template, ...] = ()
    resume_prompt: StrictStr = "Continue where you stopped."
    adapter: Annotated[StrictStr, AfterValidator(_check_adapter)] = ""
    read: Reading = Reading()
    output: Literal["stdout", "stderr", "none"] = "stdout"
    max_output_bytes: SomeBytes | None = None

    @model_validator(mode="after")
    def _can_be_run(self) -> Self:
        names = self.argv_names
        for option, argv in (
            ("argv", self.argv),
            ("interactive_argv", self.interactive_argv),
            ("script_argv", self.script_argv),
        ):
            if argv or option == "argv":
                self._begins_with_a_program(option, argv)
        if "executable" in names and not (self.executables or self.path):
            raise ValueError("it is nowhere said what $executable is: set `executables` or `path`")
        if not names & {"prompt", "command"}:
            raise ValueError("argv holds neither $prompt nor $command: the task would not reach the tool")
        return self

    @model_validator(mode="after")
    def _has_a_place_for_all(self) -> Self:
        names = self.argv_names
        if (self.session_new or self.session_resume) and "session" not in names:
            raise ValueError("argv has no $session: add it where session_new and session_resume belong")
        for part in (*self.session_new, *self.session_resume):
            if template.names(part) - {"session_id"}:
                raise ValueError(f"{part!r}: a session's arguments hold no variable but $session_id")
        if any(template.names(part) - {"folder"} for part in self.folder_argv):
            raise ValueError("folder_argv holds no variable but $folder")
        if self.folder_argv and "folders" not in names:
            raise ValueError("argv has no $folders: add it where folder_argv belongs")
        if any(self.approval.values()) and "approval" not in names:
            raise ValueError("argv has no $approval: add it where the arguments of `approval` belong")
        return self

    @model_validator(mode="after")
    def _is_bounded(self) -> Self:
        if not self.takes_slot and self.slots is None:
            raise ValueError("it takes no slot of the agent and has no `slots`: say how many may run at once")
        if self.command_choices and not self.takes_command:
            raise ValueError("argv has no $command: add it, or take command_choices out")
        return self

    @model_validator(mode="after")
    def _is_read_by_one(self) -> Self:
        generic = self.adapter == "generic" or (not self.adapter and self.name not in ADAPTER_NAMES)
        if not generic and self.read != Reading():
            raise ValueError(
                '`read` is for the generic adapter alone: set adapter = "generic", or take `read` out'
            )
        return self

    def _begins_with_a_program(self, option: str, argv: Argv) -> None:
        if not argv or isinstance(argv[0], tuple):
            raise ValueError(f'{option} does not begin with a program: begin it with "$executable"')
        if argv[0] != "$executable" and not argv[0].startswith("/"):
            raise ValueError(
                f'{option} begins with {argv[0]!r}: begin it with "$executable" or an absolute path'
            )

    def argv_of(self, *, interactive: bool) -> Argv:
        """Return the arguments for a task that is run with or without a person."""
        return self.interactive_argv if interactive and self.interactive_argv else self.argv

    @property
    def argv_names(self) -> frozenset[str]:
        """Return every variable of the tool's arguments."""
        parts = _flat((*self.argv, *self.interactive_argv))
        return frozenset().union(*(template.names(part) for part in parts))

    @property
    def required_names(self) -> frozenset[str]:
        """Return the variables of `argv` that are not in an optional group."""
        return frozenset().union(*(template.names(part) for part in self.argv if isinstance(part, str)))

    @property
    def takes_prompt(self) -> bool:
        """Tell whether the tool is given a prompt."""
        return "prompt" in self.argv_names

    @property
    def takes_command(self) -> bool:
        """Tell whether the task's command is free text for the tool."""
        return "command" in self.argv_names

    def secrets_file(self, configs: Path) -> Path:
        """Return where the tool's secrets are, or would be."""
        return Path(self.env_file) if self.env_file else configs / "env" / f"{self.name}.env"


def _flat(argv: tuple[str | tuple[str, ...], ...]) -> tuple[str, ...]:
    return tuple(text for part in argv for text in ((part,) if isinstance(part, str) else part))
