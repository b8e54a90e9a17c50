"""Runs what is chosen, section by section, and writes figures, table and plot after each."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from bench import commands, crowd, figures, plot, speed, standing
from bench.lab import ROOT, lab
from bench.machine import describe

SECTIONS = {
    "throughput": speed.throughput,
    "latency": speed.latency,
    "idle": standing.idle,
    "waiting": standing.waiting,
    "backlog": crowd.backlog,
    "past": crowd.past,
    "burst": crowd.burst,
    "submit": commands.submit,
    "logging": standing.logging,
    "cli": commands.cli,
    "scaling": speed.scaling,
}


def main() -> int:
    """Measure; nothing fails on a time."""
    chosen = arguments()
    folder = chosen.out or ROOT / ("tests/bench/report" if chosen.scale == 1 else "build/bench")
    folder.mkdir(parents=True, exist_ok=True)
    kept = folder / "bench.json"
    for name in chosen.only or SECTIONS:
        measured = figures.read(kept)
        if chosen.resume and name in measured["sections"]:
            continue
        began_s = time.monotonic()
        options = {
            "rounds": chosen.rounds,
            "scale": chosen.scale,
            "direct": chosen.direct,
            "most": chosen.most,
        }
        with lab(chosen.folder, **options) as one:
            facts = {"where": describe(one.folder), **options}
            found = SECTIONS[name](one)
        facts["took_s"] = round(time.monotonic() - began_s)
        figures.write(kept, figures.merged(measured, name, facts, found))
        say(f"{name}: {facts['took_s']} s")
        show(folder)
    say(f"{folder}/REPORT.md")
    return 0


def show(folder: Path) -> None:
    """Write the table, and the plots for which there is something to draw."""
    measured = figures.read(folder / "bench.json")
    text = figures.table(measured, list(SECTIONS))
    plots = {"scaling": (plot.cost_curves, "cost.svg"), "latency": (plot.latencies, "latency.svg")}
    for name, (draw, file) in plots.items():
        if name in measured["sections"]:
            draw(measured["sections"][name], folder / file)
            text += f"\n![{name}]({file})\n"
    (folder / "REPORT.md").write_text(text)


def arguments() -> argparse.Namespace:
    """Read the command line; scripts/bench explains it."""
    parser = argparse.ArgumentParser(prog="scripts/bench", description="See the head of scripts/bench.")
    parser.add_argument(
        "--only", action="append", choices=list(SECTIONS), metavar="SECTION", help=", ".join(SECTIONS)
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--scale", type=float, default=1.0, help="of numbers and times; no real figures but with 1"
    )
    parser.add_argument("--most", type=int, default=100_000, help="tasks of the largest size of `scaling`")
    parser.add_argument(
        "--direct", action="store_true", help="tasks name the program, not a line for /bin/sh"
    )
    parser.add_argument("--resume", action="store_true", help="leave out sections that the JSON has")
    parser.add_argument("--folder", type=Path, help="for the workspaces; its path must be short")
    parser.add_argument("--out", type=Path, help="for bench.json, REPORT.md and cost.svg")
    return parser.parse_args()


def say(text: str) -> None:
    """Tell who waits for it."""
    print(text, flush=True)  # noqa: T201 - for this it is run


if __name__ == "__main__":
    sys.exit(main())
