"""Tasks in every place of a workspace, as clients and agents leave them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from spool.files import make_folder
from spool.records import Output, Result, State, Status
from spool.task import AcceptedTask

if TYPE_CHECKING:
    from pathlib import Path

    from spool.workspace import Workspace

NOON = datetime(2026, 11, 20, 12, 0, 0, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Maker:
    """Makes tasks in every place of one workspace, as clients and agents leave them."""

    workspace: Workspace

    def waiting(self, name: str, *, held: bool = False, **fields: Any) -> Path:
        path = (self.workspace.held if held else self.workspace.tasks) / f"{name}.json"
        path.write_text(json.dumps({"task_id": name, "tool": "shell", "command": "true", **fields}))
        return path

    def session(self, task_id: str, state: State = State.RUNNING, **fields: Any) -> Path:
        folder = self.workspace.sessions / task_id
        make_folder(folder)
        self._task(folder, task_id)
        self.status(task_id, state, **fields)
        return folder

    def status(self, task_id: str, state: State = State.RUNNING, **fields: Any) -> None:
        given: dict[str, Any] = {"reason": "attempt 1 runs", "since": NOON, **fields}
        Status(
            task_id=task_id, tool="shell", command="true", state=state, attempt=1, agent="test", host="here",
            submitted_at=NOON, source_name=f"{task_id}.json", **given,
        ).write(self.workspace.sessions / task_id / "status.json")  # fmt: skip

    def result(
        self, task_id: str, state: State = State.SUCCEEDED, *, minutes: float = 0, **fields: Any
    ) -> Path:
        folder = self.workspace.results / task_id
        hidden = self.workspace.results / f".{task_id}"
        make_folder(hidden)
        self._task(hidden, task_id, **{k: v for k, v in fields.items() if k == "group"})
        finished_at = NOON + timedelta(minutes=minutes)
        given = {"tool": "shell", "reason": "exit code 0", "output": Output(text="done"), **fields}
        given.pop("group", None)
        Result(
            task_id=task_id, command="true", state=state, host="here", source_name=f"{task_id}.json",
            submitted_at=NOON, finished_at=finished_at, **given,
        ).write(hidden / "result.json")  # fmt: skip
        hidden.rename(folder)
        return folder

    def _task(self, folder: Path, task_id: str, **fields: Any) -> None:
        task = AcceptedTask(
            task_id=task_id, tool="shell", command="true", source_name=f"{task_id}.json",
            source_sha256="0" * 64, submitted_at=NOON, **fields,
        )  # fmt: skip
        (folder / "task.json").write_text(task.model_dump_json())
