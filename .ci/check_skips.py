"""Fail when a test was skipped for a reason that nobody allowed.

A reason must begin with `cannot run here:` and match a pattern of the list of allowed skips.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

PREFIX = "cannot run here:"


def skipped(report: Path) -> list[tuple[str, str]]:
    """Each skipped test with its reason, from pytest's JUnit report; an expected failure is not a skip."""
    tree = ET.parse(report)  # noqa: S314 (our own pytest wrote it a moment ago)
    return [
        (f"{case.get('classname')}::{case.get('name')}", skip.get("message", ""))
        for case in tree.iter("testcase")
        for skip in case.iter("skipped")
        if skip.get("type") != "pytest.xfail"
    ]


def allowed_patterns(listing: Path) -> list[re.Pattern[str]]:
    """One regular expression a line; empty lines and comments say why."""
    lines = (line.strip() for line in listing.read_text("utf-8").splitlines())
    return [re.compile(line) for line in lines if line and not line.startswith("#")]


def main(report: Path, listing: Path) -> int:
    """Name each skip that is not allowed; 1 when there is one."""
    patterns = allowed_patterns(listing)
    wrong = [
        f"{test}: {reason or 'no reason given'}"
        for test, reason in skipped(report)
        if not (reason.startswith(PREFIX) and any(pattern.search(reason) for pattern in patterns))
    ]
    if wrong:
        sys.stderr.write(
            "skipped, though .ci/allowed-skips does not allow it:\n  " + "\n  ".join(wrong) + "\n"
        )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
