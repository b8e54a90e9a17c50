"""From a waiting file to a session: claim, validate again, write down, publish.

Whatever is found out after the claim (a writer that went on writing, an id that is taken, an input that
does not exist) ends the claim in the drop folder, in rejected/ or in results/: a claim is never left.
"""

from __future__ import annotations

import errno
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from agent import log
from agent.cluster import CLUSTER
from spool.admit import Ready, look
from spool.attempt import attempts_of
from spool.claim import TASK, Claim, bring_files, claim, discard, give_back, publish, was_over
from spool.files import move, put, remove
from spool.known import place_of, repeated
from spool.records import DamagedError, Result, State, Status
from spool.refusal import Refusal
from spool.reject import reject
from spool.results import CANCEL, RESULT, RETRY, STATUS, finish, move_finished, read_task, reopen
from spool.task import AcceptedTask, Task, parse_task

if TYPE_CHECKING:
    from pathlib import Path

    from agent.host.dropped import Dropped
    from agent.host.site import Site


def take(site: Site, dropped: Dropped) -> AcceptedTask | None:
    """Make a waiting file a published session of ours; None when it did not become one.

    Raises:
        OSError: the disk; recovery goes on with what was done so far.
    """
    mine = claim(site.workspace, site.name, dropped.path, dropped.task_id)
    return proceed(site, mine, dropped) if mine else None


def take_and_end(site: Site, dropped: Dropped, state: State, reason: str) -> None:
    """Give a waiting file its result without ever starting it."""
    mine = claim(site.workspace, site.name, dropped.path, dropped.task_id)
    if mine is not None:
        proceed(site, mine, dropped, Verdict(state, reason))


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a task ends that is never started."""

    state: State
    reason: str


CANCELLED = Verdict(State.CANCELLED, "cancelled before it was started")


def carry_on(site: Site, mine: Claim) -> AcceptedTask | None:
    """Take up a claim that a kill or a failing disk left; None when there is no session of it.

    A newcomer goes back into line, where it is judged anew: nobody knows any more whether it was to be
    started, or to be ended. What ran before, or is to be cancelled, goes on from where it was.
    """
    newcomer = not was_over(mine.folder) and not (mine.folder / CANCEL).exists()
    if newcomer and give_back(site.workspace, mine):
        return None
    return proceed(site, mine)


def proceed(
    site: Site, mine: Claim, dropped: Dropped | None = None, verdict: Verdict | None = None
) -> AcceptedTask | None:
    """Bring a claim of ours to its session, from whichever step it had reached; None when it ended.

    Args:
        site: our agent.
        mine: the claim.
        dropped: what was accepted; after a kill nobody knows any more, and the file is judged anew.
        verdict: how it ends without being started, when it does.
    """
    if (mine.folder / RETRY).exists():
        _put_answer_away(site, mine)
        reopen(mine.folder)
    if (mine.folder / RESULT).exists():
        move_finished(site.workspace, mine.folder)
        return None
    task = accepted(site, mine, dropped)
    if task is None:
        return None
    if (mine.folder / CANCEL).exists():
        verdict = CANCELLED
    # with the session its verdict is published, so that no kill can make an ended task a started one
    status = verdict or Verdict(State.QUEUED, "about to be started")
    write_status(site, mine.folder, task, status)
    if publish(site.workspace, mine) is None:
        if was_over(mine.folder):
            # it ran before, so it is no repetition: it waits here until its place is free again
            log.warning("task cannot run again yet: its id is in session", task_id=mine.task_id)
        else:
            refuse(site, mine, _taken(site, mine, task))
        return None
    if verdict is not None:
        end_unstarted(site, task, verdict)
        return None
    return task


def _put_answer_away(site: Site, mine: Claim) -> None:
    """Move the answer that an earlier run put into results/ to that run's attempt."""
    try:
        result = Result.read(mine.folder / RESULT)
    except DamagedError:
        return  # the next run then says that the file exists
    attempts = attempts_of(mine.folder)
    name = result.output.file if result is not None else None
    if name is not None and "/" not in name and attempts:
        with suppress(FileNotFoundError):
            move(site.workspace.results / name, attempts[-1].folder / "answer")


