"""Whether a tool finds a key or a login, by names alone: no value is read, and nothing is sent.

A tool runs with a private configuration folder, so a login in the home folder is none for it: what counts is
a key in its environment, or a login that a person prepared in configs/runners/TOOL/NAME.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from agent.tools.environment import names_in, secrets_files
from spool.refusal import Refusal

if TYPE_CHECKING:
    from collections.abc import Collection

    from agent.tools.definition import ToolDefinition

_PROVIDERS: Final = ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY", "OPENROUTER_API_KEY")
KEYS: Final[dict[str, tuple[str, ...]]] = {
    "aider": (*_PROVIDERS, "AIDER_OPENAI_API_KEY", "AIDER_ANTHROPIC_API_KEY", "DEEPSEEK_API_KEY"),
    "blackbox": ("BLACKBOX_API_KEY",),
    "claude": (
        *("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "CLAUDE_CODE_OAUTH_TOKEN"),
        *("CLAUDE_CODE_USE_BEDROCK", "CLAUDE_CODE_USE_VERTEX"),
    ),
    "codex": ("OPENAI_API_KEY", "CODEX_API_KEY", "AZURE_OPENAI_API_KEY"),
    "crush": (*_PROVIDERS, "GROQ_API_KEY"),
    "gemini": ("GEMINI_API_KEY", "GOOGLE_API_KEY", "GOOGLE_GENAI_USE_VERTEXAI"),
    "opencode": (*_PROVIDERS, "OPENCODE_API_KEY", "OPENCODE_CONFIG_CONTENT"),
    "qwen": ("OPENAI_API_KEY", "DASHSCOPE_API_KEY", "QWEN_API_KEY"),
}
"""Any one of them is enough; which one a tool takes depends on the provider that it is told to use."""
_SHOWN: Final = 3


def missing(tool: ToolDefinition, configs: Path, inherited: Collection[str]) -> Refusal | None:
    """Say that a tool finds neither key nor login, and what to do; None when it does, or needs none.

    Args:
        tool: one that is installed.
        configs: the workspace's.
        inherited: names that are set in the environment of the agent.
    """
    wanted = KEYS.get(tool.adapter or tool.name)
    if wanted is None or prepared_logins(tool.name, configs):
        return None
    if not set(wanted).isdisjoint(_names(tool, configs, inherited)):
        return None
    shown = ", ".join(wanted[:_SHOWN]) + (" …" if len(wanted) > _SHOWN else "")
    return Refusal(
        f"{tool.name} finds no key ({shown}) and no login",
        f"put a key into {tool.secrets_file(configs)} (mode 0600), or log in once in a folder of its own "
        f"below {configs / 'runners' / tool.name}",
    )


def prepared_logins(tool: str, configs: Path) -> list[str]:
    """Return the names of the folders in which a person logged in, sorted."""
    try:
        with os.scandir(configs / "runners" / tool) as entries:
            names = [entry.name for entry in entries if entry.is_dir()]
    except (FileNotFoundError, NotADirectoryError):
        return []
    return sorted(name for name in names if not name.startswith((".", "task-")))


def _names(tool: ToolDefinition, configs: Path, inherited: Collection[str]) -> set[str]:
    files = secrets_files(tool, configs)
    secret = () if isinstance(files, Refusal) else (name for file in files for name in names_in(Path(file)))
    names = {*inherited, *tool.env, *secret}
    return names | {name for name, others in tool.env_aliases.items() if not names.isdisjoint(others)}
