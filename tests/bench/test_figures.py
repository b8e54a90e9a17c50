"""What the figures say of themselves: each with its goal, its spread and where it was measured."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

import pytest
from bench import figures, procs
from bench.arrivals import Arrivals
from bench.figures import Figure

if TYPE_CHECKING:
    from pathlib import Path

WHERE = {
    "machine": "2 cores",
    "cpu": "a CPU",
    "memory_gib": 4,
    "file_system": "ext4",
    "programs": {"tmux": "3.3a"},
    "date": "2026-11-22",
    "commit": "abc",
    "load": [0.1, 0, 0],
}
NOTHING: dict[str, Any] = {"sections": {}}


def facts(**other: Any) -> dict[str, Any]:
    return {"where": WHERE | other, "rounds": 5, "scale": 1}


@pytest.mark.parametrize(
    ("share", "value"),
    [(0.5, 3.0), (0.95, 100.0), (0.0, 1.0), (1.0, 100.0)],
    ids=["half", "95", "none", "all"],
)
def test_quantiles_are_samples_that_occurred(share: float, value: float) -> None:
    assert figures.quantile([100.0, 1.0, 2.0, 3.0, 4.0], share) == value


def test_the_95th_of_a_hundred_leaves_five_above() -> None:
    assert figures.quantile([float(n) for n in range(1, 101)], 0.95) == 95


def test_ratios_are_taken_round_by_round() -> None:
    """A round in which the machine was slow for both is no outlier."""
    assert figures.ratios([2.0, 20.0], [1.0, 10.0]) == (2.0, 2.0)
    with pytest.raises(ValueError, match="argument"):
        figures.ratios([1.0], [1.0, 2.0])


def test_a_figure_that_falls_short_is_told_as_plainly() -> None:
    found = [
        Figure("good", "ms", (1.0, 2.0, 3.0), 2.0),
        Figure("bad", "ms", (9.0,), 2.0),
        Figure("peer", "s", (1.0,)),
    ]
    lines = figures.table(figures.merged(NOTHING, "latency", facts(), found), ["latency"]).splitlines()
    assert "| latency | good | ≤ 2 ms | 2 ms | 1 to 3 | 3 | yes |" in lines
    assert "| latency | bad | ≤ 2 ms | 9 ms | 9 to 9 | 1 | **no** |" in lines
    assert "| latency | peer |  | 1 s | 1 to 1 | 1 |  |" in lines


def test_sections_are_merged_and_kept(tmp_path: Path) -> None:
    """What is measured again replaces itself alone, also across runs."""
    kept = tmp_path / "bench.json"
    figures.write(kept, figures.merged(figures.read(kept), "idle", facts(), [Figure("a", "s", (1.0,))]))
    figures.write(kept, figures.merged(figures.read(kept), "cli", facts(), [Figure("b", "s", (1.0,))]))
    figures.write(kept, figures.merged(figures.read(kept), "idle", facts(), [Figure("c", "s", (1.0,))]))
    sections = figures.read(kept)["sections"]
    assert {name: [one["name"] for one in section["figures"]] for name, section in sections.items()} == {
        "idle": ["c"],
        "cli": ["b"],
    }


def test_the_table_says_where_each_section_was_measured() -> None:
    """One line when all is of one run; a trial is called one."""
    one = figures.merged(NOTHING, "idle", facts(), [Figure("a", "s", (1.0,))])
    assert "2026-11-22, 2 cores, a CPU, 4 GiB, ext4; tmux 3.3a; commit abc" in figures.table(one, ["idle"])
    two = figures.merged(one, "cli", facts(date="2026-11-23") | {"scale": 0.1}, [Figure("b", "s", (1.0,))])
    text = figures.table(two, ["idle", "cli"])
    assert "- idle: 2026-11-22" in text
    assert "- cli: 2026-11-23" in text
    assert "no real figures" in text


def test_arrivals_see_names_and_no_dotfiles(tmp_path: Path) -> None:
    with Arrivals(tmp_path) as arrivals:
        before_s = time.monotonic()
        (tmp_path / ".hidden").touch()
        (tmp_path / ".hidden").rename(tmp_path / "shown")
        (tmp_path / "made").mkdir()
        assert before_s <= arrivals.wait("shown", 5) <= arrivals.count(2, 5)
        assert set(arrivals.seen) == {"shown", "made"}
        with pytest.raises(TimeoutError, match="3 names; 2 were seen"):
            arrivals.count(3, 0.01)


def test_usage_counts_what_a_process_does() -> None:
    """Ourselves: time on a processor, however long that took by the wall."""
    before = procs.usage([os.getpid()])
    began_s = time.process_time()
    while time.process_time() < began_s + 0.2:
        pass
    after = procs.usage([os.getpid()])
    assert after.cpu_s - before.cpu_s >= 0.15
    assert procs.resident_mib(os.getpid()) > 1
    assert procs.proportional_mib([os.getpid()]) > 1
