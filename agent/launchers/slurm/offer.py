"""What the cluster has, and why it can never run what a task asks for.

Only what no node of the partition could ever give is refused; whether it is free now is Slurm's to decide.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from spool.task import Resources

FORMAT: Final = "%R|%l|%c|%m|%G|%f"
"""Partition, time limit, CPUs, MiB of memory, generic resources, features (sinfo(1))."""


@dataclass(frozen=True, slots=True)
class Kind:
    """Nodes of one kind in one partition.

    Args:
        time_s: the partition's time limit; None is none.
        gpus: of one node.
    """

    partition: str
    time_s: float | None
    cpus: int
    memory_mb: int
    gpus: int
    features: frozenset[str]


def parse(text: str) -> tuple[Kind, ...]:
    """Read what sinfo printed with FORMAT; a line that is not understood offers nothing."""
    kinds = []
    for line in text.splitlines():
        fields = line.split("|")
        if len(fields) == FORMAT.count("|") + 1:
            name, limit, cpus, memory, generic, features = fields
            words = frozenset(features.split(",")) - {"(null)", ""}
            kinds.append(
                Kind(
                    name,
                    _seconds(limit),
                    _number(cpus),
                    _number(memory),
                    _gpus(generic),
                    words,
                )
            )
    return tuple(kinds)


def problem(kinds: Sequence[Kind], wanted: Resources, time_s: float) -> str | None:
    """Say what of a wish no node has, in words; None when some node could run it."""
    partitions = sorted({kind.partition for kind in kinds})
    if wanted.partition is not None and wanted.partition not in partitions:
        return f"the cluster has no partition {wanted.partition!r}, it has {', '.join(partitions)}"
    candidates = [kind for kind in kinds if wanted.partition in {None, kind.partition}]
    where = f"partition {wanted.partition}" if wanted.partition else "the cluster"
    for what, value, most in (
        ("cpus", wanted.cpus, max((kind.cpus for kind in candidates), default=0)),
        ("memory_mb", wanted.memory_mb, max((kind.memory_mb for kind in candidates), default=0)),
        ("gpus", wanted.gpus, max((kind.gpus for kind in candidates), default=0)),
    ):
        if value is not None and value > most:
            return f"{what} is {value}, and the largest node of {where} has {most}"
    limits = [kind.time_s for kind in candidates]
    if candidates and None not in limits and time_s > max(limit for limit in limits if limit is not None):
        longest_s = max(limit for limit in limits if limit is not None)
        return f"it may take {time_s:g} s, and {where} allows {longest_s:g} s: give a shorter timeout"
    missing = _missing_features(kinds, candidates, wanted.constraint)
    if missing:
        return f"no node of {where} has the feature {missing[0]!r} that constraint names"
    fits = [kind for kind in candidates if _fits(kind, wanted)]
    if not fits:
        return f"no single node of {where} has all of it together: ask for less, or name another partition"
    return None


def _missing_features(kinds: Sequence[Kind], candidates: Sequence[Kind], constraint: str | None) -> list[str]:
    """Return the names in a constraint that no node has; what joins them is left to sbatch.

    Where it names alternatives, a feature that only nodes elsewhere have keeps nothing from running here.
    """
    text = constraint or ""
    looked_at = kinds if "|" in text else candidates
    there = {feature for kind in looked_at for feature in kind.features}
    named = (name.strip() for name in re.split(r"\*\d+|[&|,()\[\]]", text))
    return [name for name in named if name and name not in there]


def _fits(kind: Kind, wanted: Resources) -> bool:
    return (
        kind.cpus >= (wanted.cpus or 0)
        and kind.memory_mb >= (wanted.memory_mb or 0)
        and kind.gpus >= (wanted.gpus or 0)
    )


def _number(text: str) -> int:
    """Read `64` or `64+`, which is the least of several."""
    digits = text.rstrip("+")
    return int(digits) if digits.isdigit() else 0


def _gpus(text: str) -> int:
    """Add up `gpu:4`, `gpu:a100:2(S:0-1)`."""
    return sum(int(count) for count in re.findall(r"(?:^|,)gpu(?::[^:,(]+)?:(\d+)", text))


def _seconds(text: str) -> float | None:
    """Read `infinite`, `30:00`, `1-12:00:00`."""
    match = re.fullmatch(r"(?:(\d+)-)?(?:(\d+):)?(\d+):(\d+)", text)
    if match is None:
        return None
    days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return float(((days * 24 + hours) * 60 + minutes) * 60 + seconds)
