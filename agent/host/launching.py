"""Starting an attempt: write what is intended, then start its wrapper in a session of its own.

The wrapper alone decides whether the attempt starts, so launching twice is harmless, and an attempt whose
wrapper never came is simply launched again.
"""

from __future__ import annotations

import hashlib
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import agent.wrap
from agent import log
from agent.cluster import CLUSTER
from agent.host.outcome import conversation_after
from agent.host.runners import Busy, User, choose, seed, where_is
from agent.host.trouble import TakenOverError
from agent.host.worktree import prepare_worktree
from agent.launchers import LaunchError, NeverStartsError, SessionExists, Start
from agent.tools.batches import put_away, write_calls
from spool.attempt import attempt_of, attempts_of
from spool.claim import FILES, TASK
from spool.files import make_folder, make_folders, move, put, put_new, read_regular
from spool.known import state_on_disk
from spool.records import Intent, Result, State
from spool.refusal import Refusal
from spool.results import RESULT, wanted_conversation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agent.host.session import Session
    from agent.host.site import Site
    from agent.launchers import Launcher
    from agent.tools.invocation import Invocation
    from spool.attempt import Attempt
    from spool.task import AcceptedTask

WRAPPER = Path(agent.wrap.__file__).absolute()
STDIN, SCRIPT = "stdin", "script"


def prepare(site: Site, session: Session) -> Refusal | Busy | None:
    """Write the intent of the session's next attempt; a refusal says why there can be none.

    Busy says why there can be none yet: try again later.

    Raises:
        OSError: the disk; calling again goes on.
        TakenOverError: another agent has the task now.
    """
    task, folder = session.task, session.folder
    refusal = bring_inputs(site, task, folder)
    if refusal is not None:
        return refusal
    attempt = session.attempt
    if attempt is None or attempt.intent.exists():  # else: killed between making its folder and writing it
        # by what we know, not by what lies there: who took us for dead may have begun it already
        attempt = attempt_of(folder, session.last_number + 1)
    resume = _conversation(site, session)
    config_dir = _config_dir(site, session, attempt.number, goes_on=resume is not None)
    if isinstance(config_dir, Busy):
        return config_dir
    _put_batches_away(folder)
    files = folder / FILES
    invocation = site.registry.invocation(
        task,
        site.workspace,
        site.config,
        task_id=task.task_id,
        files_folder=files if files.is_dir() else None,
        resume=resume,
        attempt_folder=attempt.folder,
        config_dir=config_dir,
    )
    if isinstance(invocation, Refusal):
        return invocation
    ours = (folder / "artifacts", folder / "answer", attempt.folder.parent, attempt.folder)
    make_folders(*ours)
    refusal = put_in_place(folder, attempt, invocation)
    if refusal is not None:
        return refusal
    intent = _intent(site, session, invocation, attempt)
    refusal = _no_room_ever(site, task, intent)
    if refusal is not None:
        return refusal
    intent = _write_intent(site, intent, attempt)
    session.attempt, session.intent, session.started = attempt, intent, None
    session.last_number = attempt.number
    session.on_cluster = intent.launcher == CLUSTER
    session.attach = session.next_attempt_at = session.gone_s = None  # the last attempt's
    return None


def _no_room_ever(site: Site, task: AcceptedTask, intent: Intent) -> Refusal | None:
    """Refuse what no machine of the launcher could ever run."""
    time_s = _longest_s(site, intent)
    try:
        problem = site.launcher(task).refusal(site.config.slurm.resources(task.resources), time_s)
    except LaunchError:
        return None  # starting says so, and is tried again
    if problem is None:
        return None
    return Refusal(
        problem,
        "change the task's resources, timeout or waiting_timeout; `sinfo` shows what there is",
        field="resources",
    )


def _longest_s(site: Site, intent: Intent) -> float:
    """Return how long an attempt may take in all; waiting for a person does not count against its timeout."""
    asks = intent.interactive or intent.waiting_title or intent.waiting_text
    waiting_s = intent.waiting_timeout_s if asks else 0.0
    return intent.timeout_s + waiting_s + intent.grace_s + site.config.slurm.spare_s


