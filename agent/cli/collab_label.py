"""`aispool collab label`: how a run turned out."""

from __future__ import annotations

import getpass
from typing import TYPE_CHECKING

import click

from agent.cli.command import command
from agent.cli.ids import id_argument
from agent.cli.place import Place, pass_place

if TYPE_CHECKING:
    from agent.collab.feedback import Learned
    from agent.service.collab.labelling import Outcome


@command("label")
@id_argument("results", "sessions")
@click.argument("outcome", metavar="good|bad|none", type=click.Choice(["good", "bad", "none"]))
@click.option("--why", default="", metavar="TEXT", help="What was good or bad about it.")
@pass_place
def label_command(place: Place, *, task_id: str, outcome: Outcome, why: str) -> None:
    """Say how a collaborative run turned out; `none` takes it back.

    From 50 labelled runs on, Confidence is calibrated by them: of the runs shown with 80%, eight of ten
    are good. They also tell which provider serves which role best (`aispool collab tune`). A label stays when
    the run's result is pruned, and stands above what a check after the run said.

    Examples:
      aispool collab label ID good
      aispool collab label ID bad --why "the disk was not the cause"
    """
    from agent.service.collab.labelling import say  # noqa: PLC0415 - `--help` needs none of it

    _say(place, task_id, say(place.workspace, task_id, outcome, by=getpass.getuser(), why=why))


def _say(place: Place, task_id: str, learned: Learned) -> None:
    from agent.sanitize import one_line  # noqa: PLC0415
    from agent.service.collab.labelling import calibration  # noqa: PLC0415

    label = learned.label
    said = "not labelled" if label is None else f"{'good' if label.good else 'bad'}, says {label.who}"
    click.echo(one_line(f"{task_id}: {said}"))
    known, needed = calibration(place.workspace)
    if known < needed:
        click.echo(f"{known} of {needed} labelled runs: Confidence is shown uncalibrated until then")
    for name in learned.tuned:
        click.echo(one_line(f"roles.toml was tuned: {name} (`aispool collab tune --undo` takes it back)"))
    if learned.problem:
        click.echo(f"aispool: nothing was tuned: {one_line(learned.problem)}", err=True)
