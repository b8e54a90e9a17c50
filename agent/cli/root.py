"""The group of all commands. `aispool --help` reads the table below and imports no command."""

from __future__ import annotations

from typing import Final

import click

from agent.cli.lazy import LazyGroup
from agent.cli.place import Place

COMMANDS: Final = {
    "init": ("agent.cli.init", "Make a workspace, or bring its scripts up to date."),
    "submit": ("agent.cli.submit", "Drop tasks into the workspace and print their ids."),
    "ls": ("agent.cli.listing", "List what waits, what runs, and the latest results."),
    "top": ("agent.cli.top", "Show all tasks live, in a terminal, with keys to act on them."),
    "show": ("agent.cli.show", "Show all that is known of one task."),
    "logs": ("agent.cli.logs", "Print what a task printed; -f follows it."),
    "wait": ("agent.cli.wait", "Wait until tasks are over; 0 only when all succeeded."),
    "attach": ("agent.cli.attach", "Attach this terminal to a running task."),
    "answer": ("agent.cli.answer", "Answer a task that waits for a person."),
    "cancel": ("agent.cli.cancel", "Cancel tasks, waiting or running."),
    "retry": ("agent.cli.retry", "Run finished tasks again."),
    "hold": ("agent.cli.hold", "Put waiting tasks on hold."),
    "release": ("agent.cli.hold", "Release tasks that are on hold."),
    "pause": ("agent.cli.pause", "Stop claiming: in all, of a tool, or of a group."),
    "resume": ("agent.cli.pause", "Claim again after a pause."),
    "edit": ("agent.cli.edit", "Edit a task while it waits."),
    "clean": ("agent.cli.clean", "Remove what retention no longer keeps, now."),
    "report": ("agent.cli.report", "Say what was done, failed, waits and cost."),
    "usage": ("agent.cli.usage", "Add up tokens and money, by tool, day or label."),
    "health": ("agent.cli.health", "Show how this host is, and keep it as a log."),
    "doctor": ("agent.cli.doctor", "Check this machine and say what to do."),
    "tools": ("agent.cli.tools", "List the tools that tasks can name."),
    "ask": ("agent.cli.ask", "Ask one model; what is complex goes to all roles."),
    "collab": ("agent.cli.collab", "Ask several models one question, each in its role."),
    "fleet": ("agent.cli.fleet", "Connect hosts, and see how they are."),
    "collector": ("agent.cli.collector", "Send to the hosts of a fleet, and collect from them."),
    "audit": ("agent.cli.audit", "Read who asked for what, and what was run."),
    "serve": ("agent.cli.serve", "Serve the web page and the API."),
    "token": ("agent.cli.token", "Make and revoke tokens for the page and the API."),
    "agent": ("agent.cli.run_agent", "Run the agent of this host."),
    "completion": ("agent.cli.completion", "Print the completion script of a shell."),
}
"""Name → module, in which the command has the same name with `_command` behind it, and its first sentence."""


class RootGroup(LazyGroup):
    """All commands."""

    table = COMMANDS


def _print_version(ctx: click.Context, _parameter: click.Parameter, wanted: bool) -> None:  # noqa: FBT001 - click
    if wanted and not ctx.resilient_parsing:
        import importlib.metadata  # noqa: PLC0415 - a quarter of what `--help` would take

        click.echo(f"aispool {importlib.metadata.version('aispool')}")
        ctx.exit()


@click.group(
    cls=RootGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.option(
    "--workspace",
    "-w",
    metavar="DIR",
    help="The workspace. Default: AISPOOL_WORKSPACE, else ~/ai-workspace.",
)
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_print_version, help="Print it."
)
@click.pass_context
def cli(ctx: click.Context, workspace: str | None) -> None:
    """Drop a JSON file in a folder, get a result.

    The workspace is a folder of plain files: whatever a command does here, a person with a shell can do by
    hand. Commands that read take --json and print one document.

    Examples:
      aispool init                                        make ~/ai-workspace
      aispool submit --tool shell --command 'date' --wait  run something
      aispool ls                                          see where things stand
      aispool logs -f ID                                  follow a task

    Exit codes: 0 done, 1 your input or a failed task, 2 usage, 3 our bug, 130 interrupted.
    """
    ctx.obj = Place(workspace)
