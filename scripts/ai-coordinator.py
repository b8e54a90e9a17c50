#!/usr/bin/env python3
"""A coordinator for other programs: submits tasks, waits for them, and logs what happens.

    ai-coordinator.py submit FILE    prints the id
    ai-coordinator.py run FILE       waits too; exit 0 only when the task succeeded
    ai-coordinator.py monitor        logs the active sessions every minute

It works through the folder alone: what it submits waits there for an agent. The workspace is
AISPOOL_WORKSPACE, else ~/ai-workspace; the log is logs/coordinator.log in it.
"""

from __future__ import annotations

import argparse
import logging
import os
import shutil
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

try:
    from spool import view
    from spool.records import State
    from spool.refusal import Refusal
    from spool.submit import drop, encode, with_id
    from spool.workspace import WorkspaceError, chosen_root, open_workspace
except ImportError:
    if __name__ != "__main__":
        raise
    # Run by the system's Python: aispool's own environment has what is missing here.
    _data = Path(os.environ.get("XDG_DATA_HOME") or "~/.local/share").expanduser()
    _places = os.pathsep.join((os.environ.get("PATH", ""), f"{_data}/aispool/venv/bin"))
    _aispool = shutil.which("aispool", path=_places)
    _python = Path(_aispool or sys.executable).resolve().with_name("python3")
    if _aispool is None or _python == Path(sys.executable) or not _python.exists():
        sys.exit("ai-coordinator.py: aispool is not installed here: run quickstart of its checkout")
    os.execv(_python, [str(_python), *sys.argv])

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

ACTIVE = frozenset({State.RUNNING, State.WAITING_INPUT})
FORMAT = "%(asctime)s - %(levelname)s - %(message)s"
MONITOR_INTERVAL_S = 60.0
POLL_INTERVAL_S = 0.5


class AICoordinator:
    """Submits tasks to one workspace, follows them, and logs to its logs/coordinator.log."""

    def __init__(self, workspace: str | os.PathLike[str] | None = None) -> None:
        self.workspace = open_workspace(chosen_root(workspace))
        self.stop = threading.Event()
        self._dropped: dict[str, Path] = {}
        self._started: set[str] = set()
        self._log = logging.Logger("coordinator", logging.INFO)  # noqa: LOG001 - its own file, shared with nobody
        self._handler = logging.FileHandler(self.workspace.logs / "coordinator.log", encoding="utf-8")
        self._handler.setFormatter(logging.Formatter(FORMAT))
        self._log.addHandler(self._handler)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._handler.close()

    def submit_task(self, config: Mapping[str, Any]) -> str:
        """Drop a task and return its id.

        Raises:
            ValueError: it is no valid task; the message says what, where, and what to do.
            OSError: it could not be written.
        """
        stem = str(config.get("command") or config.get("tool") or "task")
        return self.submit_bytes(encode(dict(config)), stem)

    def submit_bytes(self, content: bytes, stem: str) -> str:
        """Drop a task as a person wrote it and return its id; raises as submit_task does."""
        ready = with_id(content, stem)
        if isinstance(ready, Refusal):
            self._log.error("Task refused: %s", ready.sentence())
            raise ValueError(ready.sentence())  # noqa: TRY004 - the content is wrong, not its type
        content, task_id = ready
        self._dropped[task_id] = drop(self.workspace, content, task_id)
        self._log.info("Task %s queued", task_id)
        return task_id

    def execute_task(self, task_id: str) -> bool:
        """Wait until the task is over and tell whether it succeeded; False too when nobody knows the id."""
        while (found := self._find(task_id)) is not None:
            self._note(found)
            if found.state.is_over:
                self._log.info("Task %s %s: %s", task_id, found.state.value, found.reason)
                return found.state is State.SUCCEEDED
            if self.stop.wait(POLL_INTERVAL_S):
                return False
        self._log.error("Task %s is unknown: %s", task_id, self._why_unknown(task_id))
        return False

    def monitor_tasks(self, interval_s: float = MONITOR_INTERVAL_S) -> None:
        """Log the active sessions again and again, until `stop` is set."""
        while True:
            active = [v for v in view.in_session(self.workspace) if v.state in ACTIVE]
            for each in active:
                self._note(each)
            self._log.info("Active AI sessions: %d", len(active))
            if self.stop.wait(interval_s):
                return

    def _find(self, task_id: str) -> view.View | None:
        # Its own file is one look; a search reads every waiting task.
        dropped = self._dropped.get(task_id)
        if dropped is not None and (waiting := view.waiting_file(dropped, "tasks")) is not None:
            return waiting
        return view.find(self.workspace, task_id)

    def _note(self, found: view.View) -> None:
        began = found.state in ACTIVE or (found.result is not None and found.result.started_at is not None)
        if began and found.task_id not in self._started:
            self._started.add(found.task_id)
            self._log.info("Task %s started", found.task_id)

    def _why_unknown(self, task_id: str) -> str:
        dropped = self._dropped.get(task_id)
        explanation = self.workspace.rejected / f"{dropped.name}.error.json" if dropped else None
        if explanation is not None and explanation.exists():
            return f"it was rejected, see {explanation}"
        return "it was never dropped here, or was removed while it waited"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="action", required=True)
    for name in ("submit", "run"):
        commands.add_parser(name).add_argument("file", type=Path)
    commands.add_parser("monitor")
    return parser.parse_args()


def main() -> int:
    """Run one of the three actions."""
    arguments = _arguments()
    try:
        with AICoordinator() as coordinator:
            if arguments.action == "monitor":
                coordinator.monitor_tasks()
                return 0
            task_id = coordinator.submit_bytes(arguments.file.read_bytes(), arguments.file.stem)
            sys.stdout.write(f"{task_id}\n")
            sys.stdout.flush()
            return 0 if arguments.action == "submit" or coordinator.execute_task(task_id) else 1
    except (OSError, ValueError, WorkspaceError) as error:
        sys.stderr.write(f"ai-coordinator.py: {error}\n")
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
