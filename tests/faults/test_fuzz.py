"""Parsers of what others can write: any bytes end in a value or in the one expected error."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from faults.hostile import corpus
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.collab import roles
from agent.collab.approval import word_on
from agent.config import AgentConfig, ConfigError, load
from agent.host.beat import Beat
from agent.tools.registry import Registry
from agent.wrapper.environment import EnvironmentFileError, read_env_file
from agent.wrapper.terminal import Answers
from spool.records import DamagedError, Exit, Intent, Result, Started, Status, Tombstone
from spool.refusal import Refusal
from spool.strictjson import StrictJSONError, parse_object
from spool.task import Task, parse_task
from spool.view import Why

if TYPE_CHECKING:
    from collections.abc import Iterator

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


@pytest.mark.parametrize("record", [Beat, Exit, Intent, Result, Started, Status, Tombstone])
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


LITERALS = ("1", "-1", "nan", "[]", "[[1]]", "{}", "true", "1e400")
OPTIONS = st.lists(
    st.tuples(
        st.sampled_from([*AgentConfig.model_fields, "tools.x.argv", "roles.x.providers", "x"]),
        st.text(max_size=8).map(json.dumps)
        | st.sampled_from(["1", "-1", "nan", "[]", "[[1]]", "{}", "true", "1e400"]),
    ),
    max_size=6,
    unique_by=lambda pair: pair[0],
).map(lambda pairs: "".join(f"{name} = {value}\n" for name, value in pairs).encode(errors="surrogatepass"))
"""Options files that a TOML parser takes, and that say anything."""


def test_why_and_options_of_any_bytes(workspace: Workspace) -> None:
    """A .why line is read or is none; options are read or are a ConfigError that names the file."""
    why = workspace.tasks / "x.why"
    loads = (("agent.toml", load), ("tools.toml", Registry.load), ("roles.toml", roles.load))

    @settings(max_examples=200)
    @given(st.binary() | st.text().map(lambda text: text.encode(errors="surrogatepass")) | OPTIONS)
    def reads(content: bytes) -> None:
        why.write_bytes(content)
        Why.read(why)
        for name, load_it in loads:
            (workspace.configs / name).write_bytes(content)
            try:
                load_it(workspace)
            except ConfigError as error:
                assert name in str(error)  # noqa: PT017 - no error is as good
            (workspace.configs / name).unlink()

    reads()


def test_env_file_of_any_bytes(tmp_path: Path) -> None:
    """Secrets are read, or the file is refused without a value of it in the message."""
    path = tmp_path / "tool.env"
    path.touch(mode=0o600)

    @settings(max_examples=200)
    @given(st.binary() | st.text().map(lambda text: f"KEY={text}".encode(errors="surrogatepass")))
    def reads(content: bytes) -> None:
        path.write_bytes(content)
        try:
            values = read_env_file(path)
        except EnvironmentFileError as error:
            assert path.name in str(error)  # noqa: PT017 - no error is as good
        else:
            assert all("\0" not in name + value for name, value in values.items())

    reads()


NAMES = st.binary(min_size=1, max_size=60).map(
    lambda name: name.replace(b"/", b"").replace(b"\0", b"") + b".txt"
)


def test_answers_of_any_name_and_content(tmp_path: Path) -> None:
    """Each answer is typed once, whatever it is called and holds, and no later attempt types it again."""

    @settings(max_examples=100)
    @given(st.dictionaries(NAMES, st.binary(max_size=200), max_size=4))
    def answers(files: dict[bytes, bytes]) -> None:
        session = tmp_path / os.urandom(8).hex()
        attempts = [session / "attempts" / number for number in ("001", "002")]
        for folder in (*attempts, session / "answer"):
            folder.mkdir(parents=True)
        for name, content in files.items():
            Path(os.fsdecode(os.fsencode(session / "answer") + b"/" + name)).write_bytes(content)
        expected = sorted(
            content.removesuffix(b"\n").removesuffix(b"\r") + b"\r"
            for name, content in files.items()
            if not name.startswith(b".") and b"\n" not in name
        )
        assert sorted(typed(session, attempts[0], len(files))) == expected
        assert list(typed(session, attempts[1], 1)) == []

    answers()


def typed(session: Path, attempt: Path, most: int) -> Iterator[bytes]:
    """Ask again and again, and return what is typed each time."""
    answers = Answers(session / "answer", attempt / "answered")
    now_s = 0.0
    for _ in range(most):
        answers.take(now_s, asked=True)
        if text := answers.due(now_s + 2):
            yield text
        answers.take(now_s, asked=False)
        now_s += 10


@settings(max_examples=200)
@given(content=st.binary(max_size=200))
def test_approval_of_any_bytes(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    """Nothing but the digest of a command approves it."""
    session = tmp_path_factory.mktemp("session")
    (session / "approve").mkdir()
    (session / "approve" / "1").write_bytes(content)
    digest = "ab" * 32
    word = word_on(session, 1, digest)
    assert word is not None
    assert word.approved == (content.strip() == digest.encode())
