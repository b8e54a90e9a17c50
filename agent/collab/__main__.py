"""`python -m agent.collab`: the run of one task, in its session; the agent starts it like any tool.

The question is read from the validated task.json of the session. The report goes to standard output, lines
for people to standard error. 0: there is a report; 1: no specialist answered, or the run cannot begin.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from agent import audit
from agent.audit import AuditError
from agent.collab import evidence, question, run
from agent.collab.asking import Run
from agent.collab.children import ChildError
from agent.collab.commands import ChangedError
from agent.collab.credentials import CredentialError
from agent.collab.progress import Progress
from agent.collab.providers.registry import open_providers
from agent.collab.question import AskedError, question_of
from agent.collab.records import QuestionRecord
from agent.collab.report import JSON, MARKDOWN
from agent.collab.roles import load
from agent.collab.run import REMEMBERED, begin
from agent.collab.steps import STEPS, Steps
from agent.config import ConfigError, host_name
from spool.attempt import attempts_of
from spool.files import make_folder, put_new
from spool.names import child_id
from spool.records import DamagedError, Exit, utc_now
from spool.results import read_task
from spool.workspace import Workspace, WorkspaceError, open_workspace

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agent.collab.roles import Roles
    from spool.task import AcceptedTask

FOLDER: Final = "collab"
PATIENCE: Final = 0.9
"""Share of the task's waiting_timeout after which what nobody approved counts as declined."""
OF_A_ROUND: Final = (
    *(STEPS, evidence.FOLDER, "commands.json", "commands", JSON, MARKDOWN, REMEMBERED, question.FILE),
)
"""What belongs to one round of a run, and is put aside when a person wants all of it again."""


class CannotBeginError(Exception):
    """There is no task to run here; the message says why."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the collaborative task of this session."""
    parser = argparse.ArgumentParser(prog="python -m agent.collab", description=__doc__)
    parser.add_argument("--type", help="the kind of question, as the task's command says; for who reads `ps`")
    parser.add_argument("paths", nargs="*", type=Path, help="files that the question is about")
    given = parser.parse_args(arguments)
    try:
        return _run(given.paths)
    except (AskedError, CannotBeginError, ChildError) as error:
        return _give_up("question", str(error))
    except (ConfigError, CredentialError, WorkspaceError) as error:
        return _give_up("configuration", str(error))
    except (AuditError, ChangedError, DamagedError) as error:
        return _give_up("damaged", str(error))


def _run(paths: Sequence[Path]) -> int:
    session, workspace = _place()
    task = read_task(session)
    if task is None:
        raise CannotBeginError(
            f"{session} holds no task.json: a collaborative run is a task, see `aispool collab`"
        )
    roles = load(workspace)
    steps = Steps(session / FOLDER)
    make_folder(steps.collab)
    _after_an_end(session, steps)
    asked = _question(task, workspace, roles, steps)
    progress = Progress(steps.collab)
    progress.say(f"Starting collaborative task: {asked.type}")
    with open_providers(workspace) as providers:
        site = evidence.Site(
            workspace=workspace,
            collab=steps.collab,
            task_id=_name_of_round(task.task_id, steps.round),
            own_host=host_name(),
            host=None if asked.host in {None, host_name()} else asked.host,
            roles=roles,
            now=utc_now,
        )
        one = Run(
            site=site,
            question=asked,
            roles=roles,
            providers=providers,
            steps=steps,
            progress=progress,
            read_only=task.approval == "read-only",
            marker=Path(os.environ["AISPOOL_WAITING"]) if os.environ.get("AISPOOL_WAITING") else None,
            patience_s=task.waiting_timeout * PATIENCE,
        )
        report = run.answer(begin(one, [*_task_files(session), *paths]))
    sys.stdout.write((steps.collab / MARKDOWN).read_text())
    sys.stdout.flush()
    return 0 if report.state == "ok" else _nobody_answered(steps)


def _place() -> tuple[Path, Workspace]:
    missing = [name for name in ("AISPOOL_SESSION", "AISPOOL_WORKSPACE") if not os.environ.get(name)]
    if missing:
        raise CannotBeginError(
            f"{' and '.join(missing)} is not set: ask with `aispool collab run`, and the agent starts this"
        )
    return Path(os.environ["AISPOOL_SESSION"]), open_workspace(Path(os.environ["AISPOOL_WORKSPACE"]))


def _after_an_end(session: Path, steps: Steps) -> None:
    """When the attempt before this one ended by itself, begin anew, or ask again for what failed.

    An attempt that was killed changes nothing: this one goes on where its steps end. Nor is anything begun
    anew after one that failed when its report was written (the disk, while commands were carried out).
    """
    current = os.environ.get("AISPOOL_ATTEMPT", "")
    before = [attempt for attempt in attempts_of(session) if attempt.folder.name < Path(current).name]
    ended = Exit.read(before[-1].exit) if before else None
    if ended is None or ended.exit_code is None or ended.ended_by is not None:
        return
    if ended.exit_code == 0:
        steps.put_all_aside(OF_A_ROUND)
    else:
        steps.put_failed_aside()


def _question(task: AcceptedTask, workspace: Workspace, roles: Roles, steps: Steps) -> QuestionRecord:
    found = QuestionRecord.read(steps.collab / question.FILE)
    if found is not None:
        return found
    asked = question_of(task, workspace, roles, utc_now())
    audit.append(
        workspace,
        "asked",
        who=asked.asked_by,
        task_id=task.task_id,
        type=asked.type,
        domain=asked.domain,
        host=asked.host,
        rule=asked.rule,
    )
    put_new(steps.collab / question.FILE, asked.encoded())
    return asked


def _name_of_round(task_id: str, number: int) -> str:
    """Return the id by which a round names its own tasks: another round must not find those of the first."""
    return task_id if number == 1 else child_id(task_id, f"r{number}")


def _task_files(session: Path) -> list[Path]:
    files = session / "files"
    return [files] if files.is_dir() else []


def _nobody_answered(steps: Steps) -> int:
    """Say why, so that the agent knows whether to wait for a limit's end."""
    failed = [step for step in steps.all() if step.phase == 2 and step.state == "failed"]  # noqa: PLR2004 - phase 2
    kinds = [step.kind or "failed" for step in failed]
    kind = next((k for k in ("rate_limit", "quota") if k in kinds), kinds[0] if kinds else "failed")
    waits = [s.retry_after_s for s in failed if s.kind == kind and s.retry_after_s is not None]
    step = next((s for s in failed if s.kind == kind), None)
    return _give_up(kind, step.reason if step else "nobody answered", min(waits) if waits else None)


def _give_up(kind: str, why: str, wait_s: float | None = None) -> int:
    line = " ".join(why.split())
    again = f", again in {round(wait_s)} s" if wait_s is not None else ""
    sys.stderr.write(f"Collaborative task failed ({kind}{again}): {line}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
