"""From rsync's copy to what people see: waiting tasks, pauses, refusals, sessions and health of one host.

A host is hostile until its files are validated: names that may be shown, regular files of bounded size,
records that parse and speak of the folder they lie in. What does not fit stays where it is, and is named in
state.json. What a person put there or moved is left alone: it is a request that travels to the host.
"""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from pydantic import ValidationError

from agent.fleet import living, waiting
from agent.fleet.shown import Known, inode, link_over, names_in, ours_in
from spool.claim import TASK
from spool.files import NotRegularError, TooLargeError, make_folder, read_regular
from spool.names import is_task_id, new_ulid
from spool.records import Status
from spool.results import STATUS, digest_of_result
from spool.strictjson import StrictJSONError, parse_object
from spool.task import AcceptedTask
from spool.workspace import AGENT_PREFIX, Workspace

if TYPE_CHECKING:
    from pathlib import Path

    from agent.fleet.layout import Mirror
    from agent.fleet.refused import Refused

MAX_RECORD_BYTES: Final = 8 << 20
BEAT: Final = "agent.json"
_REPORT: Final = re.compile(r"healthcheck-[0-9]{8}-[0-9]{6}(-[0-9]{1,4})?\.log")
_PAUSE: Final = re.compile(r"paused(\.(tool|group)\.[A-Za-z0-9][A-Za-z0-9._-]{0,99})?")


@dataclass(slots=True)
class Shelf:
    """What one mirror showed in the last round; kept between rounds, and made anew after a restart.

    Args:
        missed: waiting tasks that were not listed the last time: a task that moves while rsync lists is
            listed nowhere, so one that is missing once is not gone yet.
        live: the sessions that the host has, by id, with the tool that runs.
        rejected_stamp: of the refusals that are shown.
        settled_logs: those that were gathered as far as they were copied.
    """

    missed: set[str] = field(default_factory=set)
    live: dict[str, str] = field(default_factory=dict)
    rejected_stamp: str | None = None
    settled_logs: set[str] = field(default_factory=set)


def show(mirror: Mirror, shelf: Shelf, refused: Refused) -> None:
    """Bring what people see up to date with rsync's copy.

    Raises:
        OSError: our own disk; calling again goes on.
    """
    shelf.live = _show_sessions(mirror, refused)
    _show_beats(mirror, refused)
    shelf.missed = waiting.show(mirror, shelf.missed, refused)
    _show_configs(mirror)
    _show_reports(mirror, refused)
    stamp = living.rejected_stamp(mirror)
    if stamp is None or stamp != shelf.rejected_stamp:
        _show_rejected(mirror, refused)
        shelf.rejected_stamp = stamp


# ------------------------------------------------------------------------------------------------ sessions


def _show_sessions(mirror: Mirror, refused: Refused) -> dict[str, str]:
    there = mirror.raw / "sessions"
    live: dict[str, str] = {}
    for name in names_in(there):
        if name.startswith("."):
            continue
        if not is_task_id(name):
            refused.add(f"sessions/{name}", "its name is no task's id")
        elif not os.path.lexists(there / name / STATUS) and not os.path.lexists(there / name / TASK):
            live[name] = ""  # claimed at this moment, or emptied at this moment: there is nothing to show
        elif (tool := _session_tool(there / name, refused)) is not None:
            live[name] = tool
            _show_records(there / name, mirror.workspace.sessions / name, (STATUS, TASK))
    for name in names_in(mirror.workspace.sessions):
        if is_task_id(name) and name not in live and _is_over(mirror, name):
            throw_away(mirror, mirror.workspace.sessions / name)
    return live


def _session_tool(folder: Path, refused: Refused) -> str | None:
    """Return the tool of a session whose records can be believed."""
    what = f"sessions/{folder.name}"
    tool = ""
    try:
        for file, model in ((TASK, AcceptedTask), (STATUS, Status)):
            if (folder / file).exists():
                content = read_regular(folder / file, MAX_RECORD_BYTES)
                parse_object(content)
                record = model.model_validate_json(content)
                if record.task_id != folder.name:
                    refused.add(what, f"its {file} is of another task")
                    return None
                tool = record.tool
    except (ValidationError, StrictJSONError, NotRegularError, TooLargeError) as error:
        refused.add(what, f"it cannot be read ({type(error).__name__})")
        return None
    return tool