def accepted(site: Site, mine: Claim, dropped: Dropped | None = None) -> AcceptedTask | None:
    """Return the claim's validated task, written down; None when the claim is over."""
    task = read_task(mine.folder)
    if task is not None:
        return task
    source = mine.source
    if source is None:
        discard(mine)  # killed between making the claim's folder and the rename: nothing was taken
        return None
    bring_files(site.workspace, mine, site.workspace.tasks / source.name)
    validated = _validate(site, mine, source, dropped)
    if isinstance(validated, AcceptedTask):
        put(mine.folder / TASK, validated.model_dump_json(indent=2).encode() + b"\n", durable=False)
        return validated
    if isinstance(validated, Refusal):
        refuse(site, mine, validated)
    elif not give_back(site.workspace, mine):
        refuse(site, mine, Refusal(validated, "drop it again: a new file took its name meanwhile"))
    return None


def _validate(site: Site, mine: Claim, source: Path, dropped: Dropped | None) -> AcceptedTask | Refusal | str:
    """Judge the claimed bytes; a sentence when the file is not the one that was accepted."""
    # the rename was its last change, so nothing needs to be quiet any more
    looked = look(source, None, site.monotonic_s(), replace(site.rules(), quiet_s=0))
    if looked is None or not isinstance(looked[1], Ready):
        return "its writer went on writing while it was claimed"
    ready = looked[1]
    if dropped is not None and ready.sha256 != dropped.sha256:
        return "it was changed while it was claimed"
    parsed = parse_task(ready.content)
    if isinstance(parsed, Refusal):
        return parsed if parsed.final else "its writer went on writing while it was claimed"
    task, warnings = parsed
    if task.task_id not in {None, mine.task_id}:
        return "its task_id was changed while it was claimed"
    if task.resources is not None and site.config.launcher_of(task) != CLUSTER:
        warnings = (
            *warnings,
            "resources are for a cluster's scheduler; this launcher does not limit anything",
        )
    files = mine.files if mine.files.is_dir() else None
    refusal = site.registry.check(task, site.workspace, site.config, files)
    if refusal is not None:
        return refusal
    fields = {name: getattr(task, name) for name in Task.model_fields}
    fields |= {"task_id": mine.task_id, "source_name": source.name, "source_sha256": ready.sha256}
    fields |= {"submitted_at": dropped.arrived_at if dropped else ready.arrived_at, "warnings": warnings}
    return AcceptedTask.model_construct(**fields)


def refuse(site: Site, mine: Claim, refusal: Refusal) -> None:
    """End a claim in rejected/.

    Raises:
        OSError: the disk; nothing was lost, and recovery goes on with it.
    """
    source = mine.source
    # first: a refusal that is cut off must not leave what could be published
    remove(mine.folder / TASK)
    if source is not None:
        target = reject(site.workspace, source, refusal, site.name, files=mine.files)
        if target is None and mine.source is not None:
            raise OSError(errno.EAGAIN, "it is listed and cannot be looked at", str(source))
        log.warning("task rejected", file=source.name, what=refusal.what, task_id=mine.task_id)
    discard(mine)


def end_unstarted(site: Site, task: AcceptedTask, verdict: Verdict) -> None:
    """Write the result of a session that has no attempt, and move it to results/."""
    result = Result(
        task_id=task.task_id,
        tool=task.tool,
        command=task.command,
        state=verdict.state,
        reason=verdict.reason,
        host=site.host,
        source_name=task.source_name,
        submitted_at=task.submitted_at,
        finished_at=site.utc_now(),
        warnings=task.warnings,
        labels=task.labels,
    )
    finish(site.workspace, site.workspace.sessions / task.task_id, result)
    log.info("task over", task_id=task.task_id, state=verdict.state, reason=verdict.reason)


def write_status(site: Site, folder: Path, task: AcceptedTask, verdict: Verdict) -> None:
    """Write the status of a session that has not been launched; it also says whose session it is."""
    Status(
        task_id=task.task_id,
        tool=task.tool,
        command=task.command,
        state=verdict.state,
        reason=verdict.reason,
        since=site.utc_now(),
        attempt=0,
        agent=site.name,
        host=site.host,
        submitted_at=task.submitted_at,
        estimated_duration_s=task.estimated_duration,
        source_name=task.source_name,
    ).write(folder / STATUS)


def _taken(site: Site, mine: Claim, task: AcceptedTask) -> Refusal:
    others = [
        p
        for p in (site.workspace.sessions / mine.task_id, site.workspace.results / mine.task_id)
        if p.exists()
    ]
    place = place_of(site.workspace, mine.task_id)
    first = others[0] if others else (place.path if place else site.workspace.tombstones / mine.task_id)
    same = place is not None and place.sha256 == task.source_sha256
    return repeated(mine.task_id, str(first), same=same)
