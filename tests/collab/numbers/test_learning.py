from __future__ import annotations

import json
import os
import random
import tomllib
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent import audit
from agent.collab import feedback, labels, learning, roles
from agent.collab.learning.evidence import Arm, better
from agent.config import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from agent.collab.learning import Proposal
    from spool.workspace import Workspace

ROLES = """# who plays what
[roles.analyst]
providers = ["qwen", "openai"]   # spread over both
fallback = ["gemini"]
"""


@pytest.fixture
def file(workspace: Workspace) -> Path:
    """configs/roles.toml, with a comment that must not be lost."""
    path = workspace.configs / "roles.toml"
    path.write_text(ROLES)
    return path


@pytest.fixture
def played(workspace: Workspace) -> Callable[..., None]:
    """Label runs in which a provider played a role."""

    def label(
        provider: str,
        good: int,
        bad: int,
        *,
        role: str = "analyst",
        model: str = "m1",
        domain: str | None = None,
        marks: tuple[int, int] = (0, 0),
        independent: bool | None = True,
    ) -> None:
        for number in range(good + bad):
            labels.write(
                workspace,
                labels.Label.model_validate(
                    {
                        "task_id": f"{role}-{provider}-{model}-{domain}-{number}",
                        "good": number < good,
                        "by": "person",
                        "who": "ana",
                        "labelled_at": "2026-11-20T12:00:00Z",
                        "domain": domain,
                        "roles": [
                            {
                                "role": role,
                                "provider": provider,
                                "model": model,
                                "checks_passed": marks[0],
                                "checks_made": marks[1],
                                "independent": independent,
                            }
                        ],
                    }
                ),
            )

    return label


def only(workspace: Workspace) -> Proposal:
    (proposal,) = feedback.proposals(workspace)
    return proposal


def cast_of(workspace: Workspace, role: str = "analyst", domain: str | None = None) -> tuple[Any, ...]:
    cast = roles.load(workspace).cast(role, domain)
    return cast.providers, cast.fallback, cast.model


def test_a_proposal_names_its_evidence(workspace: Workspace, file: Path, played: Callable[..., None]) -> None:
    """Both sides with their outcomes; and nothing is changed by proposing it."""
    played("qwen", 10, 20)
    played("openai", 28, 2)
    found = only(workspace)
    assert (found.name, found.best.provider, found.rival.provider) == ("analyst", "openai", "qwen")
    told = json.loads(json.dumps(found.document()))
    assert (told["best"]["good"], told["best"]["bad"], told["rival"]["good"], told["rival"]["bad"]) == (
        28,
        2,
        10,
        20,
    )
    assert told["certainty"] > 0.99
    assert told["changes"] == {
        "roles.analyst.providers": ["openai"],
        "roles.analyst.fallback": ["qwen", "gemini"],
        "roles.analyst.model": "m1",
    }
    assert file.read_text() == ROLES
    assert not (workspace.root / "collab/tune").exists()


@pytest.mark.parametrize(
    ("one", "other"),
    [((9, 0), (0, 9)), ((10, 5), (9, 6)), ((0, 0), (30, 0)), ((30, 0), (0, 0)), ((0, 30), (0, 30))],
    ids=["too few", "too close", "one is unknown", "the other is unknown", "alike"],
)
def test_without_enough_evidence_nothing_is_proposed(
    workspace: Workspace,
    file: Path,
    played: Callable[..., None],
    one: tuple[int, int],
    other: tuple[int, int],
) -> None:
    """Ten labelled runs of each side, and one clearly better."""
    played("qwen", *one)
    played("openai", *other)
    assert feedback.proposals(workspace) == []
    assert file.read_text() == ROLES


def test_who_plays_alone_and_best_needs_no_proposal(
    workspace: Workspace, file: Path, played: Callable[..., None]
) -> None:
    """What is so already is not proposed."""
    file.write_text('[roles.analyst]\nproviders = ["openai"]\n')
    played("qwen", 5, 25)
    played("openai", 28, 2)
    assert feedback.proposals(workspace) == []


