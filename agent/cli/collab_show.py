"""`aispool collab show ID`: what came of a run, whether it is over or still going on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from agent.cli.command import command
from agent.cli.ids import id_argument
from agent.cli.place import InputError, Place, json_option, pass_place, print_json

if TYPE_CHECKING:
    from pathlib import Path


@command("show")
@id_argument("sessions", "results")
@click.option("--steps", is_flag=True, help="Print each step: who was asked, how it went, what it cost.")
@json_option
@pass_place
def show_command(place: Place, *, task_id: str, steps: bool, as_json: bool) -> None:
    """Show a run: its report, or how far it is.

    Everything is in files: sessions/ID/collab/, and results/ID/collab/ once it is over.

    Examples:
      aispool collab show ID
      aispool collab show ID --steps
      aispool collab show ID --json | jq .report.consensus
    """
    from agent.collab import runs  # noqa: PLC0415 - `--help` needs none of it
    from agent.sanitize import plain  # noqa: PLC0415
    from agent.service.collab.documents import document_of, report_text  # noqa: PLC0415

    folder = runs.folder_of(place.workspace, task_id)
    if folder is None:
        view = place.find(task_id)
        if view.tool != "collab":
            raise InputError(
                f"{task_id} is no collaborative run, but a task of {view.tool or 'an unknown tool'}"
            )
        raise InputError(f"{task_id} has not begun: {view.reason}")
    if as_json:
        print_json(document_of(place.workspace, task_id))
        return
    text = None if steps else report_text(place.workspace, task_id)
    if text is not None:
        click.echo(plain(text).rstrip("\n"))
        return
    for line in _step_lines(folder):
        click.echo(line)


def _step_lines(folder: Path) -> list[str]:
    from agent.collab.steps import Steps  # noqa: PLC0415
    from agent.sanitize import one_line  # noqa: PLC0415

    lines = []
    for step in Steps(folder).all():
        took_s = (step.finished_at - step.started_at).total_seconds()
        who = f"{step.provider or '-'} {step.model or ''}".strip()
        tokens = f"{step.usage.input_tokens or 0} in, {step.usage.output_tokens or 0} out"
        calls = f"{len(step.calls)} call{'' if len(step.calls) == 1 else 's'}"
        lines.append(f"{step.name:<28} {step.state:<7} {who:<28} {took_s:6.1f} s  {calls}, {tokens}")
        if step.reason:
            lines.append(f"{'':<28} {step.reason}")
    return [one_line(line) for line in lines] or ["it has begun, and no step is done yet"]
