"""The figures in Prometheus' text format, for the textfile collector of node_exporter.

All are gauges: runs are pruned in time, so that no sum only grows. What is not known has no sample.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from agent.collab.metrics.sums import mean, quantile

if TYPE_CHECKING:
    from agent.collab.metrics.figures import Figures
    from agent.collab.metrics.sums import Player

PREFIX: Final = "aispool_collab_"
_ESCAPES: Final = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


@dataclass(slots=True)
class _Family:
    name: str
    kind: str
    about: str
    samples: list[str] = field(default_factory=list)

    def add(self, value: float | None, suffix: str = "", **labels: str) -> None:
        if value is None or not math.isfinite(value):
            return
        pairs = ",".join(f'{name}="{text.translate(_ESCAPES)}"' for name, text in labels.items())
        self.samples.append(f"{PREFIX}{self.name}{suffix}{{{pairs}}} {value!r}")

    def lines(self) -> list[str]:
        head = [f"# HELP {PREFIX}{self.name} {self.about}", f"# TYPE {PREFIX}{self.name} {self.kind}"]
        return [*head, *self.samples] if self.samples else []


def exposition(found: Figures) -> str:
    """Return the file's text."""
    families = [*_of_players(found), *_of_runs(found), *_of_labels(found)]
    return "".join(f"{line}\n" for family in families for line in family.lines())


def _of_players(found: Figures) -> list[_Family]:
    calls = _Family("calls", "gauge", "Requests to a provider, by how they ended.")
    response = _Family("response_seconds", "summary", "How long an answered request took.")
    tokens = _Family("tokens", "gauge", "Tokens, as far as the provider says.")
    cost = _Family("cost_usd", "gauge", "US dollars, as far as they are known.")
    passed = _Family("validator_pass_ratio", "gauge", "Share of the validator's checks that passed.")
    for player in found.players:
        labels = _labels(player)
        calls.add(len(player.seconds), **labels, outcome="ok")
        for kind, count in sorted(player.errors.items()):
            calls.add(count, **labels, outcome=kind)
        for share in (0.5, 0.95):
            response.add(quantile(player.seconds, share), **labels, quantile=str(share))
        response.add(math.fsum(player.seconds), "_sum", **labels)
        response.add(len(player.seconds), "_count", **labels)
        tokens.add(player.input_tokens, **labels, direction="input")
        tokens.add(player.output_tokens, **labels, direction="output")
        cost.add(player.cost_usd, **labels)
        passed.add(player.pass_rate, **labels)
    return [calls, response, tokens, cost, passed]


def _labels(player: Player) -> dict[str, str]:
    return {"role": player.role, "provider": player.provider, "model": player.model or ""}


def _of_runs(found: Figures) -> list[_Family]:
    runs = _Family("runs", "gauge", "Runs that are kept.")
    runs.add(found.total.runs)
    without = _Family(
        "runs_without_consensus", "gauge", "Of those, runs without two model families to compare."
    )
    without.add(found.total.runs - len(found.total.consensus))
    families = [runs, without]
    for name, values in (
        ("consensus", found.total.consensus),
        ("coverage", found.total.coverage),
        ("confidence", found.total.confidence),
    ):
        family = _Family(f"{name}_percent_mean", "gauge", f"Mean {name} of the runs that have one.")
        family.add(mean(values))
        families.append(family)
    damaged = _Family("damaged_files", "gauge", "Step files and labels that cannot be read.")
    damaged.add(len(found.damaged))
    return [*families, damaged]


def _of_labels(found: Figures) -> list[_Family]:
    known = found.calibration
    labels = _Family("labels", "gauge", "Runs whose outcome was labelled.")
    labels.add(known.good, outcome="good")
    labels.add(known.labels - known.good, outcome="bad")
    families = [labels]
    qualities = (
        ("consensus", known.consensus),
        ("raw_confidence", known.raw),
        ("shown_confidence", known.shown),
    )
    for measure, about in (
        ("auroc", "How well a score tells good outcomes from bad, 0.5 is chance."),
        ("ece", "Expected calibration error of a score."),
        ("brier", "Brier score of a score taken as a probability."),
    ):
        family = _Family(measure, "gauge", about)
        for score, quality in qualities:
            family.add(getattr(quality, measure), score=score)
        families.append(family)
    return families
