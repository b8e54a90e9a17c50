from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spool.refusal import Refusal
from spool.task import MAX_PRIORITY, AcceptedTask, Task, parse_task

if TYPE_CHECKING:
    from collections.abc import Iterator

README = Path(__file__).parents[2] / "spool" / "README.md"


def encoded(**fields: Any) -> bytes:
    return json.dumps({"tool": "shell", "command": "true", **fields}, indent=1).encode()


def accepted(**fields: Any) -> Task:
    verdict = parse_task(encoded(**fields))
    assert not isinstance(verdict, Refusal), verdict
    return verdict[0]


def refused(**fields: Any) -> Refusal:
    verdict = parse_task(encoded(**fields))
    assert isinstance(verdict, Refusal), verdict
    return verdict


@pytest.fixture
def zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A host whose local time is five hours behind UTC, in summer four."""
    monkeypatch.setenv("TZ", "EST5EDT,M3.2.0,M11.1.0")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def test_the_real_tasks_are_accepted_as_they_are(sample_tasks: list[Path]) -> None:
    """Nothing of them is unknown, so nothing is warned about."""
    for path in sample_tasks:
        verdict = parse_task(path.read_bytes())
        assert not isinstance(verdict, Refusal)
        assert verdict[1] == ()


def test_defaults() -> None:
    """What is left out is what the protocol says."""
    task = accepted()
    assert task.task_id is None
    assert task.priority_points == 10
    assert (task.retry_policy.max_retries, task.retry_policy.initial_delay_s) == (0, 30.0)
    assert (task.retry_policy.max_delay_s, task.retry_policy.on) == (3600.0, ("failed", "timed_out"))
    assert (task.timeout, task.waiting_timeout, task.weight) == (None, 86400.0, 1)
    assert (task.approval, task.idempotent, task.interactive, task.worktree, task.review) == (
        *("ask", False, False, False),
        False,
    )


GOOD: list[tuple[str, Any]] = [
    ("task_id", "a" * 100),
    ("task_id", "0._-"),
    ("priority", "critical"),
    ("priority", -1000),
    ("timeout", 1),
    ("timeout", 0.5),
    ("waiting_timeout", 60),
    ("dependencies", ["a", "b"]),
    ("estimated_duration", 0),
    ("labels", ["gpu", "äöü"]),
    ("group", "nightly"),
    ("weight", 10_000),
    ("host", "any"),
    ("idempotent", True),
    ("interactive", True),
    ("approval", "read-only"),
    ("worktree", True),
    ("resume", "session 12"),
    ("review", True),
    ("inputs", ["a:answer.txt", "b:files/c/d.txt"]),
    ("launcher", "screen"),
    ("resources", {"cpus": 4, "memory_mb": 100, "gpus": 0, "constraint": "a&b"}),
    ("status", {"anything": [1]}),
    ("created_at", "2024-10-25T10:30:00Z"),
    ("submitted_by", "me"),
    ("env", {"API_KEY": "x"}),
    ("metadata", {"anything": None}),
    ("parameters", {"args": ["a", 1, 2.5], "cwd": "~", "output": "results/x.md", "prompt": "do it"}),
    ("retry_policy", {"max_retries": 3, "backoff": "linear", "on": ["lost"]}),
]


@pytest.mark.parametrize(("name", "value"), GOOD)
def test_good_values_survive_the_copy_that_is_executed(name: str, value: Any) -> None:
    """task.json says what the dropped file said (I3), and can be read again."""
    task = accepted(**{name: value})
    kept = AcceptedTask(
        **{**dict(task), "task_id": "x"},
        source_name="x.json",
        source_sha256="0",
        submitted_at=datetime.now(UTC),
    )
    again = AcceptedTask.model_validate_json(kept.model_dump_json())
    assert again == kept
    assert getattr(again, name) == getattr(task, name) or name == "task_id"


BAD: list[tuple[str, Any, str, str]] = [
    ("task_id", "a" * 101, "task_id", "is not a task id"),
    ("task_id", "../x", "task_id", "is not a task id"),
    ("task_id", ".x", "task_id", "is not a task id"),
    ("task_id", "a\n", "task_id", "is not a task id"),
    ("task_id", "ä", "task_id", "is not a task id"),
    ("task_id", 7, "task_id", "is not a string"),
    ("tool", "", "tool", "is not a name"),
    ("tool", None, "tool", "is not a string"),
    ("tool", "a/b", "tool", "is not a name"),
    ("command", None, "command", "is not a string"),
    ("command", "", None, "neither a command nor parameters.prompt"),
    ("parameters", [], "parameters", "is not an object"),
    ("parameters", {"prompt": 3}, "parameters.prompt", "is not a string"),
    ("parameters", {"cwd": 3}, "parameters.cwd", "is not a string"),
    ("parameters", {"output": ["a"]}, "parameters.output", "is not a string"),
    ("parameters", {"args": "a b"}, "parameters.args", "is not a list"),
    ("parameters", {"args": [None]}, "parameters.args", "is not a list"),
    ("parameters", {"x": ["a\0b"]}, "parameters.x[0]", "NUL"),
    ("parameters", {"x": "\ud800"}, "parameters.x", "surrogate"),
    ("parameters", {"\udfff": "x"}, "parameters", "surrogate"),
    ("priority", "hgih", "priority", "use one of critical, high, normal, low"),
    ("priority", True, "priority", "use one of"),
    ("priority", 1.0, "priority", "use one of"),
    ("priority", 1001, "priority", "use one of"),
    ("priority", None, "priority", "use one of"),
    ("timeout", 0, "timeout", "must be greater than 0"),
    ("timeout", True, "timeout", "is not a number"),
    ("timeout", "60", "timeout", "is not a number"),
    ("timeout", 10**400, "timeout", "is not a number"),
    ("timeout", 1e300, "timeout", "must be less than"),
    ("dependencies", "a", "dependencies", "is not a list"),
    ("dependencies", ["a", "b/c"], "dependencies.1", "is not a task id"),
    ("not_before", "tomorrow", "not_before", "is not a time"),
    ("not_before", 12, "not_before", "a time is a string"),
    ("expires_at", "0001-01-01", "expires_at", "outside the years"),
    ("weight", 0, "weight", "must be greater"),
    ("weight", 1.5, "weight", "is not an integer"),
    ("idempotent", "true", "idempotent", "is neither true nor false"),
    ("idempotent", 1, "idempotent", "is neither true nor false"),
    ("approval", "yes", "approval", "must be 'read-only', 'ask' or 'auto'"),
    ("inputs", ["a"], "inputs.0", "write it as ID:path"),
    ("inputs", ["a:../b"], "inputs.0", "leaves the result's folder"),
    ("inputs", ["a:/etc/passwd"], "inputs.0", "leaves the result's folder"),
    ("launcher", "nohup", "launcher", "must be 'tmux'"),
    ("resources", {"cpu": 1}, "resources.cpu", "did you mean 'cpus'?"),
    ("resources", {"gpus": -1}, "resources.gpus", "must be greater"),
    ("retry_policy", {"max_retrys": 3}, "retry_policy.max_retrys", "did you mean 'max_retries'?"),
    ("retry_policy", {"backoff": "quick"}, "retry_policy.backoff", "must be 'none'"),
    ("retry_policy", {"on": ["succeeded"]}, "retry_policy.on.0", "must be 'failed'"),
    ("retry_policy", 3, "retry_policy", "is not an object"),
    ("env", {"A B": "x"}, "env.A B", "is not the name of an environment variable"),
    ("env", {"A\n": "x"}, "env.A\n", "is not the name of an environment variable"),
    ("env", {"A": 1}, "env.A", "is not a string"),
    ("metadata", 3, "metadata", "is not an object"),
]


def test_the_bounds_of_a_priority_are_documented() -> None:
    """Whoever reads the protocol learns them before a file is refused."""
    (row,) = (line for line in README.read_text("utf-8").splitlines() if line.startswith("| `priority`"))
    assert f"an integer from -{MAX_PRIORITY} to {MAX_PRIORITY}" in row


@pytest.mark.parametrize(("name", "value", "field", "words"), BAD)
def test_bad_values_are_refused_in_words(name: str, value: Any, field: str | None, words: str) -> None:
    """The refusal names the field and what is wrong with it, without the words of a parser, for good."""
    refusal = refused(**{name: value})
    assert refusal.field == field
    assert words in refusal.what
    assert refusal.final
    for jargon in (
        "Input should",
        "Value error",
        "dictionary",
        "tuple",
        "Extra inputs",
        "pydantic",
        "unicode",
    ):
        assert jargon not in refusal.what


def test_what_is_required() -> None:
    """A task needs a tool, and something to do."""
    verdict = parse_task(b'{"command": "x"}')
    assert isinstance(verdict, Refusal)
    assert verdict.what == "tool: is missing"
    assert not isinstance(parse_task(b'{"tool": "qwen", "parameters": {"prompt": "x"}}'), Refusal)


def test_the_place_of_a_nested_field_is_its_own() -> None:
    """A name that stands in several objects is told apart."""
    refusal = refused(parameters={"max_retries": 1}, retry_policy={"max_retries": -1})
    assert refusal.place is not None
    assert encoded(parameters={"max_retries": 1}, retry_policy={"max_retries": -1})[
        refusal.place.byte :
    ].startswith(b'"max_retries": -1')


def test_unknown_fields_are_kept_with_a_warning() -> None:
    """A newer client's field survives, and a misspelt one is named."""
    verdict = parse_task(encoded(prioritiy="high", x_vendor={"a": 1}, metadata={"mine": 1}))
    assert not isinstance(verdict, Refusal)
    task, warnings = verdict
    assert task.metadata == {"prioritiy": "high", "x_vendor": {"a": 1}, "mine": 1}
    assert any("'prioritiy'" in w and "did you mean 'priority'" in w for w in warnings)
    assert any("'x_vendor'" in w for w in warnings)


