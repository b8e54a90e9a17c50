"""What `submit --dry-run` prints: exactly what the agent would run, without running or writing anything.

Names of the environment are shown, values never: some are secrets.
"""

from __future__ import annotations

import shlex
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from agent.cli.place import InputError, Place, print_json

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from agent.service.drafts import Draft
    from agent.tools.invocation import Invocation


def print_dry_run(place: Place, drafts: Sequence[Draft], attach: Sequence[Path], *, as_json: bool) -> None:
    """Print how each task would be run.

    Raises:
        InputError: one could not be run here; it says why.
    """
    from agent.inspect.documents import document  # noqa: PLC0415 - only where it is used

    runs, problems = [], []
    for draft in drafts:
        try:
            runs.append(_run(place, draft, attach))
        except InputError as error:
            problems.append(f"{draft.source}: {error.message}")
    if as_json:
        print_json(document(place.workspace, runs=runs))
    else:
        click.echo("\n\n".join("\n".join(_lines(run)) for run in runs))
    if problems:
        raise InputError("\n".join(problems))


def _run(place: Place, draft: Draft, attach: Sequence[Path]) -> dict[str, Any]:
    from agent.launchers import LAUNCHERS  # noqa: PLC0415 - only where it is used
    from agent.tools.registry import Registry  # noqa: PLC0415
    from spool.refusal import Refusal  # noqa: PLC0415

    session = place.workspace.sessions / draft.task_id
    with _staged(attach) as staged:
        invocation = Registry.load(place.workspace).invocation(
            draft.task, place.workspace, place.config, task_id=draft.task_id, files_folder=staged
        )
        if isinstance(invocation, Refusal):
            raise InputError(invocation.sentence())
        run = _document(draft, invocation, session)
    launcher = place.config.launcher_of(draft.task)
    run["launcher"] = launcher
    run["session"] = LAUNCHERS[launcher](place.root).session_name(draft.task_id)
    log = place.workspace.logs / f"{draft.task.tool}-{draft.task_id}.log"
    run["output_to"] = {
        **run["output_to"],
        "log": str(log),
        "result": str(place.workspace.results / draft.task_id),
    }
    return _moved(run, str(staged), str(session / "files")) if staged else run


@contextmanager
def _staged(attach: Sequence[Path]) -> Iterator[Path | None]:
    """Put the attachments where they can be looked at, outside the workspace; None when there are none."""
    if not attach:
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="aispool-dry-run-") as name:
        folder = Path(name).resolve()
        for path in attach:
            if path.is_dir():
                shutil.copytree(path, folder / path.name)
            else:
                shutil.copy2(path, folder / path.name)
        yield folder


def _document(draft: Draft, invocation: Invocation, session: Path) -> dict[str, Any]:
    from agent.wrapper.environment import own_names  # noqa: PLC0415 - only where it is used

    wrappers = own_names({"task_id": draft.task_id}, session / "attempts" / "001")
    return {
        "task_id": draft.task_id,
        "tool": draft.task.tool,
        "argv": list(invocation.argv),
        "cwd": str(invocation.cwd),
        "env_names": sorted({*invocation.env_names(), *wrappers}),
        "env_files": list(invocation.env_files),
        "setup_argv": list(invocation.setup_argv),
        "timeout_s": invocation.timeout_s,
        "interactive": invocation.interactive,
        "output_to": {
            "answer": invocation.output,
            "path": str(invocation.output_path) if invocation.output_path else None,
        },
        "warnings": list(draft.warnings),
    }


def _moved(value: Any, staged: str, final: str) -> Any:
    """Name the session's files where the staged ones stand."""
    match value:
        case str():
            return value.replace(staged, final)
        case list():
            return [_moved(item, staged, final) for item in value]
        case dict():
            return {name: _moved(item, staged, final) for name, item in value.items()}
    return value


def _lines(run: dict[str, Any]) -> Iterator[str]:
    from agent.sanitize import one_line, plain  # noqa: PLC0415

    output = run["output_to"]
    yield f"{'id':<12} {run['task_id']}"
    yield f"{'would run':<12} {plain(shlex.join(run['argv']))}"
    yield f"{'in':<12} {one_line(run['cwd'])}"
    if run["setup_argv"]:
        yield f"{'after':<12} {plain(shlex.join(run['setup_argv']))}"
    yield f"{'environment':<12} {one_line(' '.join(run['env_names']))}, over the agent's own"
    if run["env_files"]:
        yield f"{'secrets from':<12} {one_line(' '.join(run['env_files']))}"
    yield f"{'time limit':<12} {run['timeout_s']:g} s for each attempt"
    how = ", interactive" if run["interactive"] else ""
    yield f"{'session':<12} {run['launcher']}, {run['session']}{how}"
    yield f"{'log':<12} {one_line(output['log'])}"
    yield f"{'result':<12} {one_line(output['result'])}"
    if output["path"]:
        yield f"{'answer':<12} {one_line(output['path'])}"
