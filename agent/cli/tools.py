"""`aispool tools`: what tasks can name, and whether it is installed here."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from agent.cli.command import Command, Group
from agent.cli.place import InputError, Place, failed, json_option, pass_place, print_json

if TYPE_CHECKING:
    from agent.inspect.tools import Found
    from agent.tools.definition import ToolDefinition
    from agent.tools.registry import Registry


@click.group("tools", cls=Group, invoke_without_command=True)
@click.option("--versions", "ask", is_flag=True, help="Ask each tool whose version no package tells.")
@json_option
@click.pass_context
def tools_command(ctx: click.Context, *, ask: bool, as_json: bool) -> None:
    """List the tools that tasks can name: which are installed, which version, and what is missing.

    configs/tools.toml adds tools, and changes the built-in ones. A key that is there may still be wrong:
    `aispool tools try NAME` calls the tool once.

    Examples:
      aispool tools
      aispool tools show gemini
      aispool tools try gemini
      aispool tools --versions --json | jq -r '.tools[] | select(.ready) | [.name, .version] | @tsv'
    """
    from agent.cli.unread import usable_config  # noqa: PLC0415
    from agent.inspect.documents import document  # noqa: PLC0415 - `--help` needs none of it
    from agent.inspect.tools import document_of, look  # noqa: PLC0415

    if ctx.invoked_subcommand is not None:
        return
    place = ctx.ensure_object(Place)
    registry = _registry(place)
    found = look(place.workspace, [registry.tools[name] for name in registry.names()], ask=ask)
    if as_json:
        slots = registry.slots(usable_config(place, "its slots are left out"))
        documents = [document_of(one, slots.get(one.tool.name)) for one in found]
        print_json(document(place.workspace, tools=documents))
        return
    _print(found)


@tools_command.command("show", cls=Command)
@click.argument("name", metavar="NAME", shell_complete=lambda ctx, _p, begun: _complete(ctx, begun))
@json_option
@pass_place
def show_tool(place: Place, *, name: str, as_json: bool) -> None:
    """Show one tool: how it is run, its commands, their prompts, and where each is defined.

    Examples:
      aispool tools show shell
      aispool tools show qwen --json | jq .definition.argv
    """
    from agent.cli.tool_lines import lines  # noqa: PLC0415 - `--help` needs none of it
    from agent.cli.unread import usable_config  # noqa: PLC0415
    from agent.inspect.documents import document  # noqa: PLC0415
    from agent.inspect.tools import document_of, look, origins  # noqa: PLC0415

    registry = _registry(place)
    tool = _tool(registry, name)
    (found,) = look(place.workspace, [tool], ask=True)
    defined = origins(place.workspace, tool)
    if as_json:
        slots = registry.slots(usable_config(place, "its slots are left out")).get(name)
        print_json(document(place.workspace, **document_of(found, slots), defined_in=defined))
        return
    for line in lines(found, defined):
        click.echo(line)


@tools_command.command("try", cls=Command)
@click.argument("name", metavar="NAME", shell_complete=lambda ctx, _p, begun: _complete(ctx, begun))
@click.option(
    "--timeout", "timeout_s", type=click.FloatRange(min=1), default=120.0, show_default=True, metavar="S",
    help="Give up after so long.",
)  # fmt: skip
@json_option
@pass_place
def try_command(place: Place, *, name: str, timeout_s: float, as_json: bool) -> None:
    """Call a tool once, with a question of six words; exit 0 only when it answers.

    The agent that works here makes the call, in its own environment; where none does, this command makes
    it. It costs what a few tokens cost, and nothing may be changed where the tool can be told so.

    Examples:
      aispool tools try gemini
      aispool tools try claude --timeout 30 --json | jq -r .outcome
    """
    from agent.cli.tool_lines import tried_lines  # noqa: PLC0415 - `--help` needs none of it
    from agent.cli.try_tool import try_tool  # noqa: PLC0415
    from agent.inspect.documents import document  # noqa: PLC0415

    registry = _registry(place)
    tried = try_tool(place, registry, _tool(registry, name), timeout_s)
    if as_json:
        print_json(document(place.workspace, **tried))
    else:
        for line in tried_lines(tried):
            click.echo(line)
    if not tried["works"]:
        raise failed()


def _registry(place: Place) -> Registry:
    from agent.tools.registry import Registry  # noqa: PLC0415

    return Registry.load(place.workspace)


def _tool(registry: Registry, name: str) -> ToolDefinition:
    tool = registry.get(name)
    if tool is None:
        raise InputError(f"there is no tool {name!r}: the tools are {', '.join(registry.names())}")
    return tool


def _complete(ctx: click.Context, begun: str) -> list[str]:
    from agent.cli.ids import place_of  # noqa: PLC0415
    from agent.config import ConfigError  # noqa: PLC0415
    from spool.workspace import WorkspaceError  # noqa: PLC0415

    try:
        names = _registry(place_of(ctx)).names()
    except (OSError, ConfigError, WorkspaceError):
        return []  # a shell asks while a person types
    return [name for name in names if name.startswith(begun)]


def _print(tools: list[Found]) -> None:
    from agent.cli.table import rows  # noqa: PLC0415

    body = [
        (
            found.tool.name,
            "yes" if found.ready else "no",
            found.version or "-",
            found.probe.executable or "-",
            # what a person needs to know first: what stops it, else what it is
            found.problems[0].sentence() if found.problems else found.tool.about,
        )
        for found in tools
    ]
    for line in rows(("TOOL", "READY", "VERSION", "PROGRAM", "ABOUT"), body):
        click.echo(line)
