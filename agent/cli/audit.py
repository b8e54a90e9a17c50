"""`aispool audit`: who asked for what, what was proposed, approved and run. Its help imports no command."""

from __future__ import annotations

from typing import Final

import click

from agent.cli.lazy import LazyGroup

COMMANDS: Final = {
    "verify": ("agent.cli.audit_verify", "Check that nothing in the log was changed, removed or put in."),
    "search": ("agent.cli.audit_search", "Find entries by what they say, their task, event or time."),
}


class AuditGroup(LazyGroup):
    """The commands below `aispool audit`."""

    table = COMMANDS


@click.group(
    "audit",
    cls=AuditGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
def audit_command() -> None:
    """Read logs/audit.jsonl: who asked, what was proposed, rated, approved and run, with what result.

    Each line holds the digest of the line before it, so that a change shows.

    Examples:
      aispool audit verify
      aispool audit search --task ID
      tail -f ~/ai-workspace/logs/audit.jsonl | jq -c '{at, event, who, task_id}'
    """
