"""One tool in words: how it is run, its commands with their prompts, and what came of a try."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agent.cli.table import block, span
from agent.sanitize import one_line as text
from agent.sanitize import plain

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent.inspect.tools import Found
    from agent.tools.definition import ToolDefinition


def lines(found: Found, defined: dict[str, Any]) -> Iterator[str]:
    """Yield all that a person may want to know of one tool.

    Args:
        found: what there is of it.
        defined: where it and its commands are defined.
    """
    tool, probe = found.tool, found.probe
    yield f"{text(tool.name)}: {text(tool.about)}"
    yield f"{'defined':<12} {text(defined['tool'])}"
    found_by = f" (by {probe.source})" if probe.source else ""
    yield f"{'program':<12} {text(probe.executable or 'not found')}{found_by}"
    yield f"{'version':<12} {text(found.version or 'unknown')}"
    yield f"{'arguments':<12} {text(_argv(tool))}"
    yield f"{'secrets':<12} {text(probe.env_file)} ({probe.env_file_state})"
    if found.logins:
        yield f"{'logins':<12} {text(', '.join(found.logins))}"
    yield f"{'slots':<12} {tool.slots if tool.slots is not None else 'as many as the agent has'}"
    yield f"{'time limit':<12} {f'{tool.timeout_s:g} s' if tool.timeout_s else 'as agent.toml says'}"
    for problem in found.problems:
        yield f"{'problem':<12} {text(problem.sentence())}"
    for name, command in sorted(tool.commands.items()):
        needed, optional = ", ".join(command.required), ", ".join(command.defaults)
        about = f"needs {needed or 'nothing'}" + (f", takes {optional}" if optional else "")
        yield f"\ncommand {text(name)}: {text(command.about or about)}"
        if command.about:
            yield f"  {text(about)}"
        yield f"  {text(defined['commands'][name])}"
        yield from (f"  | {line}" for line in plain(command.prompt).strip().splitlines())


def _argv(tool: ToolDefinition) -> str:
    return " ".join(part if isinstance(part, str) else f"[{' '.join(part)}]" for part in tool.argv)


def tried_lines(tried: dict[str, Any]) -> Iterator[str]:
    """Yield what came of a try."""
    verdict = "works" if tried["works"] else "does not work"
    how = tried["outcome"] or tried["state"]
    yield text(f"{tried['tool']} {verdict}: {how}: {tried['reason']}")
    if tried["question"]:
        yield from block("it asks", tried["question"])
    if tried["text"]:
        yield from block("answer", tried["text"])
    usage = tried["usage"] or {}
    if usage.get("input_tokens") is not None or usage.get("output_tokens") is not None:
        yield f"{'tokens':<12} {usage['input_tokens'] or 0} in, {usage['output_tokens'] or 0} out"
    if usage.get("cost_usd") is not None:
        yield f"{'cost':<12} {usage['cost_usd']:.4f} USD"
    if tried["duration_s"] is not None:
        yield f"{'took':<12} {span(tried['duration_s'])}"
    where = (
        "in the agent's environment" if tried["tried_by"] == "agent" else "from this terminal: no agent works"
    )
    yield f"{'tried':<12} {where}"
