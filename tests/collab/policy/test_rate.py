"""What a rating says: effects, targets, decisions by role and host."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.collab.policy.dryrun import dry_run_of
from agent.collab.policy.rate import rate
from agent.collab.policy.rating import DECISIONS, Rating
from agent.collab.policy.rules import Policy
from agent.config import ConfigError

if TYPE_CHECKING:
    from spool.workspace import Workspace


@pytest.mark.parametrize(
    ("command", "program", "effect", "target"),
    [
        ("cat /etc/hosts", "cat", "read", "/etc/hosts"),
        ("cat /etc/shadow", "cat", "secret", "/etc/shadow"),
        ("x=/etc/shadow; cat $x", "cat", "secret", "/etc/shadow"),
        ("cd /etc && cat shadow", "cat", "secret", "shadow"),
        ("find . -name '*.log' -exec cat {} +", "cat", "read", "."),
        ("find / -name passwd | xargs cat", "cat", "secret", "/"),
        ("ls > out", ">", "write", "out"),
        ("echo x >> ~/.bashrc", ">>", "persist", "~/.bashrc"),
        ("sudo ls", "sudo", "privilege", ""),
        ("rm -r d", "rm", "delete", "d"),
        ("rm -rf /", "rm", "wipe", "/"),
        ("curl -I https://example.org", "curl", "probe", "https://example.org"),
        ("curl https://example.org/?x=1", "curl", "network", "https://example.org/?x=1"),
        ("./x", "x", "execute", "./x"),
        ("nice -n 5 timeout 3 cat f", "cat", "read", "f"),
        ("bash -c 'cat f'", "cat", "read", "f"),
        ("for f in a b; do cat $f; done", "cat", "read", "b"),
        ("systemctl restart nginx", "systemctl", "control", "restart nginx"),
    ],
)
def test_effects_and_targets(policy: Any, command: str, program: str, effect: str, target: str) -> None:
    """A command is resolved to programs, what they do, and to what."""
    assert (program, effect, target) in rate(command, policy).normalised


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("rm -r -f d", "rm -fr d"),
        ("/bin/rm 'd'", "rm d"),
        ("cat a; cat b", "cat b\ncat a"),
        ("systemctl  restart nginx", "systemctl restart 'nginx'"),
    ],
)
def test_commands_that_do_the_same_are_equal(policy: Any, one: str, other: str) -> None:
    """Spelling does not count: that is how proposals of two roles are compared."""
    assert rate(one, policy).normalised == rate(other, policy).normalised


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("rm a", "rm b"),
        ("systemctl restart nginx", "systemctl restart ssh"),
        ("unknown-tool a", "unknown-tool b"),
        ("sed -i s/a/b/ f", "sed s/a/b/ f"),
    ],
)
def test_commands_that_differ_are_not_equal(policy: Any, one: str, other: str) -> None:
    """Also when nobody knows what they do."""
    assert rate(one, policy).normalised != rate(other, policy).normalised


def test_a_rating_only_tightens(policy: Any) -> None:
    """The validator can make it stricter, never looser."""
    for command in ("ls", "touch x", "rm -rf /"):
        rating = rate(command, policy)
        for decision in DECISIONS:
            after = rating.at_least(decision, "the validator says so")
            assert DECISIONS.index(after.decision) >= DECISIONS.index(rating.decision)


@given(st.sampled_from(DECISIONS), st.sampled_from(DECISIONS), st.sampled_from(DECISIONS))
def test_tightening_in_any_order_is_the_same(first: Any, second: Any, third: Any) -> None:
    """The strictest of all stands at the end."""
    rating = Rating(first).at_least(second, "a").at_least(third, "b")
    assert rating.decision == max((first, second, third), key=DECISIONS.index)


@given(st.text(max_size=60))
def test_any_text_has_a_rating(text: str) -> None:
    """Nothing that a model writes stops the rating; what is no command line is never allowed."""
    rating = rate(text, _SHIPPED)
    assert rating.decision in DECISIONS
    assert bool(rating.reasons) == (rating.decision != "allow")


_SHIPPED = Policy.shipped()


@given(st.sampled_from(["ls", "cat f", "df -h", "ps aux"]), st.text(max_size=20))
def test_whatever_is_appended_cannot_loosen(command: str, more: str) -> None:
    """A harmless command with a deletion behind anything at all is not allowed, or the text is a comment."""
    text = f"{command} {more}\nrm -rf x"
    assert rate(text, _SHIPPED).decision != "allow"


def configure(workspace: Workspace, text: str) -> Policy:
    (workspace.configs / "policy.toml").write_text(text)
    return Policy.load(workspace)


def test_roles_and_hosts_decide(workspace: Workspace) -> None:
    """Their own decisions replace the general one; where both speak, the stricter holds."""
    policy = configure(
        workspace,
        '[roles.executor.effects]\nwrite = "allow"\n[hosts."db*".effects]\nwrite = "deny"\nprobe = "ask"\n',
    )
    assert rate("touch x", policy, role="executor", host="web1").decision == "allow"
    assert rate("touch x", policy, role="executor", host="db1").decision == "deny"
    assert rate("touch x", policy, role="analyst", host="web1").decision == "deny"
    assert rate("ping -c1 example.org", policy, role="executor", host="db1").decision == "ask"
    assert rate("ping -c1 example.org", policy, role="executor", host="web1").decision == "allow"


def test_a_command_word_for_word(workspace: Workspace) -> None:
    """It runs for the role and host that are named, and nothing longer does."""
    policy = configure(
        workspace,
        '[[allow]]\ncommand = "systemctl restart nginx"\nroles = ["executor"]\nhosts = ["web*"]\n'
        '[[allow]]\ncommand = "rm -rf /"\n[[allow]]\ncommand = "sudo ls"\n[[allow]]\ncommand = "mine"\n',
    )
    assert rate("systemctl restart nginx", policy, host="web1").decision == "allow"
    assert rate("systemctl restart nginx", policy, host="db1").decision == "ask"
    assert rate("systemctl restart nginx", policy, role="innovator", host="web1").decision == "deny"
    assert rate("systemctl restart nginx; rm x", policy, host="web1").decision == "ask"
    assert rate("systemctl restart nginx; systemctl restart ssh", policy, host="web1").decision == "ask"
    assert rate("mine; mine --delete-all", policy).decision == "ask"
    assert rate("mine; mine", policy).decision == "allow"
    assert rate("systemctl restart nginx > f", policy, host="web1").decision == "ask"
    assert rate("rm -rf /", policy, host="web1").decision == "deny"
    assert rate("sudo ls", policy, host="web1").decision == "ask"


def test_a_program_of_ones_own(workspace: Workspace) -> None:
    """What people add is taken like what ships; only what they list passes."""
    policy = configure(workspace, '[programs.queue-status]\noptions = "-v --json"\noperands = "data"\n')
    assert rate("queue-status -v --json now", policy).decision == "allow"
    assert rate("queue-status --purge", policy).decision == "ask"
    assert rate("ls", policy).decision == "allow"


@pytest.mark.parametrize("effect", ["wipe", "exfiltrate", "persist", "privilege"])
def test_nothing_catastrophic_can_be_allowed(workspace: Workspace, effect: str) -> None:
    """Such a file is refused, and the message names the place."""
    for place in ("effects", "roles.executor.effects", 'hosts."*".effects'):
        with pytest.raises(ConfigError, match=f"{effect} is never allowed"):
            configure(workspace, f'[{place}]\n{effect} = "allow"\n')


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[efects]\n", "did you mean 'effects'"),
        ('[effects]\nwrite = "maybe"\n', "effects.write"),
        ('[programs.x]\nmatches = "("\n', "regular expression"),
        ("[programs.x]\noption = 1\n", "option"),
        ("[", "not TOML"),
    ],
)
def test_a_mistake_in_the_file_is_said(workspace: Workspace, text: str, words: str) -> None:
    """Nothing is guessed."""
    with pytest.raises(ConfigError, match=words):
        configure(workspace, text)


@pytest.mark.parametrize(
    ("command", "dry_run"),
    [
        ("rsync -a a/ b/", "rsync -n -a a/ b/"),
        ("apt-get upgrade -y", "apt-get upgrade -s -y"),
        ("git clean -fd", ""),
        ("rm x", ""),
        ("rsync -a a/ b/; rm x", ""),
        ("rsync -a a/ b/ > f", ""),
        ("rsync -a $x b/", ""),
    ],
)
def test_dry_runs(policy: Any, command: str, dry_run: str) -> None:
    """The same command with the option that changes nothing, where that may run by itself."""
    assert dry_run_of(command, policy) == dry_run
