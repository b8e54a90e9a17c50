"""What a line of the list holds, at any width, and what a person types to see less."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from agent.top.filtering import parse
from agent.top.rows import ALIVE, HEAD, OVER, Columns, Row, cells_of, shortened
from spool.records import State, utc_now

HOSTILE = st.text(alphabet=st.sampled_from("ab c[/]日é\x1b\x07\x9b\u202e\u200e\n\r\t\0"), max_size=40)


def row(**fields: Any) -> Row:
    document = {
        "task_id": "t",
        "host": None,
        "state": "running",
        "tool": "shell",
        "standing": "it runs",
        "changed_at": "2026-11-20T12:00:00Z",
        "duration_s": None,
        "question": None,
    }
    return Row.of(document | fields)


def test_every_state_stands_somewhere() -> None:
    """No task is left out of the list because of its state."""
    assert sorted((*ALIVE, *OVER)) == sorted(str(state) for state in State)


@given(HOSTILE, HOSTILE, HOSTILE, st.none() | st.just("gpu-box"), st.integers(1, 200))
def test_a_line_fills_its_width_and_nothing_else(
    task_id: str, tool: str, standing: str, host: str | None, width: int
) -> None:
    """Whatever a task is called and says, one line of exactly this width comes of it, without a control."""
    one = row(task_id=task_id, tool=tool, standing=standing, host=host)
    columns = Columns.fitting([one], width)
    for cells in (HEAD, cells_of(one, utc_now())):
        line = "".join(columns.line(cells, width))
        assert cell_len(line) == width
        assert not any(ord(c) < 32 or 127 <= ord(c) < 160 or c in "\u202e\u200e" for c in line)


def test_the_end_of_a_long_name_stays() -> None:
    """Ids that cron gave differ at their end."""
    assert shortened("nightly-build-01JD0000000000000000000XYZ", 20) == "nightly-build…000XYZ"[:14] + "000XYZ"
    assert shortened("one two three four", 10) == "one two t…"


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("", {}),
        ("nightly gpu", {"text": "nightly gpu"}),
        ("state:asks", {"states": ("waiting_input",)}),
        ("state:fail x", {"states": ("failed",), "text": "x"}),
        ("state:", {}),
        ("state:nonsense", {"unknown": "nonsense"}),
        (
            "host:a tool:shell label:l group:g",
            {"hosts": ("a",), "tools": ("shell",), "labels": ("l",), "groups": ("g",)},
        ),
        ("http://x", {"text": "http://x"}),
    ],
)
def test_what_is_typed_is_understood(typed: str, expected: dict[str, Any]) -> None:
    """Words are looked for, named fields are compared, half-typed ones wait."""
    got = parse(typed)
    assert {name: getattr(got, name) for name in expected} == expected
    assert got == type(got)(**expected)
