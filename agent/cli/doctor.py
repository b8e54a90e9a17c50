"""`aispool doctor`: what is wrong with this machine, and what to do about each finding."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from agent.cli.command import command
from agent.cli.place import Place, failed, json_option, pass_place, print_json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent.inspect.finding import Finding


@command("doctor")
@json_option
@pass_place
def doctor_command(place: Place, *, as_json: bool) -> None:
    """Check this machine, the workspace and the tools, and say what to do about each finding.

    Exit 1 when there is a problem; notes are for your judgement.

    Examples:
      aispool doctor
      aispool doctor --json | jq '.findings[] | select(.grade == "problem")'
    """
    from agent.inspect.doctor import doctor_document, examine, has_problems  # noqa: PLC0415 - `--help`

    findings = examine(place.root)
    if as_json:
        print_json(doctor_document(place.root, findings))
    else:
        for line in _lines(findings):
            click.echo(line)
    if has_problems(findings):
        raise failed()


def _lines(findings: list[Finding]) -> Iterator[str]:
    from agent.sanitize import one_line  # noqa: PLC0415

    width = max(len(finding.check) for finding in findings)
    for finding in findings:
        yield one_line(f"{finding.grade:<8} {finding.check:<{width}}  {finding.what}")
        if finding.remedy:
            yield one_line(f"{'':<8} {'':<{width}}  → {finding.remedy}")
    counted = {grade: sum(f.grade == grade for f in findings) for grade in ("problem", "note")}
    yield f"\n{counted['problem']} problems, {counted['note']} notes"
