"""A few minutes of `scripts/faults`: some faults of every group, drawn by a fixed seed."""

from __future__ import annotations

import os
import random
from typing import TYPE_CHECKING, Any

import pytest
from faults import hostile, killsets, steps, surroundings, writers
from faults.scenarios import SCENARIOS

from spool.task import Task

if TYPE_CHECKING:
    from faults.conftest import Play

SEED = 3
KILLS, ERRORS = 10, 8


def drawn(cases: list[dict[str, Any]], number: int) -> list[dict[str, Any]]:
    """Return some of the cases, the same ones every time."""
    return random.Random(SEED).sample(cases, min(number, len(cases)))  # noqa: S311 - draws cases, not keys


def clean(play: Play, case: dict[str, Any]) -> dict[str, Any]:
    """Play a case in which nothing may be violated."""
    answer = play(case)
    assert answer["violations"] == [], f"{case}\n{answer['tail']}"
    return answer


@pytest.fixture(scope="module")
def traces(play: Play) -> dict[str, list[list[str]]]:
    """Every call of every scenario, without faults."""
    return {case["scenario"]: clean(play, case)["injected"] for case in steps.trace_cases()}


@pytest.mark.parametrize("name", sorted(SCENARIOS))
def test_killed_at_some_steps(play: Play, traces: dict[str, list[list[str]]], name: str) -> None:
    """Killed anywhere, and again in recovery: one place, one run, one end."""
    cases = [c for c in steps.kill_cases({name: traces[name]}, SEED) if c["faults"][0][0] != "wrapper"]
    for case in drawn(cases, KILLS):
        clean(play, case)


def test_wrapper_killed_at_some_steps(play: Play, traces: dict[str, list[list[str]]]) -> None:
    """A killed wrapper costs the attempt, never a second run of it."""
    cases = steps.kill_cases({"plain": traces["plain"]}, SEED)
    for case in drawn([c for c in cases if c["faults"][0][0] == "wrapper"], 2 * KILLS):
        clean(play, case)


@pytest.mark.parametrize("name", sorted(SCENARIOS))
def test_failing_at_some_steps(play: Play, traces: dict[str, list[list[str]]], name: str) -> None:
    """A call that fails once loses nothing, tears nothing, runs nothing twice."""
    cases = [c for c in steps.error_cases({name: traces[name]}, SEED) if c["faults"][0][2] == 1]
    for case in drawn([c for c in cases if c["faults"][0][0] != "wrapper"], ERRORS):
        clean(play, case)


def test_some_kill_sets(play: Play) -> None:
    """Agent, tmux server, wrapper and tool die together in any combination."""
    for case in drawn(killsets.cases(None, SEED), 15):
        clean(play, case)


@pytest.mark.parametrize("writer", writers.STREAMS)
def test_writer_cut_off(play: Play, writer: str) -> None:
    """What a cut-off writer left is refused untouched, and never run."""
    cases = [c for c in writers.cases(None, SEED) if c["writer"] == writer]
    for case in drawn(cases, 2):
        clean(play, case)


@pytest.mark.parametrize(("writer", "side"), [("scp by ssh", "client"), ("rsync-partial by ssh", "server")])
def test_writer_over_ssh_cut_off(play: Play, writer: str, side: str) -> None:
    """A transfer through sshd that either side breaks off leaves a refused file, or none."""
    clean(play, {"group": "writer", "writer": writer, "part": 3, "dies": side})


def test_writer_that_rewrites(play: Play) -> None:
    """The bytes that run are those that were validated, whatever a writer does meanwhile."""
    clean(play, {"group": "writer", "writer": "rewriting", "round": 2})


@pytest.mark.parametrize("change", ["watched folder replaced", "tmux socket removed"])
def test_world_changes(play: Play, change: str) -> None:
    """Tasks go on when what the agent watches or talks through is replaced."""
    assert change in surroundings.CHANGES
    clean(play, {"group": "world", "change": change, "round": 0})


def test_corpus_holds_enough() -> None:
    """At least 500 hostile files, with attempts at injection through every field that a task may have."""
    assert len(hostile.corpus()) >= 500
    names = {
        name.decode(errors="replace") for name, _content, kind in hostile.corpus() if kind == "injection"
    }
    assert [f for f in Task.model_fields if f"inject-{f}-0.json" not in names] == []


@pytest.mark.parametrize("first", [0, 50, 400, 850])
def test_hostile_files(play: Play, first: int) -> None:
    """Each is refused untouched or run to its end; nothing in it acts or reaches a terminal."""
    clean(play, {"group": "hostile", "first": first})


@pytest.mark.parametrize("kind", ["FIFO", "folder", "link to a secret"])
def test_hostile_answer(play: Play, kind: str) -> None:
    """What is no file to read answers nothing, stops no wrapper, and keeps no good answer from the tool."""
    clean(play, {"group": "hostile", "target": "an answer", "kind": kind})


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount an image")
def test_power_cuts(play: Play) -> None:
    """The power goes after a call; the next boot finds everything that was promised."""
    answer = clean(play, {"group": "power", "scenario": "plain", "fs": "ext4", "role": "*", "every": 4})
    assert len(answer["points"]) > 10
