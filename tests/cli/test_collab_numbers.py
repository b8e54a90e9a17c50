from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any

from collab.numbers.conftest import run_of as run_of  # noqa: PLC0414 - a fixture
from collab.numbers.made import call, step, verdict
from prometheus_client.parser import text_string_to_metric_families

from agent.collab import labels, memory

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest
    from cli.conftest import Said

    from spool.workspace import Workspace


def test_a_run_is_labelled(
    workspace: Workspace, run_of: Callable[..., Path], aispool: Callable[..., Said]
) -> None:
    """Good, bad, or taken back; and how many are missing until Confidence is calibrated."""
    run_of("r1")
    said = aispool("collab", "label", "r1", "good", "--why", "it was the disk")
    assert said.out.startswith("r1: good, says ")
    assert "1 of 50 labelled runs" in said.out
    label = labels.read_one(workspace, "r1")
    assert label is not None
    assert (label.good, label.why) == (True, "it was the disk")
    assert "r1: not labelled" in aispool("collab", "label", "r1", "none").out
    assert "no collaborative run r2" in aispool("collab", "label", "r2", "bad", code=1).err
    assert aispool("collab", "label", "r1", "perhaps", code=2).code == 2


def test_metrics_as_a_table(run_of: Callable[..., Path], aispool: Callable[..., Said]) -> None:
    """A line for each role and provider, one for each day, and how well the scores did."""
    calls = [call("qwen", "qwen-max", "server"), call("qwen", "qwen-max", duration_s=1.5)]
    run_of("r1", [step("2-analyst", "analyst", calls=calls), verdict("analyst", 3, 4)])
    aispool("collab", "label", "r1", "good")
    out = aispool("collab", "metrics").out
    analyst = next(line.split() for line in out.splitlines() if line.startswith("analyst"))
    assert analyst[:9] == ["analyst", "qwen", "qwen-max", "2", "50%", "1.5", "s", "1.5", "s"]
    assert "75%" in analyst
    assert out.count("80%") == 2  # the day, and all days
    assert "1 runs are labelled, 1 of them good; Confidence is uncalibrated until there are 50" in out


def test_metrics_as_json(run_of: Callable[..., Path], aispool: Callable[..., Said]) -> None:
    """Nothing is left out: what is not known is null."""
    run_of("r1", consensus=None)
    document = aispool("collab", "metrics", "--json").document
    assert document["total"]["runs"] == 1
    assert document["total"]["consensus_percent_mean"] is None
    assert document["calibration"]["shown_confidence"]["ece"] is None
    assert [player["role"] for player in document["players"]] == ["analyst", "validator"]
    assert aispool("collab", "metrics", "--json", "--since", "1h").document["total"]["runs"] == 0


def test_metrics_for_prometheus(
    tmp_path: Path, run_of: Callable[..., Path], aispool: Callable[..., Said], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A whole file that another user may read, replaced at once; nothing else is left in its folder."""
    run_of("r1")
    folder = tmp_path / "collector"
    folder.mkdir()
    target = folder / "aispool.prom"
    target.write_text("old")
    replaced: list[Any] = []
    rename = os.rename

    def seen(source: Any, target: Any) -> None:
        replaced.append((stat.S_IMODE(Path(source).stat().st_mode), Path(source).stat().st_size > 0))
        rename(source, target)

    monkeypatch.setattr(os, "rename", seen)
    monkeypatch.chdir(folder)
    assert aispool("collab", "metrics", "--prometheus", "aispool.prom").out == ""
    assert replaced[-1] == (0o644, True)
    assert os.listdir(folder) == ["aispool.prom"]
    assert list(text_string_to_metric_families(target.read_text()))


def test_nothing_to_measure_and_nothing_to_tune(aispool: Callable[..., Said]) -> None:
    """A new workspace says so."""
    assert "no collaborative run is kept" in aispool("collab", "metrics").out
    assert "nothing is proposed" in aispool("collab", "tune").out
    assert "nothing is proposed" in aispool("collab", "tune", "--apply").out
    assert "nothing to undo" in aispool("collab", "tune", "--undo", code=1).err


def test_tuned_and_undone(
    workspace: Workspace, run_of: Callable[..., Path], aispool: Callable[..., Said]
) -> None:
    """Proposed with its evidence, applied only when told, and taken back."""
    path = workspace.configs / "roles.toml"
    path.write_text('[roles.analyst]\nproviders = ["qwen", "openai"]  # both\n')
    for number in range(40):
        provider = "qwen" if number % 2 else "openai"
        run_of(f"r{number}", [step("2-analyst", "analyst", provider, "m1")])
        aispool("collab", "label", f"r{number}", "good" if provider == "openai" or number < 8 else "bad")
    out = aispool("collab", "tune").out
    assert "analyst: let openai (m1) play the analyst" in out
    assert "openai (m1): 20 of 20 labelled runs good" in out
    assert "qwen (m1): 4 of 20 labelled runs good" in out
    assert "nothing was changed: add --apply" in out
    assert "openai" in path.read_text().splitlines()[1]
    document = aispool("collab", "tune", "--json").document
    assert (document["applied"], document["proposals"][0]["name"]) == (False, "analyst")
    assert "no proposal coordinator" in aispool("collab", "tune", "--apply", "coordinator", code=1).err
    before = path.read_text()
    assert "takes it back" in aispool("collab", "tune", "--apply", "analyst").out
    assert 'providers = ["openai"]' in path.read_text()
    assert "as it was before: analyst" in aispool("collab", "tune", "--undo").out
    assert path.read_text() == before
    assert aispool("collab", "tune", "--undo", "--apply", code=2).code == 2


def test_memory_by_hand(workspace: Workspace, aispool: Callable[..., Said]) -> None:
    """Added, found, shown and forgotten."""
    one = aispool("collab", "memory", "add", "nginx logs fill /var", "--host", "web1").out.strip()
    other = aispool("collab", "memory", "add", "the printer\x1b[2J jams", "--domain", "office").out.strip()
    found = aispool("collab", "memory", "search", "why", "is", "/var", "full?", "--json").document["entries"]
    assert [(entry["id"], entry["host"]) for entry in found] == [(one, "web1")]
    assert "\x1b" not in aispool("collab", "memory", "list").out
    assert "nginx logs fill /var" in aispool("collab", "memory", "show", one).out
    assert json.loads(aispool("collab", "memory", "show", one, "--json").out)["entry"]["text"]
    assert aispool("collab", "memory", "forget", one).out == f"forgotten: {one}\n"
    assert "nothing is remembered as" in aispool("collab", "memory", "show", one, code=1).err
    assert "nothing is remembered as" in aispool("collab", "memory", "forget", one, code=1).err
    assert aispool("collab", "memory", "forget", code=2).code == 2
    assert [e["id"] for e in aispool("collab", "memory", "list", "--json").document["entries"]] == [other]
    assert "nothing is remembered of that" in aispool("collab", "memory", "search", "nginx").out
    assert "cannot be remembered" in aispool("collab", "memory", "add", "  ", code=1).err
    del workspace


def test_all_that_a_run_left_is_forgotten(workspace: Workspace, aispool: Callable[..., Said]) -> None:
    """By the run's id."""
    for text in ("one", "two"):
        memory.remember(workspace, text, source="analyst", task_id="r1")
    memory.remember(workspace, "three", source="analyst", task_id="r2")
    assert aispool("collab", "memory", "forget", "--task", "r1").out.count("forgotten: ") == 2
    assert [each.entry.text for each in memory.read_all(workspace)] == ["three"]
    assert "has left nothing" in aispool("collab", "memory", "forget", "--task", "r1", code=1).err
