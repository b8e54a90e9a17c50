"""Blackbox AI's command line (`blackbox`): text alone."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from agent.tools import hooks, plaintext
from agent.tools.adapter import Need, Said, Seed, Signs
from agent.tools.verdict import report

if TYPE_CHECKING:
    from agent.tools.report import Report

SIGNS = Signs(title=r"✋", text=r"Apply this change\?|Allow execution|Waiting for user confirmation")

_FATAL = re.compile(r"^\s*\[?(?:API Error|Error when talking to|Error:|Fatal\b|✕)", re.IGNORECASE)
_REFUSED = re.compile(
    r"denied by policy|requires (?:user )?(?:confirmation|approval|permission)", re.IGNORECASE
)


def seed(need: Need) -> Seed:
    """Give it a home of its own for its settings."""
    settings = {
        "disableAutoUpdate": True,
        "usageStatisticsEnabled": False,
        "security": {"folderTrust": {"enabled": False}},
    }
    return Seed(
        files={".blackboxcli/settings.json": hooks.as_bytes(settings)},
        env={"BLACKBOX_CLI_HOME": str(need.config_dir)},
    )


def read(said: Said) -> Report:
    """Say what an attempt came to."""
    return report(said, plaintext.read(said, fatal=_FATAL, refused=_REFUSED))


def question(raw: str) -> str:
    """Say that it waits: it has no hooks."""
    return hooks.question(raw)
