"""The list of hosts: two files, each edited by people and by commands."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from agent.config import ConfigError
from agent.fleet import ssh
from agent.fleet.hosts import Host, add, load, parse_target, remove

if TYPE_CHECKING:
    from pathlib import Path

    from spool.workspace import Workspace

TOML = """# Our machines.

[[hosts]]
name = "gpu"   # the loud one
address = "gpu.example.org"
user = "me"
port = 2222
labels = ["gpu", "big"]

# In the cellar.
[[hosts]]
name = "nas"
address = "10.0.0.7"
jump = "me@gate.example.org:2200"
"""
TXT = "# by hand\nbox\n\nyou@other:2201 behind the door\n"


@pytest.fixture
def listed(workspace: Workspace) -> Workspace:
    (workspace.configs / "hosts.toml").write_text(TOML)
    (workspace.configs / "hosts.txt").write_text(TXT)
    return workspace


def test_both_files_are_read(listed: Workspace) -> None:
    hosts = load(listed)
    assert list(hosts) == ["gpu", "nas", "box", "other-2201"]
    assert hosts["gpu"].target == "me@gpu.example.org:2222"
    assert hosts["other-2201"].user == "you"


def test_no_files_mean_no_hosts(workspace: Workspace) -> None:
    assert load(workspace) == {}


def test_a_host_is_added_and_removed_and_the_rest_stays(listed: Workspace) -> None:
    """Comments and the other hosts are as they were."""
    file = listed.configs / "hosts.toml"
    host = Host(name="new", address="new.example.org", labels=("a",), identity='~/key "x"')
    add(listed, host)
    assert load(listed)["new"] == host
    assert file.read_text().startswith(TOML)
    assert remove(listed, "new")
    assert load(listed).keys() == {"gpu", "nas", "box", "other-2201"}
    assert remove(listed, "gpu")
    assert "# In the cellar." in file.read_text()
    assert "# Our machines." in file.read_text()
    assert remove(listed, "box")
    assert (listed.configs / "hosts.txt").read_text() == TXT.replace("box\n", "")
    assert not remove(listed, "gpu")


def test_a_name_that_is_taken_is_not_added(listed: Workspace) -> None:
    with pytest.raises(ConfigError, match="gpu already"):
        add(listed, Host(name="gpu", address="x"))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('[[hosts]]\nname = "any"\naddress = "x"', "any"),
        ('[[hosts]]\nname = "a"\naddress = "-oProxyCommand=id"', "address"),
        ('[[hosts]]\nname = "a"\naddress = "x"\nuser = "-l"', "user"),
        ('[[hosts]]\nname = "a"\naddress = "x"\njump = "-x"', "jump"),
        ('[[hosts]]\nname = "a"\naddress = "x"\nworkspace = "a b"', "workspace"),
        ('[[hosts]]\nname = "a"\naddress = "x"\nworkspace = "../x"', "workspace"),
        ('[[hosts]]\nname = "a"\naddress = "x"\nprot = 22', "port"),
        ('[[hosts]]\nname = "../a"\naddress = "x"', "name"),
        ('[[hosts]]\naddress = "x"', "name"),
        ('[[hosts]]\nname = "a"\naddress = "x"\n[[hosts]]\nname = "a"\naddress = "y"', "two hosts"),
        ('[host]\nname = "a"', "host"),
        ('hosts = "a"', "hosts"),
    ],
)
def test_a_mistake_is_told_with_its_place(workspace: Workspace, text: str, says: str) -> None:
    (workspace.configs / "hosts.toml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        load(workspace)
    assert says in str(caught.value)
    assert caught.value.remedy


@pytest.mark.parametrize(
    "line", ["-oProxyCommand=id", "a@b@c", "@host", "me@", "host:", "host:x", "$(id)", "a;b"]
)
def test_a_line_cannot_be_an_option_or_a_command(workspace: Workspace, line: str) -> None:
    (workspace.configs / "hosts.txt").write_text(f"good\n{line}\n")
    with pytest.raises(ConfigError, match="line 2"):
        load(workspace)


def test_every_word_reaches_ssh_as_one_word(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rsync splits its -e at blanks, and knows doubled quotes."""
    config = tmp_path / 'with blank and "quote"'
    monkeypatch.setenv("AISPOOL_SSH_CONFIG", str(config))
    link = ssh.link(parse_target("me@host:2200", identity="~/a key"), "collect", tmp_path)
    words = ssh.options(link)
    assert words[:2] == ["-F", str(config)]
    text = ssh.remote_shell(link)
    assert split_as_rsync(text) == ["ssh", *words, "-o", "ControlMaster=no", "-T"]


def split_as_rsync(text: str) -> list[str]:
    """Split as rsync(1) says of --rsh."""
    words, word, quoted, at = [], "", False, 0
    while at < len(text):
        letter = text[at]
        if letter == '"' and quoted and text[at + 1 : at + 2] == '"':
            word += '"'
            at += 1
        elif letter == '"':
            quoted = not quoted
        elif letter == " " and not quoted:
            words.append(word)
            word = ""
        else:
            word += letter
        at += 1
    return [*words, word]


def test_keys_for_one_purpose_have_connections_of_their_own(tmp_path: Path) -> None:
    """A master keeps the rights of the key that opened it."""
    plain = parse_target("host")
    assert ssh.link(plain, "collect", tmp_path).socket == ssh.link(plain, "send", tmp_path).socket
    two = parse_target("host", collect_identity="c", send_identity="s", restricted=True)
    collect, send = ssh.link(two, "collect", tmp_path), ssh.link(two, "send", tmp_path)
    assert collect.socket != send.socket
    assert (collect.key, send.key) == ("c", "s")
    assert (collect.base, send.inbox) == ("", "")
    assert len(str(collect.socket)) - len(str(tmp_path)) < 24
