"""Giving a host what is for it: rsync into its inbox, in passes that never show a task without its files.

    files     ID.files/ of each task          (rsync sends the files of a folder before its sub folders)
    tasks     ID.json, once all files are there
    controls  ULID.json, about tasks that are there by then

What was given once may be given again: the host knows a delivery by its name, its bytes and its time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from agent.fleet.copying import reading_s, size_bytes
from agent.fleet.rsync import PARTIAL, TransferError, sentence

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from agent.fleet.calls import Ended, Watching
    from agent.fleet.layout import Mirror
    from agent.fleet.outbox import Parcel
    from agent.fleet.rsync import Transfers

_AS_IT_IS: Final = ("--relative", "--no-implied-dirs", "--links", "--safe-links")
"""A name `a/b/./c` arrives as c (rsync(1), --relative); a link may lead nowhere but into its own folder."""


def push(
    transfers: Transfers, mirror: Mirror, tasks: Sequence[Parcel], controls: Sequence[str], watching: Watching
) -> None:
    """Give a host tasks and controls; what is given when this raises is not known.

    Args:
        transfers: how.
        mirror: the host's folder here.
        tasks: of `.sent/tasks`.
        controls: names of files of `.sent/control`.
        watching: who looks on.

    Raises:
        TransferError: something did not arrive.
        CallError: a program is missing here.
    """
    sent = mirror.sent.tasks
    with_files = [parcel for parcel in tasks if parcel.files.is_dir()]
    if with_files:
        names = [f"{parcel.task_id}/./{parcel.files.name}/" for parcel in with_files]
        options = (*_AS_IT_IS, f"--partial-dir={PARTIAL}")
        # of a file that is there in part, the host reads that part before anything is heard
        patience_s = reading_s(size_bytes(parcel.files for parcel in with_files))
        _give(transfers, sent, names, "tasks", options, watching, patience_s)
    if tasks:
        names = [_outgoing(sent, parcel) for parcel in tasks]
        _give(transfers, sent, names, "tasks", _AS_IT_IS, watching)
    if controls:
        _give(transfers, mirror.sent_controls, list(controls), "control", (), watching)


def _outgoing(sent: Path, parcel: Parcel) -> str:
    return f"{parcel.outgoing.parent.relative_to(sent)}/./{parcel.task.name}"


def _give(
    transfers: Transfers,
    folder: Path,
    names: list[str],
    target: str,
    options: Sequence[str],
    watching: Watching,
    patience_s: float = 0.0,
) -> None:
    silence_s = transfers.silence_s + patience_s
    ended: Ended = transfers.push(folder, names, target, *options, watching=watching, silence_s=silence_s)
    if ended.code != 0:
        raise TransferError(f"not everything was taken: {sentence(ended)}", ended.code)
