"""`aispool collab tune`: which provider should play which role, as far as outcomes tell."""

from __future__ import annotations

import getpass
from typing import TYPE_CHECKING

import click

from agent.cli.command import command
from agent.cli.place import InputError, Place, json_option, pass_place, print_json

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from agent.collab.learning import Arm, Proposal


@command("tune")
@click.argument("names", metavar="[NAME]...", nargs=-1)
@click.option(
    "--apply", "applies", is_flag=True, help="Write the proposals, or those named, into roles.toml."
)
@click.option("--undo", is_flag=True, help="Bring roles.toml back to what it was before the last change.")
@json_option
@pass_place
def tune_command(place: Place, *, names: tuple[str, ...], applies: bool, undo: bool, as_json: bool) -> None:
    """Propose who should play which role, with the evidence; change nothing unless told.

    Evidence are the runs that were labelled good or bad, and the validator's marks where it is of another
    model family. A proposal needs min_outcomes labelled runs on both sides, and to be right with `certainty`;
    both, and auto_tune, stand under [learning] of configs/roles.toml. A NAME is ROLE or ROLE@DOMAIN. Each
    change keeps the file as it was, in collab/tune/.

    Examples:
      aispool collab tune
      aispool collab tune --apply analyst@security
      aispool collab tune --undo
    """
    if undo and (applies or names):
        raise click.UsageError("--undo goes alone")
    if undo:
        _undo(place)
        return
    from agent.collab import feedback, learning  # noqa: PLC0415 - `--help` needs none of it
    from agent.inspect.documents import document  # noqa: PLC0415

    chosen = _chosen(feedback.proposals(place.workspace), names)
    done = learning.apply(place.workspace, chosen, who=getpass.getuser()) if applies and chosen else None
    if as_json:
        proposals = [each.document() for each in chosen]
        kept = str(done.folder) if done else None
        print_json(document(place.workspace, proposals=proposals, applied=done is not None, kept=kept))
        return
    for line in _lines(chosen, told_to=applies):
        click.echo(line)
    if done is not None:
        click.echo(
            f"roles.toml is changed; as it was: {done.folder}; `aispool collab tune --undo` takes it back"
        )


def _undo(place: Place) -> None:
    from agent.collab import learning  # noqa: PLC0415
    from agent.sanitize import one_line  # noqa: PLC0415

    done = learning.undo(place.workspace, who=getpass.getuser())
    click.echo(one_line(f"roles.toml is as it was before: {', '.join(done.names)}"))


def _chosen(proposals: list[Proposal], names: Sequence[str]) -> list[Proposal]:
    known = {each.name: each for each in proposals}
    for name in names:
        if name not in known:
            raise InputError(f"there is no proposal {name}: `aispool collab tune` lists them")
    return [known[name] for name in names] if names else proposals


def _lines(proposals: Sequence[Proposal], *, told_to: bool) -> Iterator[str]:
    from agent.sanitize import one_line  # noqa: PLC0415

    if not proposals:
        yield "nothing is proposed: the labelled runs do not tell one provider from another surely enough"
        return
    for each in proposals:
        where = f" in {each.domain}" if each.domain else ""
        yield one_line(f"{each.name}: let {_named(each.best)} play the {each.role}{where}")
        yield one_line(f"    {_evidence(each.best)}")
        yield one_line(f"    {_evidence(each.rival)}")
        yield f"    better with a probability of {100 * each.certainty:.1f}%"
        for path, value in each.document()["changes"].items():
            yield one_line(f"    {path} = {value!r}")
    if not told_to:
        yield "nothing was changed: add --apply"


def _named(arm: Arm) -> str:
    return f"{arm.provider} ({arm.model})" if arm.model else arm.provider


def _evidence(arm: Arm) -> str:
    marks = f", mean mark {100 * arm.marks / arm.marked:.0f}% of {arm.marked} answers" if arm.marked else ""
    return f"{_named(arm)}: {arm.good} of {arm.outcomes} labelled runs good{marks}"
