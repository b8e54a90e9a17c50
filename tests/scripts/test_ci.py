"""`.ci/run` accepts no skip that nobody allowed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

CI = Path(__file__).parents[2] / ".ci"
REPORT = """<testsuites><testsuite>
<testcase classname="tests.a" name="test_one"/>
<testcase classname="tests.a" name="test_two"><skipped type="pytest.{kind}" message="{reason}"/></testcase>
</testsuite></testsuites>"""


def check(tmp_path: Path, reason: str, kind: str = "skip") -> subprocess.CompletedProcess[str]:
    report = tmp_path / "report.xml"
    report.write_text(REPORT.format(kind=kind, reason=reason))
    listing = tmp_path / "allowed"
    listing.write_text("# because\n\n^cannot run here: no moon\n")
    command = [sys.executable, CI / "check_skips.py", report, listing]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_an_allowed_skip_is_silent(tmp_path: Path) -> None:
    """So that pytest's closing line stays the last one."""
    done = check(tmp_path, "cannot run here: no moon in sight")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("reason", ["", "no moon", "not today", "cannot run here: no sun"])
def test_any_other_is_named(tmp_path: Path, reason: str) -> None:
    """With the test and the reason it gave."""
    done = check(tmp_path, reason)
    assert done.returncode == 1
    assert "tests.a::test_two: " + (reason or "no reason given") in done.stderr


def test_an_expected_failure_is_no_skip(tmp_path: Path) -> None:
    """Pytest reports both in the same way."""
    assert check(tmp_path, "known", kind="xfail").returncode == 0
