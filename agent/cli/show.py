"""`aispool show ID`: everything that is known of one task, and where its files are."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from agent.cli.command import command
from agent.cli.hosts import hosts_option
from agent.cli.ids import id_argument
from agent.cli.place import Place, json_option, pass_place, print_json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spool.records import Usage
    from spool.view import View
    from spool.workspace import Workspace


@command("show")
@id_argument("tasks", "held", "sessions", "results")
@hosts_option("--all-hosts", "--all")
@json_option
@pass_place
def show_command(place: Place, *, task_id: str, as_json: bool) -> None:
    """Show all that is known of one task: its state and why, its attempts, its answer, its files.

    The name of a rejected file shows why it was rejected.

    Examples:
      aispool show nightly-build
      aispool show nightly-build --json | jq -r .result.output.text
    """
    from agent.inspect.documents import document, of_task  # noqa: PLC0415 - `--help` needs none of it
    from agent.service.errors import ServiceError  # noqa: PLC0415

    try:
        place = place.of(task_id)
        view = place.find(task_id)
    except ServiceError:
        refusal = _refusal(place.workspace, task_id)
        if as_json:
            print_json(document(place.workspace, rejected=refusal))
        else:
            _print_refusal(refusal)
        return
    found = of_task(place.workspace, view)
    if as_json:
        print_json(found)
        return
    for line in _lines(view, found):
        click.echo(line)


def _refusal(workspace: Workspace, name: str) -> dict[str, Any]:
    """Return the explanation of a rejected file, given its name, its stem, or the id that it asked for."""
    from agent.service.places import unknown  # noqa: PLC0415
    from spool.names import TASK_SUFFIX  # noqa: PLC0415
    from spool.view import rejected  # noqa: PLC0415

    for file in reversed(rejected(workspace)):
        try:
            explanation = json.loads(file.explanation.read_bytes())
        except (OSError, ValueError):
            continue  # being written or removed by hand: the next may be the one
        names = {file.name, file.name.removesuffix(TASK_SUFFIX), explanation.get("task_id")}
        if name in names:
            return {**explanation, "path": str(file.path), "explanation": str(file.explanation)}
    raise unknown(workspace, name)


def _print_refusal(refusal: dict[str, Any]) -> None:
    from agent.sanitize import one_line  # noqa: PLC0415

    where = refusal.get("where") or {}
    place = ", ".join(f"{name} {value}" for name, value in where.items() if value is not None)
    for label, value in (
        ("rejected", refusal.get("file")),
        ("what", refusal.get("what")),
        ("where", place),
        ("remedy", refusal.get("remedy")),
        ("at", refusal.get("rejected_at")),
        ("file", refusal.get("path")),
        ("explanation", refusal.get("explanation")),
    ):
        if value:
            click.echo(f"{label:<12} {one_line(value)}")


def _lines(view: View, found: dict[str, Any]) -> Iterator[str]:
    from agent.cli.table import block  # noqa: PLC0415
    from agent.sanitize import one_line, plain  # noqa: PLC0415

    for label, value in _fields(view, found):
        if value not in {None, ""}:
            yield f"{label:<12} {one_line(value)}"
    if view.status and view.status.question:
        yield from block("asks", view.status.question)
        yield f"{'':<12} answer it: aispool answer {one_line(view.task_id)} TEXT"
    for attempt in found["attempts"]:
        yield f"{'attempt ' + str(attempt['number']):<12} {one_line(_attempt(attempt))}"
        yield f"{'':<12} {one_line(attempt['folder'])}"
    for warning in view.result.warnings if view.result else ():
        yield f"{'warning':<12} {one_line(warning)}"
    if view.result and view.result.output.text:
        yield ""
        yield plain(view.result.output.text).rstrip("\n")
        if view.result.output.truncated:
            yield "[the output was cut; the files hold as much as was kept]"


def _fields(view: View, found: dict[str, Any]) -> Iterator[tuple[str, object]]:
    from agent.cli.table import span  # noqa: PLC0415

    yield "id", view.task_id
    yield "state", f"{view.state}: {view.reason}"
    yield "tool", " ".join((view.tool, _first_line(view.command)))
    yield "outcome", view.result.outcome if view.result else None
    for label in ("changed_at", "started_at", "finished_at"):
        yield label.replace("_at", ""), found[label]
    yield "goes on", found["next_attempt_at"]
    yield "took", span(found["duration_s"]) if found["duration_s"] is not None else None
    if view.result:
        yield from _usage(view.result.usage)
        yield "artifacts", ", ".join(view.result.artifacts)
        # links could lead anywhere, so they are not copied from other hosts
        yield "only there", ", ".join(found["left_out"])
    task = found["task"] or {}
    yield "needs", ", ".join(task.get("dependencies", ()))
    yield "labels", ", ".join(found["labels"])
    yield "attach", found["attach"]
    yield "log", found["log"]
    yield "lies in", found["path"]


def _usage(usage: Usage) -> Iterator[tuple[str, str]]:
    known = usage.input_tokens is not None or usage.output_tokens is not None
    if known:
        yield "tokens", f"{usage.input_tokens or 0} in, {usage.output_tokens or 0} out"
    if usage.cost_usd is not None:
        yield "cost", f"{usage.cost_usd:.4f} USD"
    elif known:
        yield "cost", "unknown (the tool does not say)"


def _first_line(command: str) -> str:
    lines = command.strip().splitlines()
    return lines[0] + (" …" if len(lines) > 1 else "") if lines else ""


def _attempt(attempt: dict[str, Any]) -> str:
    ended = attempt["exit"]
    if attempt["damage"]:
        return str(attempt["damage"])
    if not ended:
        return str(attempt["phase"])
    if ended["error"]:
        return f"not started: {ended['error']}"
    how = f"exit code {ended['exit_code']}" if ended["signal"] is None else f"signal {ended['signal']}"
    by = f", ended by {ended['ended_by']}" if ended["ended_by"] else ""
    return f"{how}{by}, {ended['duration_s']:.1f} s"
