from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spool.names import (
    error_name,
    given_id,
    is_dropped_name,
    is_task_id,
    name_problem,
    new_ulid,
    shortened,
    stem_of,
    with_suffix_number,
)

FILE_NAMES = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1).filter(
    lambda name: len(os.fsencode(name)) <= 255 and name not in {".", ".."}
)


def test_ids() -> None:
    """An id may name a folder, a session and a log."""
    for good in ("a", "0", "task-001", "A.b_c-d", "a" * 100):
        assert is_task_id(good)
    for bad in ("", ".a", "-a", "_a", "a/b", "a b", "a\n", "ä", "a" * 101, "..", "a\0"):
        assert not is_task_id(bad)


@given(st.text())
def test_a_given_id_is_an_id(stem: str) -> None:
    """Whatever a file is called, its task has a good id, and another one every night."""
    first, second = given_id(stem), given_id(stem)
    assert is_task_id(first)
    assert first != second


def test_ulids_sort_by_time() -> None:
    """The first ten characters are the time (ulid/spec)."""
    assert new_ulid(0)[:10] == "0" * 10
    assert new_ulid(2**48 - 1)[:10] == "7ZZZZZZZZZ"
    assert new_ulid(1) < new_ulid(2) < new_ulid(3000)
    assert len(new_ulid()) == 26


def test_what_is_meant_as_a_task() -> None:
    """Dotfiles and other names are not there."""
    assert is_dropped_name("x.json")
    for name in (".x.json", "x.json~", "x.json.swp", "x.files", "x.why", "x.JSON", ".json"):
        assert not is_dropped_name(name)
    assert stem_of("a.b.json") == "a.b"


@given(FILE_NAMES)
def test_an_explanations_name_fits(name: str) -> None:
    """Whatever a file is called, its explanation can be written beside it."""
    assert len(os.fsencode(error_name(name))) <= 255
    assert error_name(name).endswith(".error.json")
    assert error_name(name) != name


def test_long_names_that_begin_alike_are_told_apart() -> None:
    """A digest stands for what was cut."""
    assert shortened("x" * 250 + "a", ".files") != shortened("x" * 250 + "b", ".files")
    assert shortened("x", ".files") == "x.files"


@pytest.mark.parametrize(
    ("name", "number", "expected"),
    [("x.json", 1, "x.json"), ("x.json", 2, "x~2.json"), ("a.b.json", 10, "a.b~10.json"), ("x", 3, "x~3")],
)
def test_numbers_in_names(name: str, number: int, expected: str) -> None:
    """The suffix stays a suffix."""
    assert with_suffix_number(name, number) == expected


def test_problems_of_names() -> None:
    """200 bytes and any script are fine; controls and broken bytes are not."""
    assert name_problem("ä" * 97 + ".json") is None
    assert name_problem("a b (copy).json") is None
    for name in ("a\n.json", "a\x7f.json", os.fsdecode(b"\xff.json"), "x" * 196 + ".json"):
        assert name_problem(name)
