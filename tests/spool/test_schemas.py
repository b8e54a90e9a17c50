from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import Draft202012Validator

from spool.records import AttemptRecord, Result, State, Status, utc_now
from spool.refusal import Refusal
from spool.schemas import FOLDER, schemas
from spool.task import parse_task

if TYPE_CHECKING:
    from pathlib import Path


def validator(name: str) -> Draft202012Validator:
    schema = json.loads((FOLDER / f"{name}.schema.json").read_bytes())
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def test_the_files_are_what_the_models_say() -> None:
    """`python -m spool.schemas` was run after the last change of a model."""
    assert {path.name: path.read_bytes() for path in FOLDER.iterdir()} == schemas()


def test_writing_them_again_changes_nothing(tmp_path: Path) -> None:
    """The command works from any folder."""
    before = schemas()
    subprocess.run([sys.executable, "-m", "spool.schemas"], check=True, cwd=tmp_path, env={**os.environ})
    assert {path.name: path.read_bytes() for path in FOLDER.iterdir()} == before


def test_the_real_tasks_are_valid(sample_tasks: list[Path]) -> None:
    """A client that validates before it drops is not stopped."""
    for path in sample_tasks:
        validator("task").validate(json.loads(path.read_bytes()))


TASKS: list[tuple[dict[str, Any], bool]] = [
    ({"tool": "shell", "command": "x"}, True),
    ({"tool": "qwen", "parameters": {"prompt": "x"}}, True),
    ({"tool": "shell", "command": "x", "newer_field": 1}, True),
    ({"tool": "shell", "command": "x", "not_before": "2026-11-30"}, True),
    ({"tool": "shell", "command": "x", "priority": "high"}, True),
    ({"tool": "shell", "command": "x", "priority": -1000}, True),
    ({"tool": "shell", "command": "x", "status": {"any": "thing"}}, True),
    ({"tool": "shell", "command": "x", "priority": "hgih"}, False),
    ({"tool": "shell", "command": "x", "priority": 1001}, False),
    ({"tool": "shell", "command": "x", "task_id": "a/b"}, False),
    ({"tool": "a b", "command": "x"}, False),
    ({"tool": "shell"}, False),
    ({"command": "x"}, False),
    ({"tool": "shell", "command": "x", "timeout": 0}, False),
    ({"tool": "shell", "command": "x", "timeout": "60"}, False),
    ({"tool": "shell", "command": "x", "retry_policy": {"max_retrys": 1}}, False),
    ({"tool": "shell", "command": "x", "dependencies": ["a b"]}, False),
    ({"tool": "shell", "command": "x", "resources": {"gpus": -1}}, False),
    ({"tool": "shell", "command": "x", "env": {"A": 1}}, False),
    ({"tool": "shell", "command": "x", "parameters": {"prompt": 3}}, False),
]


@pytest.mark.parametrize(("task", "good"), TASKS)
def test_schema_and_agent_agree(task: dict[str, Any], good: object) -> None:
    """What the schema refuses is refused by an agent, and what it lets through is accepted."""
    assert validator("task").is_valid(task) is good
    assert (not isinstance(parse_task(json.dumps(task).encode()), Refusal)) is good


@pytest.mark.parametrize("state", list(State))
def test_records_are_valid(state: State) -> None:
    """What we write is what the schemas say, in every state."""
    now = utc_now()
    attempt = AttemptRecord(number=1, state=state, reason="", exit_code=0, started_at=now)
    status = Status(
        task_id="t", tool="shell", command="x", state=state, reason="r", since=now, attempt=1, agent="a",
        host="h", submitted_at=now, source_name="t.json", attempts=(attempt,),
    )  # fmt: skip
    result = Result(
        task_id="t", tool="shell", command="x", state=state, reason="r", host="h", source_name="t.json",
        submitted_at=now, finished_at=now, attempts=(attempt,),
    )  # fmt: skip
    validator("status").validate(json.loads(status.encoded()))
    validator("result").validate(json.loads(result.encoded()))
    assert not validator("result").is_valid({**json.loads(result.encoded()), "state": "done"})
