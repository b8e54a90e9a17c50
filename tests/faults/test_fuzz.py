"""Parsers of what others can write: any bytes end in a value or in the one expected error."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from faults.hostile import corpus
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.config import ConfigError, load
from agent.tools.registry import Registry
from spool.records import DamagedError, Exit, Intent, Result, Started, Status, Tombstone
from spool.refusal import Refusal
from spool.strictjson import StrictJSONError, parse_object
from spool.task import Task, parse_task
from spool.view import Why

if TYPE_CHECKING:
    from pathlib import Path

    from spool.workspace import Workspace

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
TASKS = st.fixed_dictionaries(
    {"tool": st.just("shell") | JSON, "command": st.text() | JSON},
    optional={name: JSON for name in Task.model_fields if name not in {"tool", "command"}},
)


def dumped(value: Any) -> bytes:
    """Encode as any client might, surrogates and NaN included."""
    return json.dumps(value).encode(errors="surrogatepass")


@settings(max_examples=400)
@given(st.binary() | JSON.map(dumped) | TASKS.map(dumped))
def test_task_parser_takes_any_bytes(content: bytes) -> None:
    """A task or a refusal with what and remedy, never an exception."""
    parsed = parse_task(content)
    if isinstance(parsed, Refusal):
        assert parsed.what
        assert parsed.remedy
    else:
        assert isinstance(parsed[0], Task)


def test_task_parser_takes_the_corpus() -> None:
    """The same for every hostile file that was ever thought of."""
    for _name, content, _kind in corpus():
        assert parse_task(content)


@settings(max_examples=200)
@given(st.binary(max_size=300))
def test_strict_json_agrees_with_json(content: bytes) -> None:
    """What the strict parser takes, the lax one reads the same."""
    try:
        parsed = parse_object(content)
    except StrictJSONError:
        return
    assert json.loads(content) == parsed


@pytest.mark.parametrize("record", [Exit, Intent, Result, Started, Status, Tombstone])
def test_records_of_any_bytes(record: Any, tmp_path: Path) -> None:
    """A record on disk is read, or is damaged; a tool can write into its own attempt."""
    path = tmp_path / "record"

    @settings(max_examples=150)
    @given(st.binary() | JSON.map(dumped))
    def reads(content: bytes) -> None:
        path.write_bytes(content)
        try:
            record.read(path)
        except DamagedError:
            return

    reads()


def test_why_and_options_of_any_bytes(workspace: Workspace) -> None:
    """A .why line is read or is none; options are read or are a ConfigError that names the file."""
    why = workspace.tasks / "x.why"

    @settings(max_examples=200)
    @given(st.binary() | st.text().map(lambda text: text.encode(errors="surrogatepass")))
    def reads(content: bytes) -> None:
        why.write_bytes(content)
        Why.read(why)
        for name, load_it in (("agent.toml", load), ("tools.toml", Registry.load)):
            (workspace.configs / name).write_bytes(content)
            try:
                load_it(workspace)
            except ConfigError as error:
                assert name in str(error)  # noqa: PT017 - no error is as good
            (workspace.configs / name).unlink()

    reads()
