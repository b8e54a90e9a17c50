from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spool.refusal import Refusal
from spool.strictjson import MAX_DEPTH, Place, StrictJSONError, parse_object, place_of
from spool.task import parse_task

if TYPE_CHECKING:
    from pathlib import Path

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)
OBJECTS = st.dictionaries(st.text(), VALUES, max_size=5)


def refused(content: bytes) -> StrictJSONError:
    with pytest.raises(StrictJSONError) as caught:
        parse_object(content)
    return caught.value


def parsed(content: bytes) -> dict[str, Any] | StrictJSONError:
    try:
        return parse_object(content)
    except StrictJSONError as error:
        return error


@given(OBJECTS, st.sampled_from([True, False]), st.sampled_from([None, 1]))
def test_what_is_accepted_means_what_json_says(
    value: dict[str, Any], ascii_only: object, indent: int
) -> None:
    """Strict only refuses: it never reads another value."""
    content = json.dumps(value, ensure_ascii=bool(ascii_only), indent=indent).encode(errors="surrogatepass")
    read = parsed(content)
    if isinstance(read, StrictJSONError):
        assert read.what == "it is not UTF-8"
    else:
        assert read == json.loads(content)


@given(st.binary(max_size=60) | st.text(alphabet='{}[]":,\\ aN1-u0\n', max_size=40).map(str.encode))
def test_any_bytes_are_parsed_or_refused_in_words(content: bytes) -> None:
    """No bytes make it raise anything else, and a place lies within the file."""
    read = parsed(content)
    if isinstance(read, StrictJSONError):
        assert read.what
        assert read.remedy
        assert read.place is None or 0 <= read.place.byte <= len(content)
    else:
        assert read == json.loads(content)


@given(OBJECTS)
def test_every_proper_prefix_is_refused(value: dict[str, Any]) -> None:
    """An upload that was cut off anywhere is no task."""
    content = json.dumps(value).encode()
    for length in range(len(content)):
        refused(content[:length])


def test_the_real_tasks_cut_anywhere_may_yet_be_completed(sample_tasks: list[Path]) -> None:
    """Each prefix of a real task is refused for now, not for good."""
    assert len(sample_tasks) == 5
    for path in sample_tasks:
        content = path.read_bytes().rstrip()
        for length in range(len(content)):
            verdict = parse_task(content[:length])
            assert isinstance(verdict, Refusal)
            assert not verdict.final
            assert verdict.what.startswith(("the file ends in the middle", "the file is empty"))


PLACES = {
    b'{\n  "a": 1,\n  "a": 2\n}': ("the key 'a' stands twice", Place(3, 3, 14)),
    b'{"a": {"x": 1}, "b": {"x": 1, "\\u0078": 2}}': ("the key 'x' stands twice", Place(1, 31, 30)),
    b'{"a": [{"k": 1}, {"k": 1,\n"k": 1}]}': ("the key 'k' stands twice", Place(2, 1, 26)),
    '{"ä": NaN}'.encode(): ("NaN is not JSON", Place(1, 7, 7)),
    b'{"a": [1,\n Infinity]}': ("Infinity is not JSON", Place(2, 2, 11)),
    b'{"a": -Infinity}': ("-Infinity is not JSON", Place(1, 7, 6)),
    b'{"a": 1e999}': ("the number '1e999' is too large", Place(1, 7, 6)),
    b'{"a": ' + b"9" * 5000 + b"}": ("more than 4300 digits", Place(1, 7, 6)),
    b'{"a": "\xff"}': ("not UTF-8", Place(1, 8, 7)),
    b'{"a": "x\0"}': ("NUL bytes", Place(1, 9, 8)),
    b"\xef\xbb\xbf{}": ("byte order mark", Place(1, 1, 0)),
    "{}".encode("utf-16"): ("UTF-16", Place(1, 1, 0)),
    '{"a": 1}'.encode("utf-16-le"): ("UTF-16", Place(1, 1, 0)),
    '{"a": 1}'.encode("utf-16-be"): ("UTF-16", Place(1, 1, 0)),
    b"\0" * 50: ("NUL bytes", Place(1, 1, 0)),
    b" \n [1]": ("not an object", Place(2, 2, 3)),
    b'{"a": 1}\n{"b": 2}': ("more text follows", Place(2, 1, 9)),
    b'{"a": 1,\n}': ("not JSON", Place(2, 1, 9)),
    b'{"a": "\xc3': ("ends in the middle", Place(1, 8, 7)),
    b'{"a": "b': ("ends in the middle", Place(1, 7, 6)),
    b'{"a": tru': ("ends in the middle", Place(1, 7, 6)),
    b'{"a": "tab\there"}': ("not JSON", Place(1, 11, 10)),
}


