"""`aispool submit`: check tasks as the agent will, give each an id, and write the files.

All or nothing: every task is checked before the first is dropped.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from agent.cli.command import command
from agent.cli.hosts import MirrorPlace, host_option
from agent.cli.params import task_fields, task_options
from agent.cli.place import InputError, Place, json_option, pass_place, print_json

if TYPE_CHECKING:
    from agent.service.drafts import Draft

STDIN: Final = "-"


@command("submit")
@click.argument("files", nargs=-1, metavar="[FILE|-]...", type=click.Path())
@task_options
@click.option(
    "--attach", "-a", multiple=True, type=click.Path(exists=True, path_type=Path),
    help="A file or folder that travels with the task; repeatable.",
)  # fmt: skip
@host_option
@click.option("--wait", is_flag=True, help="Wait until all are over; 0 only when all succeeded.")
@click.option("--dry-run", is_flag=True, help="Drop nothing: print what would run, where, with what.")
@json_option
@pass_place
def submit_command(
    place: Place,
    /,
    *,
    files: tuple[str, ...],
    attach: tuple[Path, ...],
    wait: bool,
    dry_run: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Drop tasks into the workspace and print their ids, one a line.

    Needs no running agent. A --param that is JSON (5, true, ["a"], "text" in quotes) is that value,
    anything else is a string; prompt, cwd and output are strings always.

    Examples:
      aispool submit task.json other.json
      generate-task | aispool submit -
      aispool submit -t shell -c 'echo "$1"' -p 'args=["hello"]' --wait
      aispool submit -t crush -c analyze-project -p project_path=~/src/app --priority high
      aispool submit -t gemini -p prompt='Sum this up' --attach report.pdf --depends-on ID
      aispool submit task.json --dry-run
      aispool submit --host gpu-box task.json
      aispool submit --host any -t shell -c make --label gpu
    """
    if bool(files) == bool(task_fields(options)):
        raise click.UsageError("give either files (- is stdin), or --tool with --command or --param")
    if attach and len(files) > 1:
        raise click.UsageError("--attach goes with one task, not with several files")
    if dry_run and place.host is not None:
        raise click.UsageError("--dry-run says what would run here; what a host would do, it says itself")
    drafts = _drafts(place, files, options, attach)
    if dry_run:
        from agent.cli.dry_run import print_dry_run  # noqa: PLC0415 - only where it is used

        print_dry_run(place, drafts, attach, as_json=as_json)
        return
    _drop(place, drafts, attach, wait=wait, as_json=as_json)


def _drafts(
    place: Place, files: tuple[str, ...], options: dict[str, Any], attach: tuple[Path, ...]
) -> list[Draft]:
    """Read and check all tasks.

    Raises:
        InputError: some cannot be accepted; it names each.
    """
    from agent.cli.unread import checks_of  # noqa: PLC0415 - `--help` needs none of it
    from agent.service.drafts import draft  # noqa: PLC0415
    from spool.refusal import Refusal  # noqa: PLC0415
    from spool.submit import encode  # noqa: PLC0415

    checks = checks_of(place)
    if files:
        texts = [_read(name, checks.config.max_task_bytes) for name in files]
    else:
        fields = task_fields(options)
        texts = [("the task", str(fields.get("task_id") or fields.get("tool") or "task"), encode(fields))]
    drafts, problems = [], []
    theirs = isinstance(place, MirrorPlace)  # its tools and folders are the host's
    for text in texts:
        one = draft(place.workspace, None if theirs else checks, text, attached=bool(attach))
        if isinstance(one, Refusal):
            problems.append(f"{text[0]}: {one.sentence()}")
        else:
            drafts.append(one)
    problems.extend(_repeated(place, drafts))
    if problems:
        dropped = "nothing was submitted" if len(texts) > 1 else "it was not submitted"
        raise InputError("\n".join((*problems, dropped)))
    return drafts


def _read(name: str, most_bytes: int) -> tuple[str, str, bytes]:
    """Return the source, the stem and the bytes of one argument."""
    if name == STDIN:
        content, source, stem = sys.stdin.buffer.read(most_bytes + 1), "stdin", "task"
    else:
        path = Path(name)
        with path.open("rb") as file:
            content, source, stem = file.read(most_bytes + 1), name, path.name.removesuffix(".json")
    if len(content) > most_bytes:
        raise InputError(
            f"{source}: larger than {most_bytes} bytes: give large input with --attach, "
            "or raise max_task_bytes in configs/agent.toml"
        )
    return source, stem or "task", content


def _repeated(place: Place, drafts: list[Draft]) -> list[str]:
    """Return a sentence for each id that is taken, here or in this call."""
    from agent.service.drafts import is_used, used_before  # noqa: PLC0415

    problems, seen = [], set[str]()
    for one in drafts:
        if one.task_id in seen:
            problems.append(f"{one.source}: {used_before(one.task_id, 'is given twice')}")
        elif is_used(place.workspace, one.task_id):
            problems.append(f"{one.source}: {used_before(one.task_id)}")
        seen.add(one.task_id)
    return problems


def _drop(place: Place, drafts: list[Draft], attach: tuple[Path, ...], *, wait: bool, as_json: bool) -> None:
    from agent.inspect.agents import any_alive  # noqa: PLC0415
    from agent.inspect.documents import document  # noqa: PLC0415
    from agent.sanitize import one_line  # noqa: PLC0415
    from spool.files import names_together  # noqa: PLC0415
    from spool.submit import drop  # noqa: PLC0415

    dropped: list[tuple[Draft, Path]] = []
    try:
        with names_together():
            for draft in drafts:
                dropped.append((draft, drop(place.workspace, draft.content, draft.stem, attach)))  # noqa: PERF401 - counts what was dropped
    finally:
        for draft, _ in dropped:  # also when the disk was full half-way
            for warning in draft.warnings:
                click.echo(f"aispool: {one_line(draft.source)}: {one_line(warning)}", err=True)
            if not as_json:
                click.echo(draft.task_id)
    submitted = [
        {"task_id": draft.task_id, "path": str(path), "warnings": list(draft.warnings)}
        for draft, path in dropped
    ]
    if as_json and not wait:
        print_json(document(place.workspace, submitted=submitted))
    if isinstance(place, MirrorPlace):
        place.warn()
    elif not any_alive(place.workspace):
        click.echo("aispool: no agent works here now: `aispool agent` starts one", err=True)
    if wait:
        from agent.cli.wait import wait_for  # noqa: PLC0415

        sys.stdout.flush()
        wait_for(place, [draft.task_id for draft in drafts], timeout_s=None, as_json=as_json)
