from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.collab.language import detect
from agent.collab.roles import builtin, checked
from agent.collab.rules import hand_over, normal, type_of
from agent.config import ConfigError, merged

if TYPE_CHECKING:
    from types import ModuleType


def _load() -> ModuleType:
    path = Path(__file__).with_name("rules_report.py")
    spec = importlib.util.spec_from_file_location("aispool_rules_report", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


report: Any = _load()
ROLES = report.roles()


@pytest.mark.parametrize(
    ("name", "precision", "recall"),
    [("tuning", 0.98, 0.98), ("hard", 0.95, 0.95), ("heldout", 0.95, 0.95), ("fresh", 0.75, 0.25)],
)
def test_precision_and_recall_are_what_was_reported(name: str, precision: float, recall: float) -> None:
    """A change of a rule that makes it worse is seen; tests/data/handover/README.md has the figures."""
    measured = report.measure(name, ROLES)
    assert measured.precision >= precision, measured.wrongly_handed_over
    assert measured.recall >= recall, measured.missed


def test_there_are_enough_questions_in_both_languages() -> None:
    """At least a hundred that were never tuned on, half in each language."""
    unseen = [*report.questions("heldout"), *report.questions("fresh")]
    assert len(unseen) >= 100
    for language in ("es", "en"):
        assert sum(question["language"] == language for question in unseen) >= 60


def test_the_language_of_a_question_is_known() -> None:
    """Of all labelled questions, at most one in fifty is taken for the other language."""
    everything = [question for name in report.FILES for question in report.questions(name)]
    wrong = [q["text"] for q in everything if detect(q["text"]) != q["language"]]
    assert len(wrong) <= len(everything) / 50, wrong


@pytest.mark.parametrize(
    ("text", "rule", "kind"),
    [
        ("¿Por qué mi sistema está lento?", "complex", "system_analysis"),
        ("No tengo internet", "touches_the_system", "problem_solving"),
        ("Optimiza mi aplicación", "complex", "performance"),
        ("Is it safe to open port 22?", "needs_a_safety_check", "general"),
        ("Should we move to microservices?", "several_perspectives", "general"),
        ("How should I harden a server?", "needs_a_safety_check", "security"),
        ("What is a server?", None, "general"),
    ],
)
def test_the_rule_that_fired_is_named(text: str, rule: str | None, kind: str) -> None:
    said = hand_over(text, ROLES)
    assert said.rule == rule
    assert said.type == kind == type_of(text, ROLES)
    assert dict(said.words).keys() == ROLES.rules.keys()


def test_a_rule_is_data() -> None:
    """A workspace adds a rule, and switches one off, without code."""
    text = "Is the flux capacitor charged?"
    assert hand_over(text, ROLES).rule is None
    own = {"rules": {"flux": {"any": ["flux capacitor"]}, "complex": {"enabled": False}}}
    changed = checked(Path("roles.toml"), merged(builtin(), own))
    assert hand_over(text, changed).rule == "flux"
    assert hand_over("Optimiza mi aplicación", changed).rule != "complex"


def test_a_rule_that_fires_for_everything_is_refused() -> None:
    with pytest.raises(ConfigError, match="it would fire for every question"):
        checked(Path("roles.toml"), merged(builtin(), {"rules": {"all": {"about": "oops"}}}))


@given(st.text(max_size=400))
def test_no_text_upsets_the_rules(text: str) -> None:
    """Whatever is asked, there is an answer, the same each time, and accents and case do not matter."""
    said = hand_over(text, ROLES)
    assert said == hand_over(text, ROLES)
    assert said.type in ROLES.types
    assert normal(normal(text)) == normal(text)
