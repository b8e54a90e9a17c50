"""What a collector asks for, done here: the same as a person's files and commands do.

Doing a control twice changes nothing, so a kill between doing it and noting that is harmless. What cannot be
done as things stand is logged and is over: the collector sees from the task itself how it stands.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent import log
from spool.answers import answer_bytes, approve, give_answer_once, session_of
from spool.attempt import attempts_of
from spool.enrol import EnrolmentError, acknowledge, enrol
from spool.files import remove
from spool.names import TASK_SUFFIX
from spool.records import DamagedError
from spool.requests import RequestError, ask_to_cancel, ask_to_retry, move_waiting, pause_marker
from spool.results import RETRY, places_of_session
from spool.submit import request, ring
from spool.view import View, result, session, waiting_file

if TYPE_CHECKING:
    from agent.host.board import Board
    from agent.host.intake import Intake
    from agent.host.site import Site
    from spool.control import Control
    from spool.workspace import Workspace

LOOKS = 3
"""A task moves while it is looked for: tasks → claim → session → results."""


def apply(site: Site, intake: Intake, board: Board, control: Control) -> str | None:
    """Do what a control says, and return what came of it, in words; None when its task is on its way here.

    Raises:
        OSError: the disk; doing it again is harmless.
    """
    about = {"task_id": control.task_id} if control.task_id else {}
    try:
        if control.task_id is None:
            _do(site, control)
        elif not _do_to_task(site, intake, board, control, control.task_id):
            return None
    except (RequestError, EnrolmentError, DamagedError) as error:
        log.warning("control cannot be done", do=control.do, id=control.id, **about, what=str(error))
        return f"not done: {' '.join(str(error).split())}"
    log.info("control done", do=control.do, id=control.id, **about)
    return "done"


def _do(site: Site, control: Control) -> None:
    workspace = site.workspace
    match control.do:
        case "ack":
            acknowledge(workspace, control.collected or {})
        case "enrol":
            enrol(workspace, control.collector or "", control.workspace_id)
        case "pause":
            request(pause_marker(workspace, control.tool, control.group))
        case "unpause":
            remove(pause_marker(workspace, control.tool, control.group))


def _do_to_task(site: Site, intake: Intake, board: Board, control: Control, task_id: str) -> bool:
    for _ in range(LOOKS):
        view = _find(site.workspace, intake, task_id)
        if view is None:
            if _is_coming(site.workspace, task_id):
                return False
            raise RequestError(f"no task {task_id} is known here")
        if _act(site, intake, board, control, view):
            return True
    raise RequestError(f"{task_id} kept moving: look with `aispool show {task_id}`")


def _find(workspace: Workspace, intake: Intake, task_id: str) -> View | None:
    """Return where a task stands; a waiting one only when it was accepted."""
    dropped = intake.get(task_id)
    if dropped is not None:
        view = waiting_file(dropped.path, "held" if dropped.waiting.held else "tasks")
        if view is not None:
            return view
    view = session(workspace.sessions / task_id) or result(workspace, task_id)
    if view is None and (claim := next(places_of_session(workspace, task_id), None)) is not None:
        view = session(claim)
    return view


def _is_coming(workspace: Workspace, task_id: str) -> bool:
    """Tell whether a file of this name lies there that nobody has judged yet."""
    folders = (workspace.inbox_tasks, workspace.tasks, workspace.held)
    waits = any((folder / f"{task_id}{TASK_SUFFIX}").exists() for folder in folders)
    return waits or next(places_of_session(workspace, task_id), None) is not None


def _act(site: Site, intake: Intake, board: Board, control: Control, view: View) -> bool:
    """Do it to a task; False when that moved meanwhile."""
    workspace = site.workspace
    match control.do:
        case "cancel":
            return _cancel(workspace, board, view)
        case "withdraw":
            _withdraw(workspace, board, view)
        case "hold" | "release":
            move_waiting(workspace, view, to_hold=control.do == "hold")
            for folder in (workspace.tasks, workspace.held):
                intake.examine(folder / view.name)
        case "retry" | "resume-conversation":
            resume = control.do == "resume-conversation"
            ask_to_retry(workspace, view, resume=resume, sha256=control.sha256)
        case "answer":
            content = answer_bytes((control.text or "").encode())
            give_answer_once(session_of(workspace, view), content, control.id)
            ring(workspace, view.task_id)
        case "approve":
            approve(session_of(workspace, view), control.number or 0, control.sha256 or "")
            ring(workspace, view.task_id)
    return True


def _cancel(workspace: Workspace, board: Board, view: View) -> bool:
    if view.place in {"tasks", "held"}:
        return board.cancel_waiting(view.task_id, "cancelled before it was started")
    if view.place == "sessions":
        return ask_to_cancel(workspace, view.path)
    if (view.path / RETRY).exists():
        remove(view.path / RETRY)
        return True
    raise RequestError(f"{view.task_id} is over already: {view.state}")


def _withdraw(workspace: Workspace, board: Board, view: View) -> None:
    """End a task that has not been started, and no other: it is to be run elsewhere."""
    if view.place in {"tasks", "held"}:
        if board.cancel_waiting(view.task_id, "withdrawn before it was started"):
            return
    elif view.task_id in board.sessions and not attempts_of(view.path):
        ask_to_cancel(workspace, view.path)
        return
    raise RequestError(f"{view.task_id} cannot be withdrawn: it is {view.state}")