def _show_records(source: Path, target: Path, names: tuple[str, ...]) -> None:
    make_folder(target)
    for name in names:
        number = inode(source / name)
        if number is not None and number != inode(target / name):
            link_over(source / name, target / name)


def _is_over(mirror: Mirror, task_id: str) -> bool:
    """Tell whether a session that left its host is a result that we hold, and no later one is marked."""
    try:
        held = digest_of_result(mirror.workspace.results / task_id)
    except OSError:
        return False
    try:
        mark = read_regular(Workspace(mirror.raw).uncollected / task_id, 4096)
    except FileNotFoundError:
        return True
    return mark.strip() == held.encode()


def _show_beats(mirror: Mirror, refused: Refused) -> None:
    for name in names_in(mirror.raw / "sessions"):
        source = mirror.raw / "sessions" / name / BEAT
        if not name.startswith(AGENT_PREFIX) or inode(source) is None:
            continue
        agent = name.removeprefix(AGENT_PREFIX)
        try:
            parse_object(read_regular(source, MAX_RECORD_BYTES))
        except (StrictJSONError, TooLargeError):
            refused.add(f"sessions/{name}/{BEAT}", "it cannot be read")
            continue
        if is_task_id(agent):
            _show_records(source.parent, mirror.workspace.agent(agent), (BEAT,))


# ---------------------------------------------------------------------------------- pauses and refusals


def _show_configs(mirror: Mirror) -> None:
    """Show the host's pauses; one that a person removed here is not put back: that asks the host to go on."""
    there, seen = mirror.raw / "configs", mirror.workspace.configs
    known = Known(mirror.shown / "configs")
    before = set(known.inodes)
    wanted = {n for n in names_in(there) if _PAUSE.fullmatch(n) and inode(there / n) is not None}
    known.add(there / name for name in wanted)
    for name in wanted:
        if inode(seen / name) is None and inode(there / name) not in before:
            link_over(there / name, seen / name)
    for name in ours_in(seen, known.inodes) - wanted:
        (seen / name).unlink(missing_ok=True)
    copied = {inode(there / name) for name in wanted}
    known.keep_only(number for number in known.inodes if number in copied)


def _show_reports(mirror: Mirror, refused: Refused) -> None:
    """Put the latest health reports among the logs, where they stay when the host keeps them no longer."""
    there = Workspace(mirror.raw).recent_reports
    for name in names_in(there):
        if not _REPORT.fullmatch(name) or inode(there / name) is None:
            refused.add(f"logs/.healthchecks/{name}", "it is no health report")
        elif not os.path.lexists(mirror.workspace.logs / name):
            link_over(there / name, mirror.workspace.logs / name)


def _show_rejected(mirror: Mirror, refused: Refused) -> None:
    there, seen = mirror.raw / "rejected", mirror.workspace.rejected
    known = Known(mirror.shown / "rejected")
    wanted: set[str] = set()
    for name in names_in(there):
        if name.startswith("."):
            continue
        if not name.isprintable() or inode(there / name) is None:
            refused.add(f"rejected/{name}", "its name or its kind cannot be shown")
        else:
            wanted.add(name)
    known.add(there / name for name in wanted)
    for name in wanted:
        number = inode(seen / name)
        if number is None or (number in known.inodes and number != inode(there / name)):
            link_over(there / name, seen / name)
        elif number not in known.inodes:
            refused.add(f"rejected/{name}", "another file of this name was refused here")
    for name in ours_in(seen, known.inodes) - wanted:
        (seen / name).unlink(missing_ok=True)
    copied = {inode(there / name) for name in wanted}
    known.keep_only(number for number in known.inodes if number in copied)


def throw_away(mirror: Mirror, folder: Path) -> None:
    """Remove a folder of what people see, at once for whoever looks."""
    doomed = mirror.incoming / f".gone.{new_ulid()}"
    try:
        folder.rename(doomed)
    except FileNotFoundError:
        return
    shutil.rmtree(doomed)