def test_an_unknown_field_never_overwrites_metadata_silently() -> None:
    """Of two values of one name the written metadata stays, and the warning says so."""
    verdict = parse_task(encoded(x=1, metadata={"x": 2}))
    assert not isinstance(verdict, Refusal)
    assert verdict[0].metadata == {"x": 2}
    assert "left out" in verdict[1][0]


@pytest.mark.usefixtures("zone")
@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("2026-11-30T22:00:00Z", datetime(2026, 11, 30, 22, tzinfo=UTC)),
        ("2026-11-30T22:00:00+02:00", datetime(2026, 11, 30, 20, tzinfo=UTC)),
        ("2026-11-30T22:00:00", datetime(2026, 12, 1, 3, tzinfo=UTC)),
        ("2026-07-01 12:00", datetime(2026, 7, 1, 16, tzinfo=UTC)),
        ("2026-11-30", datetime(2026, 11, 30, 5, tzinfo=UTC)),
    ],
)
def test_times(text: str, utc: datetime) -> None:
    """A time without a zone is the host's, summer time included."""
    assert accepted(not_before=text).not_before == utc


def test_needs_are_dependencies_and_inputs_once_each() -> None:
    """A task whose result is an input must have succeeded, too."""
    assert accepted(dependencies=["a", "b"], inputs=["b:x", "c:y"]).needs == ("a", "b", "c")