@pytest.mark.parametrize(("content", "expected"), PLACES.items(), ids=[e[0] for e in PLACES.values()])
def test_the_place_is_exact(content: bytes, expected: tuple[str, Place]) -> None:
    """Line and column count from 1 in characters, the byte from 0."""
    error = refused(content)
    assert expected[0] in error.what
    assert error.place == expected[1]


@pytest.mark.parametrize("content", [b"", b"   ", b"\n\n", b"\r\n\t"])
def test_an_empty_file_is_called_empty(content: bytes) -> None:
    """The likely cause is named."""
    assert refused(content).what == "the file is empty"


@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
def test_depth_is_bounded(opening: bytes) -> None:
    """A bomb of brackets is refused before a parser recurses into it."""
    assert "nested deeper" in refused(b'{"a":' + opening * 100_000).what


def test_the_deepest_that_is_allowed() -> None:
    """The bound itself is fine, one more is not; brackets in strings do not count."""
    assert parse_object(b'{"a":' + b"[" * (MAX_DEPTH - 1) + b"]" * (MAX_DEPTH - 1) + b"}")
    refused(b'{"a":' + b"[" * MAX_DEPTH + b"]" * MAX_DEPTH + b"}")
    text = "[{" * 500 + ' NaN "quoted" \\ Infinity, "a": 1, "a": 2'
    assert parse_object(json.dumps({"a": text}).encode()) == {"a": text}


HUGE = {
    "a prompt of 4 MB": (json.dumps({"prompt": 'x[{\\"' * 700_000}).encode(), True),
    "a cut prompt of escaped quotes": (b'{"prompt": "' + b'\\"' * 2_000_000, False),
    "nothing but quotes": (b'{"a":' + b'"' * 1_000_001, False),
    "many keys, one of them twice": (
        b"{" + b"".join(b'"a%d":1,' % i for i in range(100_000)) + b'"a99999":1}',
        False,
    ),
    "one key, many times": (b"{" + b",".join([b'"a":1'] * 200_000) + b"}", False),
    "backslashes": (b'{"a": "' + b"\\\\" * 2_000_000, False),
}


@pytest.mark.parametrize(("content", "fine"), HUGE.values(), ids=HUGE.keys())
def test_four_megabytes_are_quick(content: bytes, fine: object) -> None:
    """Time grows with the size, whatever the bytes: a file must not stop an agent."""
    began = time.perf_counter()
    read = parsed(content)
    assert time.perf_counter() - began < 5
    assert isinstance(read, dict) is fine
    assert isinstance(read, dict) or len(read.what) < 300


@given(OBJECTS)
def test_every_key_is_found_where_it_stands(value: dict[str, Any]) -> None:
    """The place of a path is where exactly that key is written."""
    content = json.dumps(value, indent=1).encode()
    for key in value:
        place = place_of(content, (key,))
        assert place is not None
        assert content[place.byte :].startswith(json.dumps(key).encode())


def test_the_nearest_place_of_a_missing_path() -> None:
    """A missing field is looked for in the object that should hold it."""
    content = b'{"a": {"b": [10, {"c": 1}]}}'
    assert place_of(content, ("a", "b", 1, "c")) == Place(1, 19, 18)
    assert place_of(content, ("a", "b", 1, "missing")) == Place(1, 18, 17)
    assert place_of(content, ("a", "missing")) == Place(1, 2, 1)
    assert place_of(content, ("missing",)) is None