def test_one_that_only_stood_in_may_take_over(
    workspace: Workspace, file: Path, played: Callable[..., None]
) -> None:
    """A fallback that does better than who plays now is proposed."""
    file.write_text('[roles.analyst]\nproviders = ["qwen"]\nfallback = ["gemini", "openai"]\n')
    played("qwen", 5, 25)
    played("gemini", 28, 2)
    assert only(workspace).changes()["roles", "analyst", "fallback"] == ["qwen", "openai"]


def test_a_better_model_of_the_same_provider(
    workspace: Workspace, file: Path, played: Callable[..., None]
) -> None:
    """Models are told apart."""
    file.write_text('[roles.analyst]\nproviders = ["qwen"]\nmodel = "m1"\n')
    played("qwen", 5, 25, model="m1")
    played("qwen", 28, 2, model="m2")
    found = only(workspace)
    assert (found.best.model, found.rival.model) == ("m2", "m1")
    learning.apply(workspace, [found], who="ana")
    assert cast_of(workspace)[2] == "m2"
    assert feedback.proposals(workspace) == []


@pytest.mark.usefixtures("file")
def test_a_domain_may_have_its_own(workspace: Workspace, played: Callable[..., None]) -> None:
    """Better for security, level elsewhere: only security changes."""
    played("qwen", 20, 10, domain="security")
    played("openai", 29, 1, domain="security")
    played("qwen", 25, 5)
    played("openai", 15, 15)
    found = only(workspace)
    assert found.name == "analyst@security"
    learning.apply(workspace, [found], who="ana")
    assert cast_of(workspace, domain="security")[0] == ("openai",)
    assert cast_of(workspace)[0] == ("qwen", "openai")


@pytest.mark.usefixtures("file")
def test_marks_of_another_family_help_to_decide(workspace: Workspace, played: Callable[..., None]) -> None:
    """They count a quarter of an outcome; those of the provider's own family do not count."""
    played("qwen", 10, 6, marks=(1, 5))
    played("openai", 12, 4, marks=(5, 5))
    assert feedback.proposals(workspace) != []
    played("qwen", 10, 6, marks=(1, 5), independent=False)
    played("openai", 12, 4, marks=(5, 5), independent=False)
    assert feedback.proposals(workspace) == []


def test_applied_and_undone(workspace: Workspace, file: Path, played: Callable[..., None]) -> None:
    """The change keeps comments, works, is in the audit log, and is taken back byte by byte."""
    played("qwen", 10, 20)
    played("openai", 28, 2)
    done = learning.apply(workspace, feedback.proposals(workspace), who="ana")
    assert "# who plays what" in file.read_text()
    assert cast_of(workspace) == (("openai",), ("qwen", "gemini"), "m1")
    kept = json.loads((done.folder / "tuned.json").read_text())
    assert (kept["who"], kept["proposals"][0]["best"]["good"]) == ("ana", 28)
    assert learning.undo(workspace, who="ana").names == ("analyst",)
    assert file.read_text() == ROLES
    assert [entry.event for entry in audit.entries(workspace)] == ["tuned", "untuned"]
    with pytest.raises(learning.TuneError, match="nothing to undo"):
        learning.undo(workspace, who="ana")


def test_without_a_file_there_is_none_afterwards(workspace: Workspace, played: Callable[..., None]) -> None:
    """Undone is undone: the file that tuning made is gone again."""
    current = roles.load(workspace).cast("analyst").providers[0]
    played(current, 5, 25)
    played("openai", 28, 2)
    learning.apply(workspace, feedback.proposals(workspace), who="ana")
    text = (workspace.configs / "roles.toml").read_text()
    assert tomllib.loads(text)["roles"]["analyst"]["providers"] == ["openai"]
    learning.undo(workspace, who="ana")
    assert not (workspace.configs / "roles.toml").exists()


def test_several_changes_are_undone_one_by_one(
    workspace: Workspace, file: Path, played: Callable[..., None]
) -> None:
    """The last first."""
    played("qwen", 10, 20)
    played("openai", 28, 2)
    learning.apply(workspace, feedback.proposals(workspace), who="ana")
    between = file.read_text()
    played("gemini", 300, 0)
    learning.apply(workspace, feedback.proposals(workspace), who="ana")
    assert cast_of(workspace)[0] == ("gemini",)
    learning.undo(workspace, who="ana")
    assert file.read_text() == between
    learning.undo(workspace, who="ana")
    assert file.read_text() == ROLES