@given(
    st.dictionaries(
        st.sampled_from([*Task.model_fields, "unknown"]),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
            lambda inner: (
                st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
            ),
            max_leaves=5,
        ),
        max_size=6,
    )
)
def test_any_object_is_a_task_or_refused_in_words(fields: dict[str, Any]) -> None:
    """Nothing a file says makes parsing raise."""
    verdict = parse_task(json.dumps({"tool": "shell", "command": "x", **fields}).encode())
    if isinstance(verdict, Refusal):
        assert verdict.sentence()
        assert verdict.document(file="x", rejected_at="now", by="me", identity={})
        return
    task = AcceptedTask(
        **{**dict(verdict[0]), "task_id": "x"},
        source_name="x",
        source_sha256="",
        submitted_at=datetime.now(UTC),
    )
    assert AcceptedTask.model_validate_json(task.model_dump_json()) == task


def test_numbers_survive_exactly() -> None:
    """Long integers and floats in parameters are executed as they were written (I3)."""
    value = {"i": 10**400, "f": 0.1, "e": 1e22, "n": -0.0, "one": 1.0, "big": 2**64}
    task = accepted(parameters=value)
    kept = AcceptedTask(
        **{**dict(task), "task_id": "x"}, source_name="x", source_sha256="", submitted_at=datetime.now(UTC)
    )
    again = AcceptedTask.model_validate_json(kept.model_dump_json()).parameters
    assert json.dumps(again) == json.dumps(value)
