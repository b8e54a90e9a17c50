"""Charm's Crush (`crush`): text alone. It asks nobody, so that what would need a question is taken away."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from agent.tools import hooks, plaintext
from agent.tools.adapter import Need, Said, Seed, Signs
from agent.tools.verdict import report

if TYPE_CHECKING:
    from agent.tools.report import Report

SIGNS = Signs(text=r"Permission Required|Allow for Session|Choose a (?:provider|model)|Enter your .*API key")

_WRITING = ["bash", "job_kill", "job_output", "download", "edit", "multiedit", "write", "lsp_restart"]
_FATAL = re.compile(
    r"^\s*(?:ERROR|Error:|FATAL|panic:)\s|agent processing failed|no providers? configured", re.IGNORECASE
)
_REFUSED = re.compile(r"user denied permission|permission denied for tool|tool is disabled", re.IGNORECASE)


def seed(need: Need) -> Seed:
    """Give it a data folder of its own, which it locks, and headless only the tools that need no question."""
    options: dict[str, object] = {
        "data_directory": str(need.config_dir / "data"),
        "disable_metrics": True,
        "disable_provider_auto_update": True,
    }
    if need.task.approval == "read-only" or (need.task.approval == "ask" and need.headless):
        options["disabled_tools"] = _WRITING
    # a folder of settings for each choice: a prepared one is used by tasks of every kind
    name = "reading" if "disabled_tools" in options else "config"
    env = {
        "CRUSH_GLOBAL_CONFIG": str(need.config_dir / name),
        "CRUSH_GLOBAL_DATA": str(need.config_dir / "share"),
        "CRUSH_DISABLE_METRICS": "1",
    }
    return Seed(files={f"{name}/crush.json": hooks.as_bytes({"options": options})}, env=env)


def read(said: Said) -> Report:
    """Say what an attempt came to."""
    return report(said, plaintext.read(said, fatal=_FATAL, refused=_REFUSED))


def question(raw: str) -> str:
    """Say that it waits: it has no hooks."""
    return hooks.question(raw)
