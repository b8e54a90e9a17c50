from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.tools import template

NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]*", fullmatch=True)
TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))


@given(st.lists(st.tuples(TEXTS, NAMES, TEXTS)))
def test_a_value_is_never_lost_and_never_expanded(parts: list[tuple[str, str, str]]) -> None:
    """Whatever a value holds, dollar signs and braces too, it comes out as it went in."""
    values = {name: value for _, name, value in parts}
    text = "".join(before.replace("$", "$$") + f"${{{name}}}" for before, name, _ in parts)
    assert template.fill(text, values.__getitem__) == "".join(b + values[n] for b, n, _ in parts)


@given(TEXTS)
def test_text_without_variables_stays(text: str) -> None:
    escaped = text.replace("$", "$$")
    assert template.fill(escaped, {}.__getitem__) == text
    assert template.names(escaped) == frozenset()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a b", "a b"),
        (True, "true"),
        (None, "null"),
        (1.5, "1.5"),
        (["é", 1], '["é", 1]'),
        ({"a": []}, '{"a": []}'),
    ],
)
def test_what_is_no_text_is_written_as_json(value: object, text: str) -> None:
    assert template.fill("<$x>", {"x": value}.__getitem__) == f"<{text}>"


@pytest.mark.parametrize("bad", ["$", "a $ b", "$(id)", "${", "${}", "${a b}", "$1"])
def test_a_lone_dollar_sign_is_a_mistake(bad: str) -> None:
    with pytest.raises(template.TemplateError, match=r"write \$name"):
        template.parse(bad)


def test_braces_allow_names_with_dashes() -> None:
    assert template.names("${output-format} $a-b") == {"output-format", "a"}
    assert template.sole_variable("${output-format}") == "output-format"
    assert template.sole_variable("$a ") is None
