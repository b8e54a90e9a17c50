"""`aispool collab`: the collaborative pipeline. Its help reads the table below and imports no command."""

from __future__ import annotations

from typing import Final

import click

from agent.cli.lazy import LazyGroup

COMMANDS: Final = {
    "run": ("agent.cli.collab_run", "Ask several models one question."),
    "show": ("agent.cli.collab_show", "Show a run: its steps, scores, commands and report."),
    "providers": ("agent.cli.collab_providers", "List who could answer a role, and what is missing."),
    "login": ("agent.cli.collab_login", "Log in to a provider, or give its key."),
    "approve": ("agent.cli.collab_approve", "Approve the commands of a run, byte for byte."),
    "label": ("agent.cli.collab_label", "Say how a run turned out."),
    "metrics": ("agent.cli.collab_metrics", "Show how roles and providers do."),
    "tune": ("agent.cli.collab_tune", "Propose who should play which role."),
    "memory": ("agent.cli.collab_memory", "Look at what runs remember, or have it forgotten."),
}
"""Name → module, in which the command has the name `NAME_command`, and its first sentence."""


class CollabGroup(LazyGroup):
    """The commands below `aispool collab`."""

    table = COMMANDS


@click.group(
    "collab",
    cls=CollabGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
def collab_command() -> None:
    """Ask several models one question, each in its role.

    A validator judges what they say, and code computes how far they agree and how far to trust it.

    Examples:
      aispool collab run "¿Por qué mi sistema está lento?"     ask, and follow it
      aispool collab run --dry-run "why is my disk full?"      say who would answer, and ask nobody
      aispool collab show ID                                   what came of it
    """
