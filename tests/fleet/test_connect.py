"""What is decided before a host is connected, and what is sent to it. Real hosts are in tests/docker."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from typing import TYPE_CHECKING

import pytest

from agent.fleet.probing import NEEDED_KIB, ConnectError, Probe, Step, plan, read_probe
from agent.fleet.wheel import dependencies, pack_dependencies, pack_own

if TYPE_CHECKING:
    from pathlib import Path

BARE = """\
Welcome to this host! system is up
system Linux
machine x86_64
uid 1000
free_kib 20000000
missing tmux
missing python3-venv
apt yes
sudo yes
python 3.11 glibc 2.36
"""
HOW = {"target": "me@box", "workspace": "ai-workspace", "venv": "venv-1", "wheel": "aispool-1.whl"}


def planned(probe: Probe, *, offline: bool = False) -> list[Step]:
    return plan(probe, **HOW, offline=offline)


def test_what_a_bare_host_says() -> None:
    """The greeting of its shell is passed over."""
    probe = read_probe(BARE)
    assert (probe.python, probe.libc, probe.missing) == ("3.11", ("glibc", "2.36"), ("tmux", "python3-venv"))
    assert (probe.is_root, probe.sudo, probe.systemd, probe.venv, probe.protocol) == (
        *(False, True, False, None, None),
    )


@pytest.mark.parametrize("text", ["", "system Linux\n", BARE.replace("uid 1000", "uid root")])
def test_a_host_that_says_something_else(text: str) -> None:
    """No guess is made."""
    with pytest.raises(ConnectError, match="bash"):
        read_probe(text)


def test_nothing_of_a_host_becomes_a_word_of_a_command() -> None:
    """A package's name is one, or is not asked for."""
    hostile = BARE + "missing x;reboot\nmissing --allow-downgrades\nmissing $(reboot)\n"
    assert read_probe(hostile).missing == ("tmux", "python3-venv")


def test_from_bare_to_working() -> None:
    """Packages, for which a person is asked; the environment; then everything that is made of it."""
    packages, install, serve = planned(read_probe(BARE), offline=True)
    assert packages.words == ("packages", "tmux", "python3-venv")
    assert packages.question is not None
    assert "me@box lacks tmux python3-venv" in packages.question
    assert (install.words, install.question) == (("install", "venv-1", "aispool-1.whl", "--offline"), None)
    assert serve.words == ("serve", "ai-workspace", "venv-1")


def test_a_connected_host_is_only_looked_after() -> None:
    """Nothing is installed twice."""
    probe = Probe("Linux", "x86_64", is_root=True, free_kib=0, python="3.11", venv="venv-1", protocol=1)
    assert [step.kind for step in planned(probe)] == ["serve"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"system": "Darwin"}, "only Linux"),
        ({"protocol": 2}, "upgrade aispool here first"),
        ({"free_kib": NEEDED_KIB - 1}, "free some"),
        ({"missing": ("tmux",)}, "install them there"),
        ({"missing": ("tmux",), "apt": True}, "ssh -t me@box sudo apt-get install tmux"),
    ],
)
def test_a_host_that_cannot_be_connected(change: dict[str, object], words: str) -> None:
    """The message says what to do."""
    fields = {"system": "Linux", "machine": "x86_64", "is_root": False, "free_kib": NEEDED_KIB} | change
    with pytest.raises(ConnectError, match=words):
        planned(Probe(**fields))  # type: ignore[arg-type]


def test_the_wheel_has_the_same_bytes_each_time(tmp_path: Path) -> None:
    """Its digest names the environment: an unchanged version is never installed again."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    one, two = pack_own(tmp_path / "one"), pack_own(tmp_path / "two")
    assert one.digest == two.digest
    assert one.path.read_bytes() == two.path.read_bytes()
    names = zipfile.ZipFile(one.path).namelist()
    assert len(names) == len(set(names))
    assert {"agent/share/scripts/fleet-host.sh", "agent/share/systemd/aispool-agent.service"} <= set(names)
    assert not [name for name in names if name.endswith(".pyc") or "editable" in name]


@pytest.mark.timeout(600)
def test_it_installs_without_an_index(tmp_path: Path) -> None:
    """Everything that it needs is packed beside it, as it is installed here."""
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    own = pack_own(wheels)
    assert len(pack_dependencies(wheels)) == len(dependencies())
    inside = tmp_path / "environment" / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "environment"], check=True)
    install = [inside, "-m", "pip", "install", "--quiet", "--no-index", "--find-links", wheels, own.path]
    subprocess.run(install, check=True)
    for command in (("-m", "pip", "check"), ("-I", "-m", "agent", "--version")):
        done = subprocess.run([str(inside), *command], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
