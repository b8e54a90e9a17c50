"""Precision and recall of the rules of handing over, and what they miss: `python rules_report.py [FILE]…`."""

from __future__ import annotations

import json
import math
import sys
from dataclasses import dataclass, field
from pathlib import Path

from agent.collab.roles import Roles, builtin, checked
from agent.collab.rules import hand_over

DATA = Path(__file__).parents[2] / "data" / "handover"
FILES = ("tuning", "hard", "heldout", "fresh")


@dataclass
class Measured:
    """What the rules made of one file."""

    right: int = 0
    wrongly_handed_over: list[str] = field(default_factory=list)
    missed: list[str] = field(default_factory=list)
    kept: int = 0

    @property
    def precision(self) -> float:
        return self.right / max(self.right + len(self.wrongly_handed_over), 1)

    @property
    def recall(self) -> float:
        return self.right / max(self.right + len(self.missed), 1)


def roles() -> Roles:
    """Return the built-in roles."""
    return checked(Path("builtin.toml"), builtin())


def questions(name: str) -> list[dict[str, str]]:
    """Return the labelled questions of one file."""
    return [json.loads(line) for line in (DATA / f"{name}.jsonl").read_text().splitlines()]


def measure(name: str, known: Roles) -> Measured:
    """Return how the rules do on one file."""
    found = Measured()
    for each in questions(name):
        handed = hand_over(each["text"], known).rule is not None
        if handed and each["hand_over"]:
            found.right += 1
        elif handed:
            found.wrongly_handed_over.append(each["text"])
        elif each["hand_over"]:
            found.missed.append(each["text"])
        else:
            found.kept += 1
    return found


def wilson(share: float, count: int) -> str:
    """Return the 95 % interval of a share (Wilson's score interval)."""
    if not count:
        return "-"
    z = 1.96
    middle = (share + z * z / (2 * count)) / (1 + z * z / count)
    half = z * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count)) / (1 + z * z / count)
    return f"{middle - half:.2f}-{min(middle + half, 1):.2f}"


def main(names: list[str]) -> int:
    known = roles()
    for name in names or FILES:
        found = measure(name, known)
        handed = found.right + len(found.wrongly_handed_over)
        wanted = found.right + len(found.missed)
        lines = [
            f"{name}: {len(questions(name))} questions",
            f"  precision {found.precision:.2f} ({wilson(found.precision, handed)})",
            f"  recall {found.recall:.2f} ({wilson(found.recall, wanted)})",
            *(f"  wrongly handed over: {text}" for text in found.wrongly_handed_over),
            *(f"  missed: {text}" for text in found.missed),
        ]
        sys.stdout.write("\n".join(lines) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
