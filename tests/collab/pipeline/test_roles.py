from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from agent.collab import prompts
from agent.collab.children import ChildError, spool_of
from agent.collab.policy.rate import rate
from agent.collab.policy.rules import Policy
from agent.collab.roles import builtin, checked
from agent.config import ConfigError, merged
from agent.share import share_folder
from agent.tools import template
from spool.workspace import Workspace, create

FILE = Path("roles.toml")
ROLES = checked(FILE, builtin())


def over(**tables: Any) -> Any:
    return checked(FILE, merged(builtin(), tables))


def test_the_table_of_the_roles() -> None:
    """Who does what, by whom, and what each may: as it is promised."""
    assert {name: (r.does, r.providers[0], r.may) for name, r in ROLES.roles.items()} == {
        "coordinator": ("coordinates", "gemini", ("read",)),
        "analyst": ("answers", "qwen", ("read",)),
        "executor": ("answers", "gemini", ("read", "propose")),
        "innovator": ("answers", "qwen", ("read",)),
        "validator": ("validates", "qwen", ("read", "veto")),
    }
    assert (ROLES.roles["coordinator"].temperature, ROLES.roles["coordinator"].max_tokens) == (0.3, 2048)
    assert set(ROLES.domains) == {"security", "performance", "network", "code"}


def test_every_variable_of_a_prompt_is_known() -> None:
    """A prompt that names what nobody fills would be sent with a hole."""
    filled = {
        "question", "type", "language", "host", "domain", "roles", "catalogue", "memory", "understanding",
        "task",
        "evidence", "questions", "proposing", "role", "response", "others", "consensus", "responses",
        "validation", "missing", "ran",
    }  # fmt: skip
    for text in (*dict(ROLES.prompts).values(), *(role.prompt for role in ROLES.roles.values())):
        assert template.names(text) <= filled


def test_every_standard_question_is_asked_in_both_languages() -> None:
    for kind in ROLES.types.values():
        for question in kind.questions:
            assert question.in_language("es").text != question.in_language("en").text
            assert question.in_language("fr").text == question.in_language("en").text
        for tasks in kind.tasks.values():
            assert set(tasks) == {"en", "es"}


def test_what_is_collected_only_looks(tmp_path: Path) -> None:
    """The policy, which knows nothing of this list, lets it run, but for what asks other hosts or secrets."""
    policy = Policy.load(create(tmp_path / "ws"))
    asked = {
        name: sorted(rate(entry.command, policy).effects - {"read"})
        for name, entry in ROLES.evidence.items()
        if rate(entry.command, policy).decision != "allow"
    }
    assert set(asked) <= {"reachability", "dns", "ssh_settings"}
    assert all(set(effects) <= {"probe", "network", "secret"} for effects in asked.values()), asked


def test_the_sample_can_be_used_as_it_is() -> None:
    """Every line of configs/roles.toml without its # is an option that exists."""
    text = (share_folder("configs") / "roles.toml").read_text()
    lines = [line[2:] for line in text.splitlines() if re.match(r"# (?:\[|[a-z_]+ = )", line)]
    table = tomllib.loads("\n".join(lines))
    found = checked(FILE, merged(builtin(), table))
    assert found.roles["lawyer"].providers == ("gemini",)
    assert found.cast("analyst", "law").model == "gpt-5"
    assert set(table) == {"roles", "domains", "evidence", "rules", "limits", "ask", "learning", "providers"}


@pytest.mark.parametrize(
    ("tables", "says"),
    [
        ({"roles": {"analyst": {"providers": []}}}, "roles.analyst.providers"),
        ({"roles": {"analyst": {"does": "sings"}}}, "roles.analyst.does"),
        ({"roles": {"coordinator": {"does": "answers"}}}, "does not coordinate"),
        ({"roles": {"../x": {"providers": ["qwen"], "prompt": "x"}}}, "roles"),
        ({"domains": {"law": {"roles": ["lawyer"]}}}, "domains.law.roles names 'lawyer'"),
        ({"types": {"general": {"evidence": ["nothing"]}}}, "types.general.evidence names 'nothing'"),
        ({"rules": {"x": {"any": ["("]}}}, "is not a regular expression"),
        ({"prompts": {"plan": "$ 5"}}, "is not a variable"),
        ({"limits": {"evidence_wait": 1.0}}, "did you mean 'evidence_wait_s'"),
    ],
)
def test_a_mistake_is_named_with_its_place(tables: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        over(**tables)
    assert says in str(caught.value)
    assert str(caught.value).startswith("roles.toml")


def test_a_domain_may_have_its_own_cast() -> None:
    """In a domain a role is played by others; those of the role itself step in."""
    roles = over(
        domains={"security": {"providers": {"analyst": ["anthropic"]}, "models": {"analyst": "big"}}}
    )
    here = roles.cast("analyst", "security")
    assert (here.providers, here.model) == (("anthropic",), "big")
    assert here.fallback == ("qwen", "gemini", "openai")
    assert roles.cast("analyst", "network").providers == ("qwen",)


def test_a_fence_is_another_for_each_content() -> None:
    """The mark is the digest of what it encloses, so nothing enclosed can hold it; the label is one line."""
    one, other = prompts.fenced("log", "a"), prompts.fenced("log", "b")
    assert one.splitlines()[0] != other.splitlines()[0]
    assert prompts.fenced("log", "a") == one
    assert len(prompts.fenced("two\nlines", "a").splitlines()) == 3


def test_long_evidence_keeps_its_beginning_and_its_end() -> None:
    text = prompts.shortened("b" + "x" * 10_000 + "e", 100)
    assert text.startswith("b")
    assert text.endswith("e")
    assert "9902 characters are left out here" in text


@pytest.mark.parametrize("host", ["..", "a/b", "nowhere", ".hidden", ""])
def test_a_host_is_one_of_the_collected_ones(tmp_path: Path, host: str) -> None:
    """No name leads out of fleet/."""
    workspace = create(tmp_path / "ws")
    (workspace.root / "fleet").mkdir()
    with pytest.raises(ChildError, match="there is no host"):
        spool_of(Workspace(workspace.root), host)
