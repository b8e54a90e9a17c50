"""`aispool tools`: what tasks can name, and whether it is installed here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from agent.cli.command import Command, Group
from agent.cli.place import InputError, Place, json_option, pass_place, print_json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent.tools.definition import ToolDefinition
    from agent.tools.probe import ToolProbe
    from agent.tools.registry import Registry


@click.group("tools", cls=Group, invoke_without_command=True)
@json_option
@click.pass_context
def tools_command(ctx: click.Context, *, as_json: bool) -> None:
    """List the tools that tasks can name, and what stops each from running here.

    configs/tools.toml adds tools, and changes the built-in ones.

    Examples:
      aispool tools
      aispool tools show gemini
      aispool tools --json | jq -r '.tools[] | select(.ready) | .name'
    """
    from agent.inspect.documents import document  # noqa: PLC0415 - `--help` needs none of it

    if ctx.invoked_subcommand is not None:
        return
    place = ctx.ensure_object(Place)
    registry = _registry(place)
    probes = [(registry.tools[name], _probe(place, registry.tools[name])) for name in registry.names()]
    if as_json:
        slots = registry.slots(place.config)
        documents = [_document(tool, probe, slots.get(tool.name)) for tool, probe in probes]
        print_json(document(place.workspace, tools=documents))
        return
    _print(probes)


@tools_command.command("show", cls=Command)
@click.argument("name", metavar="NAME", shell_complete=lambda ctx, _p, begun: _complete(ctx, begun))
@json_option
@pass_place
def show_tool(place: Place, *, name: str, as_json: bool) -> None:
    """Show one tool: how it is run, its commands and their parameters.

    Examples:
      aispool tools show shell
      aispool tools show qwen --json | jq .definition.argv
    """
    from agent.inspect.documents import document  # noqa: PLC0415 - `--help` needs none of it

    registry = _registry(place)
    tool = registry.get(name)
    if tool is None:
        raise InputError(f"there is no tool {name!r}: the tools are {', '.join(registry.names())}")
    probe = _probe(place, tool)
    if as_json:
        slots = registry.slots(place.config).get(name)
        print_json(document(place.workspace, **_document(tool, probe, slots)))
        return
    for line in _lines(tool, probe):
        click.echo(line)


def _registry(place: Place) -> Registry:
    from agent.tools.registry import Registry  # noqa: PLC0415

    return Registry.load(place.workspace)


def _probe(place: Place, tool: ToolDefinition) -> ToolProbe:
    from agent.tools.probe import probe  # noqa: PLC0415

    return probe(tool, place.workspace)


def _complete(ctx: click.Context, begun: str) -> list[str]:
    from agent.cli.ids import place_of  # noqa: PLC0415
    from agent.config import ConfigError  # noqa: PLC0415
    from spool.workspace import WorkspaceError  # noqa: PLC0415

    try:
        names = _registry(place_of(ctx)).names()
    except (OSError, ConfigError, WorkspaceError):
        return []  # a shell asks while a person types
    return [name for name in names if name.startswith(begun)]


def _document(tool: ToolDefinition, probe: ToolProbe, slots: int | None) -> dict[str, Any]:
    return {
        "name": tool.name,
        "about": tool.about,
        "ready": probe.ready,
        "executable": probe.executable,
        "found_by": probe.source,
        "virtual_env": probe.virtual_env,
        "env_file": probe.env_file,
        "env_file_state": probe.env_file_state,
        "slots": slots,
        "problems": [{"what": p.what, "remedy": p.remedy} for p in probe.problems],
        "commands": sorted(tool.commands),
        "definition": tool.model_dump(mode="json"),
    }


def _print(probes: list[tuple[ToolDefinition, ToolProbe]]) -> None:
    from agent.cli.table import rows  # noqa: PLC0415

    body = [
        (
            tool.name,
            "yes" if probe.ready else "no",
            probe.executable or "-",
            _most_important(tool, probe),
        )
        for tool, probe in probes
    ]
    for line in rows(("TOOL", "READY", "PROGRAM", "ABOUT"), body):
        click.echo(line)


def _most_important(tool: ToolDefinition, probe: ToolProbe) -> str:
    """Return what a person needs to know first: what stops it, else what it is."""
    return probe.problems[0].sentence() if probe.problems else tool.about


def _lines(tool: ToolDefinition, probe: ToolProbe) -> Iterator[str]:
    from agent.inspect.sanitize import one_line, plain  # noqa: PLC0415

    def text(value: object) -> str:
        return one_line(value)

    yield f"{text(tool.name)}: {text(tool.about)}"
    found_by = f" (by {probe.source})" if probe.source else ""
    yield f"{'program':<12} {text(probe.executable or 'not found')}{found_by}"
    yield f"{'arguments':<12} {text(_argv(tool))}"
    yield f"{'secrets':<12} {text(probe.env_file)} ({probe.env_file_state})"
    yield f"{'slots':<12} {tool.slots if tool.slots is not None else 'as many as the agent has'}"
    yield f"{'time limit':<12} {f'{tool.timeout_s:g} s' if tool.timeout_s else 'as agent.toml says'}"
    for problem in probe.problems:
        yield f"{'problem':<12} {text(problem.sentence())}"
    for name, command in sorted(tool.commands.items()):
        needed, optional = ", ".join(command.required), ", ".join(command.defaults)
        about = f"needs {needed or 'nothing'}" + (f", takes {optional}" if optional else "")
        yield f"\ncommand {text(name)}: {text(command.about or about)}"
        if command.about:
            yield f"  {text(about)}"
        yield from (f"  | {line}" for line in plain(command.prompt).strip().splitlines())


def _argv(tool: ToolDefinition) -> str:
    return " ".join(part if isinstance(part, str) else f"[{' '.join(part)}]" for part in tool.argv)
