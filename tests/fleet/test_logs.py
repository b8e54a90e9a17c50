"""A collected log holds every byte that its host wrote, once, in order; what was gone before is said."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.fleet import logs
from agent.fleet.layout import Mirror
from agent.fleet.logs import Log

if TYPE_CHECKING:
    from pathlib import Path

    from fleet_network import Network

NAME = "shell-t1.log"
GONE = b"[aispool: a part of this log was gone from host before it was collected]\n"


class Story:
    """A host's log, rsync's copies of it, and the collector's."""

    def __init__(self, folder: Path) -> None:
        self.there = folder / "there"
        self.staged = folder / "staged"
        self.there.mkdir(parents=True)
        self.staged.mkdir()
        self.mirror = Mirror(folder / "host")
        self.mirror.make()
        self.written = b""
        self.clock = 1_000_000_000

    @property
    def log(self) -> Path:
        return self.there / NAME

    def write(self, more: bytes) -> None:
        with self.log.open("ab") as file:
            file.write(more)
        self.written += more
        self._tick(self.log)

    def rotate(self) -> None:
        if self.log.exists():
            self.log.rename(self.there / f"{NAME}.1")
        self.log.touch()
        self._tick(self.log)

    def _tick(self, path: Path) -> None:
        self.clock += 1
        os.utime(path, ns=(self.clock, self.clock))

    def copy(self, *, first: bool = True, second: bool = True) -> None:
        """Do as rsync does, of one file or of both."""
        for name, wanted in ((NAME, first), (f"{NAME}.1", second)):
            if wanted and (self.there / name).exists():
                shutil.copy2(self.there / name, self.staged / name)

    def gather(self) -> bool:
        return Log(self.mirror, self.staged, NAME).gather()

    @property
    def collected(self) -> bytes:
        path = self.mirror.workspace.logs / NAME
        before = path.with_name(f"{NAME}.1")
        return b"".join(file.read_bytes() for file in (before, path) if file.exists())


@pytest.fixture
def story(tmp_path: Path) -> Story:
    return Story(tmp_path)


class KilledError(BaseException):
    """The collector dies here."""


PIECES = st.sampled_from([b"a\n", b"a\n", b"bb\n", b"no end", b"x" * 50 + b"\n", b"\x1b[2J\xff\x00"])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("write"), PIECES),
        st.tuples(st.just("rotate"), st.none()),
        st.tuples(st.just("collect"), st.integers(0, 12)),
        st.tuples(st.just("half"), st.none()),
    ),
    max_size=40,
)


@given(steps=STEPS)
@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_killed_anywhere_no_byte_is_lost_or_repeated(
    steps: list[tuple[str, object]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Rotated once between two looks at most; killed at any write; the looks may be of two moments."""
    story = Story(tmp_path_factory.mktemp("story"))
    rotations = 0
    with pytest.MonkeyPatch.context() as patch:
        for step, value in steps:
            if step == "write":
                assert isinstance(value, bytes)
                story.write(value)
            elif step == "rotate" and not rotations:
                story.rotate()
                rotations = 1
            elif step == "collect":
                story.copy()
                assert isinstance(value, int)
                _gather_killed_at(story, patch, value)
                rotations = 0 if story.gather() else rotations
            elif step == "half" and not rotations:
                story.copy(second=False)
                story.rotate()
                story.copy(first=False)
                story.gather()
                rotations = 1
        for _ in range(2):
            story.copy()
            done = story.gather()
    assert done
    assert story.collected == story.written


def test_a_large_copy_is_rolled_between_generations(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "ROLL_BYTES", 100)
    for number in range(6):
        story.write(b"%d" % number * 60 + b"\n")
        story.copy()
        assert story.gather()
        story.rotate()
    assert story.written.endswith(story.collected)
    assert 100 < len(story.collected) <= 244


def _gather_killed_at(story: Story, patch: pytest.MonkeyPatch, number: int) -> None:
    """Gather, and die at one of its calls that change something."""
    left = [number]
    real = {name: getattr(os, name) for name in ("write", "fsync", "rename", "replace")}

    def dying(name: str) -> object:
        def call(*arguments: object, **more: object) -> object:
            if left[0] == 0:
                if name == "write" and len(arguments[1]) > 1:  # type: ignore[arg-type]
                    real["write"](arguments[0], arguments[1][:1])  # type: ignore[index]
                raise KilledError
            left[0] -= 1
            return real[name](*arguments, **more)

        return call

    with patch.context() as inner:
        for name in real:
            inner.setattr(os, name, dying(name))
        try:
            story.gather()
        except KilledError:
            return


def test_two_rotations_between_two_looks_are_said(story: Story) -> None:
    """What was rotated away unseen is one line; everything after it is there."""
    story.write(b"one\n")
    story.copy()
    assert story.gather()
    story.write(b"seen by nobody\n")
    story.rotate()
    story.write(b"two\n")
    story.rotate()
    story.write(b"three\n")
    story.copy()
    assert story.gather()
    assert story.collected == b"one\n" + GONE + b"two\nthree\n"
    assert story.gather()
    assert story.collected.count(b"two") == 1


def test_a_log_that_was_replaced_by_hand_begins_anew(story: Story) -> None:
    """Its next copies are not taken for what they are not; after some rounds it is another log."""
    story.write(b"one\ntwo\n")
    story.copy()
    assert story.gather()
    story.log.write_bytes(b"zero\n")
    story.copy()
    assert [story.gather() for _ in range(3)] == [False, False, True]
    assert story.collected == b"one\ntwo\n" + GONE + b"zero\n"


def test_a_touched_rotated_log_is_the_same(story: Story) -> None:
    story.write(b"one\n")
    story.rotate()
    story.write(b"two\n")
    story.copy()
    assert story.gather()
    os.utime(story.there / f"{NAME}.1")
    story.copy()
    assert story.gather()
    assert story.collected == b"one\ntwo\n"


def test_a_removed_copy_comes_again(story: Story) -> None:
    """Of this generation, for that is what the host has."""
    story.write(b"one\n")
    story.rotate()
    story.write(b"two\n")
    story.copy()
    assert story.gather()
    (story.mirror.workspace.logs / NAME).unlink()
    story.write(b"three\n")
    story.copy()
    assert story.gather()
    assert story.collected == b"two\nthree\n"


def test_a_log_grows_and_rotates_while_it_is_collected(network: Network) -> None:
    """With real transfers, from the first line to the result."""
    remote = network.host("a")
    remote.run("t1")
    collector = network.collector()
    written = b""
    for number in range(6):
        more = f"line {number}\n".encode() * (1 + 2000 * (number % 2))
        remote.log("t1", more)
        written += more
        if number in {1, 4}:
            remote.rotate("t1")
        assert collector.run_once()
        assert (network.mirror("a").workspace.logs / NAME).read_bytes() == written
    remote.log("t1", b"last\n")
    remote.finish("t1")
    assert collector.run_once()
    assert (network.mirror("a").workspace.logs / NAME).read_bytes() == written + b"last\n"
    assert not (network.mirror("a").incoming / "logs" / NAME).exists(), "no second copy stays"


def test_the_hosts_own_logs_are_collected(network: Network) -> None:
    remote = network.host("a")
    log = remote.workspace.logs / "agent.log"
    log.write_text("agent starts\n")
    assert network.round()
    log.rename(remote.workspace.logs / "agent.log.1")
    log.write_text("agent goes on\n")
    assert network.round()
    seen = network.mirror("a").workspace.logs / "agent.log"
    assert seen.read_text() == "agent starts\nagent goes on\n"
