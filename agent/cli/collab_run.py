"""`aispool collab run QUESTION`: drop a collaborative task, and follow it to its report."""

from __future__ import annotations

import getpass
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from agent.cli.command import command
from agent.cli.place import InputError, Place, json_option, pass_place, print_json

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

TYPES: Final = ("system_analysis", "problem_solving", "performance", "security", "code_review", "general")


@command("run")
@click.argument("question")
@click.option("--type", "-t", "kind", type=click.Choice(TYPES), help="Its kind; without, its words tell.")
@click.option(
    "--domain", "-d", metavar="NAME", help="A field of roles.toml: security, performance, network, code."
)
@click.option("--host", metavar="H", help="The host that it is about: its facts are collected there.")
@click.option(
    "--files", "-f", multiple=True, type=click.Path(exists=True, path_type=Path),
    help="A file or folder that it is about; repeatable.",
)  # fmt: skip
@click.option("--review", "of", metavar="ID", help="It is about this task's result: that is the evidence.")
@click.option(
    "--language", metavar="XX", help="Of the answer, in two letters; without, that of the question."
)
@click.option("--read-only", is_flag=True, help="Run nothing that is proposed, whatever the policy allows.")
@click.option("--id", "task_id", metavar="ID", help="The task's id.")
@click.option("--detach", is_flag=True, help="Print the id, and do not follow.")
@click.option("--dry-run", is_flag=True, help="Ask nobody: say who would answer, and by which rule.")
@json_option
@pass_place
def run_command(
    place: Place,
    *,
    question: str,
    kind: str | None,
    domain: str | None,
    host: str | None,
    files: tuple[Path, ...],
    of: str | None,
    language: str | None,
    read_only: bool,
    task_id: str | None,
    detach: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Ask several models one question, each in its role, and print the report.

    It is a task like any other: `aispool attach`, `cancel`, `logs` and `retry` work on it, and it goes on
    when this command is interrupted. Commands that it proposes wait for `aispool collab approve`.

    Examples:
      aispool collab run "¿Por qué mi sistema está lento?" --type system_analysis
      aispool collab run "no internet since noon" --host web1
      aispool collab run "is this safe to run?" --type code_review --files deploy.sh
      aispool collab run "did it find the real cause?" --review ID
      aispool collab run --dry-run "should we move to PostgreSQL?"
    """
    if dry_run:
        from agent.cli.collab_explain import explain  # noqa: PLC0415 - only where it is used

        explain(place, question, kind=kind, domain=domain, as_json=as_json)
        return
    if of is not None and kind is not None:
        raise click.UsageError("give either --type or --review ID")
    asked = {"question": question, "domain": domain, "host": host, "of": of, "language": language}
    submit_and_follow(
        place, asked, kind=kind, files=files, read_only=read_only, task_id=task_id, detach=detach,
        as_json=as_json,
    )  # fmt: skip


def submit_and_follow(
    place: Place,
    asked: Mapping[str, Any],
    *,
    kind: str | None,
    files: Sequence[Path] = (),
    read_only: bool = False,
    task_id: str | None = None,
    detach: bool = False,
    as_json: bool = False,
) -> None:
    """Drop the task; print its id, or follow it and print its report.

    What is asked are `question` and other options of `agent.service.collab.starting.fields_of`.

    Raises:
        InputError, ServiceError: it cannot be accepted.
        click.exceptions.Exit: with 1, when it did not succeed.
    """
    from agent.service.collab.starting import fields_of  # noqa: PLC0415 - `--help` needs none of it

    fields = fields_of(
        place.workspace, by=getpass.getuser(), kind=kind, task_id=task_id, read_only=read_only, **asked
    )
    dropped = _drop(place, fields, files)
    if detach:
        if as_json:
            from agent.inspect.documents import document  # noqa: PLC0415

            print_json(document(place.workspace, submitted=[{"task_id": dropped}]))
        else:
            click.echo(dropped)
        return
    from agent.cli.collab_follow import follow  # noqa: PLC0415

    sys.stdout.flush()
    follow(place, dropped, as_json=as_json)


def _drop(place: Place, fields: dict[str, Any], files: Sequence[Path]) -> str:
    from agent.cli.unread import checks_of  # noqa: PLC0415
    from agent.inspect.agents import any_alive  # noqa: PLC0415
    from spool.refusal import Refusal  # noqa: PLC0415
    from spool.submit import drop, encode, with_id  # noqa: PLC0415
    from spool.task import parse_task  # noqa: PLC0415

    named = with_id(encode(fields), "collab")
    if isinstance(named, Refusal):
        raise InputError(named.sentence())
    content, task_id = named
    parsed = parse_task(content)
    assert not isinstance(parsed, Refusal), "with_id has read it"
    attached = place.workspace.sessions / task_id / "files" if files else None
    refused = checks_of(place).check(parsed[0], attached)
    if refused is not None:
        raise InputError(f"{refused.sentence()}\nit was not submitted")
    drop(place.workspace, content, task_id, list(files))
    if not any_alive(place.workspace):
        click.echo("aispool: no agent works here now: `aispool agent` starts one", err=True)
    return task_id