def test_what_a_person_changed_since_is_not_undone(
    workspace: Workspace, file: Path, played: Callable[..., None]
) -> None:
    """Their work is not lost; they are told where both versions are."""
    played("qwen", 10, 20)
    played("openai", 28, 2)
    learning.apply(workspace, feedback.proposals(workspace), who="ana")
    file.write_text(file.read_text() + "\n# mine\n")
    with pytest.raises(learning.TuneError, match="was changed after it was tuned"):
        learning.undo(workspace, who="ana")
    assert file.read_text().endswith("# mine\n")


def test_killed_before_the_file_was_written(
    workspace: Workspace, file: Path, played: Callable[..., None]
) -> None:
    """The record is there, the change is not: undoing changes nothing, the next undo goes further back."""
    played("qwen", 10, 20)
    played("openai", 28, 2)
    learning.apply(workspace, feedback.proposals(workspace), who="ana")
    file.write_text(ROLES)
    learning.undo(workspace, who="ana")
    assert file.read_text() == ROLES
    with pytest.raises(learning.TuneError, match="nothing to undo"):
        learning.undo(workspace, who="ana")


def test_a_change_that_would_be_refused_is_not_made(
    workspace: Workspace, file: Path, played: Callable[..., None]
) -> None:
    """The file stays, and so does the agent that reads it."""
    played("qwen", 10, 20)
    played("openai", 28, 2)
    found = feedback.proposals(workspace)
    file.write_text("[roles.analyst\n")
    with pytest.raises((learning.TuneError, ConfigError)):
        learning.apply(workspace, found, who="ana")
    file.write_text("[roles.analyst]\nprovider = 'misspelt'\n")
    with pytest.raises(learning.TuneError, match="left as it is"):
        learning.apply(workspace, found, who="ana")
    assert file.read_text() == "[roles.analyst]\nprovider = 'misspelt'\n"
    assert not [name for name in os.listdir(workspace.root / "collab/tune") if name.isdecimal()]


def test_auto_tune_applies_when_it_is_on(
    workspace: Workspace, file: Path, played: Callable[..., None], run_of: Callable[..., Path]
) -> None:
    """The label that tips the balance changes the file, and says so; without the option nothing does."""
    played("qwen", 10, 20)
    played("openai", 28, 2)
    run_of("r1")
    assert feedback.label(workspace, "r1", good=False, by="person", who="ana").tuned == ()
    assert file.read_text() == ROLES
    file.write_text(ROLES + "[learning]\nauto_tune = true\n")
    assert feedback.label(workspace, "r1", good=False, by="person", who="ana").tuned == ("analyst",)
    assert cast_of(workspace)[0] == ("openai",)
    tuned = next(entry for entry in audit.entries(workspace) if entry.event == "tuned")
    assert tuned.who == "auto_tune"
    learning.undo(workspace, who="ana")
    assert file.read_text() == ROLES + "[learning]\nauto_tune = true\n"


def test_a_broken_file_does_not_cost_the_label(
    workspace: Workspace, file: Path, run_of: Callable[..., Path]
) -> None:
    """The outcome is kept, and what is wrong is said."""
    file.write_text("[learning]\nauto_tuna = true\n")
    run_of("r1")
    learned = feedback.label(workspace, "r1", good=True, by="person", who="ana")
    assert learned.label is not None
    assert "auto_tune" in str(learned.problem)


@given(st.tuples(*[st.integers(0, 60)] * 4))
@settings(max_examples=30)
def test_the_probability_of_being_better(counts: tuple[int, int, int, int]) -> None:
    """As drawing from both posteriors says; and the two directions make one."""
    one, other = Arm("a", None, counts[0], counts[1]), Arm("b", None, counts[2], counts[3])
    source = random.Random(5)  # noqa: S311 - no secret
    drawn = sum(
        source.betavariate(*one.posterior()) > source.betavariate(*other.posterior()) for _ in range(4000)
    )
    assert better(one, other) == pytest.approx(drawn / 4000, abs=0.04)
    assert better(one, other) + better(other, one) == pytest.approx(1, abs=1e-6)