def _write_intent(site: Site, intent: Intent, attempt: Attempt) -> Intent:
    """Write it once: of two agents that both take a task for theirs, one prepares its next attempt."""
    try:
        put_new(attempt.intent, intent.encoded())
    except FileExistsError:
        first = Intent.read(attempt.intent)
        if first is None or first.agent != site.name:
            raise TakenOverError(f"attempt {attempt.number} was prepared by another agent") from None
        return first  # ours, from before the disk failed
    return intent


def put_in_place(folder: Path, attempt: Attempt, invocation: Invocation) -> Refusal | None:
    """Make what the tool finds when it starts; all of it is there before the intent is.

    Args:
        folder: the session's.
        attempt: the one that is prepared; its folder is there.
        invocation: what it is to be.

    Raises:
        OSError: the disk; calling again goes on.
    """
    if invocation.worktree is not None:
        refusal = prepare_worktree(folder, invocation.worktree)
        if refusal is not None:
            return refusal
    if invocation.config_dir is not None:
        seed(invocation.config_dir, invocation.seeds)
    if invocation.stdin is not None:
        put(attempt.folder / STDIN, invocation.stdin)
    if invocation.script is not None:
        put(attempt.folder / SCRIPT, invocation.script)
    if invocation.calls:
        write_calls(attempt.folder, invocation.calls)
    return None


def launcher_of(site: Site, session: Session) -> Launcher:
    """Return the launcher that has the session's last attempt; before its first, the one that will."""
    return site.launcher_named(session.intent.launcher) if session.intent else site.launcher(session.task)


def start(site: Site, sessions: Sequence[Session]) -> dict[str, str]:
    """Start the wrappers of prepared attempts; a session that cannot be made is tried again later.

    The answer has, for those that can never be made, why not.

    Raises:
        OSError: a start was not written down; the next look does it.
    """
    never = {}
    failed: OSError | None = None
    by_launcher: dict[str, list[Session]] = {}
    for session in sessions:
        by_launcher.setdefault(launcher_of(site, session).name, []).append(session)
    for name, some in by_launcher.items():
        errors = _start_all(site, site.launcher_named(name), some)
        for session in some:
            error = errors.get(session.task_id)
            try:
                _say_started(site, session, error)
            except OSError as problem:
                failed = problem  # one folder that is gone keeps nobody else's start from being told
            if isinstance(error, NeverStartsError):
                never[session.task_id] = str(error)
    if failed is not None:
        raise failed
    return never


def _start_all(site: Site, launcher: Launcher, sessions: Sequence[Session]) -> dict[str, LaunchError]:
    for session in sessions:
        session.launched_s = site.monotonic_s()
    errors = launcher.start_all([_wish(site, session) for session in sessions])
    there = {task_id: error for task_id, error in errors.items() if isinstance(error, SessionExists)}
    for session in sessions:
        if session.task_id not in there:
            continue
        if there[session.task_id].is_same:
            del errors[session.task_id]  # it was taken, though we were told that it was not
            continue
        # of an attempt that is over: nothing of ours runs in it, the locks said so
        try:
            launcher.end(session.task_id)
        except LaunchError as error:
            errors[session.task_id] = error
        else:
            del errors[session.task_id]
            errors |= launcher.start_all([_wish(site, session)])
    return errors


def _wish(site: Site, session: Session) -> Start:
    assert session.attempt is not None
    assert session.intent is not None
    argv = (sys.executable, "-I", "-S", str(WRAPPER), str(session.attempt.folder))
    time_s = _longest_s(site, session.intent)
    resources = site.config.slurm.resources(session.task.resources)
    needs = session.task.dependencies if session.on_cluster else ()
    after = tuple(n for n in needs if state_on_disk(site.workspace, n) != State.SUCCEEDED)
    forked = None if session.intent.interactive else session.attempt.folder
    return Start(session.task_id, argv, site.workspace.root, time_s, resources, after, forked)


def _say_started(site: Site, session: Session, error: LaunchError | None) -> None:
    assert session.attempt is not None
    if error is not None:
        session.change(site, State.DEFERRED, f"its session cannot be started, tried again soon: {error}")
        log.warning("session not started", task_id=session.task_id, what=str(error))
        return
    outlook = launcher_of(site, session).outlook(session.task_id)
    if outlook is None:
        session.change(site, State.RUNNING, f"attempt {session.attempt.number} is starting", soon=True)
    else:
        session.change(site, State.QUEUED, outlook.words)
    log.info("attempt launched", task_id=session.task_id, attempt=session.attempt.number)


def bring_inputs(site: Site, task: AcceptedTask, folder: Path) -> Refusal | None:
    """Copy the files that the task takes from other tasks' results into its own files."""
    for text in task.inputs:
        task_id, _, path = text.partition(":")
        target = folder / FILES / task_id / path
        if target.exists():
            continue  # an earlier attempt brought it; the result may be pruned by now
        root = (site.workspace.results / task_id).resolve()
        source = (root / path).resolve()
        if not source.is_relative_to(root):
            return Refusal(
                f"input {text} leaves the result's folder", "name a path inside it", field="inputs"
            )
        if not source.exists():
            return Refusal(f"input not found: {text}", f"see what {root} holds", field="inputs")
        _copy(source, target, folder)
    return None


def _copy(source: Path, target: Path, session: Path) -> None:
    """Copy a file or a folder so that it is whole under its name or absent."""
    make_folder(target.parent, inside=session)
    temporary = target.with_name(f".{target.name}.part")
    if source.is_dir():
        shutil.copytree(source, temporary, symlinks=True, dirs_exist_ok=True)
    else:
        shutil.copyfile(source, temporary)
    move(temporary, target)


def _config_dir(site: Site, session: Session, number: int, *, goes_on: bool) -> Path | Busy:
    """Return the private folder of an attempt: that of its conversation where there is one."""
    task, before = session.task, None
    if session.intent is not None and session.intent.config_dir is not None:
        before = Path(session.intent.config_dir)
    elif task.resume is not None:
        before = where_is(site.workspace, task.tool, task.resume)
    resume = goes_on or task.resume is not None
    return choose(site.workspace, task.tool, User(task.task_id, number), before=before, resume=resume)


def _put_batches_away(folder: Path) -> None:
    """Begin anew when a person runs a task again that had succeeded; else what is done stays done."""
    attempts = attempts_of(folder)
    past = [attempt for attempt in attempts if (attempt.folder / RESULT).exists()]
    if not past or any(
        (attempt.folder / "calls").exists() for attempt in attempts if attempt.number > past[-1].number
    ):
        return
    result = Result.read(past[-1].folder / RESULT)
    if result is not None and result.state is State.SUCCEEDED:
        put_away(folder, past[-1].folder)


def _conversation(site: Site, session: Session) -> str | None:
    """Return the tool's own session id with which the next attempt goes on."""
    tool = site.registry.get(session.task.tool)
    if tool is None or not tool.session_resume:
        return None
    if session.attempt is not None and session.records:
        return conversation_after(session.records[-1])
    return wanted_conversation(session.folder)


def _intent(site: Site, session: Session, invocation: Invocation, attempt: Attempt) -> Intent:
    task = session.task
    launcher = site.launcher(task)
    return Intent(
        task_id=task.task_id,
        attempt=attempt.number,
        agent=site.name,
        host=site.host,
        boot_id=site.boot,
        task_sha256=hashlib.sha256(read_regular(session.folder / TASK)).hexdigest(),
        argv=invocation.argv,
        cwd=str(invocation.cwd),
        env=dict(invocation.env),
        env_files=invocation.env_files,
        env_aliases=dict(invocation.env_aliases),
        setup_argv=invocation.setup_argv,
        stdin_file=str(attempt.folder / STDIN) if invocation.stdin is not None else None,
        config_dir=str(invocation.config_dir) if invocation.config_dir is not None else None,
        limit_text=invocation.limit_text,
        waiting_title=invocation.waiting_title,
        waiting_text=invocation.waiting_text,
        interactive=invocation.interactive,
        output=invocation.output,
        output_name=invocation.output_path.name if invocation.output_path else None,
        timeout_s=invocation.timeout_s,
        waiting_timeout_s=task.waiting_timeout,
        grace_s=site.config.grace_s,
        max_output_bytes=invocation.max_output_bytes,
        max_log_bytes=site.config.max_log_bytes,
        log=str(site.workspace.logs / f"{task.tool}-{task.task_id}.log"),
        bell=str(site.bell / task.task_id),
        launcher=launcher.name,
        session=launcher.session_name(task.task_id),
        tool_session_id=invocation.tool_session_id,
        created_at=site.utc_now(),
    )
