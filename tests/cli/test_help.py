from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import click
import pytest

from agent.cli import main
from agent.cli.root import COMMANDS

GOLDEN = Path(__file__).parent / "golden" / "help.txt"
HEAVY = ("httpx", "sh", "watchdog", "rich")


def test_help_is_what_it_was(capsys: pytest.CaptureFixture[str]) -> None:
    """The overview of all commands changes on purpose only; write it again with `aispool --help`."""
    assert main(["--help"]) == 0
    assert capsys.readouterr().out == GOLDEN.read_text()


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Each has examples, and they keep their lines."""
    assert main([name, "--help"]) == 0
    text = capsys.readouterr().out
    assert "\n  Examples:\n    " in text


def test_an_unknown_command_is_usage(capsys: pytest.CaptureFixture[str]) -> None:
    """A misspelt command exits with 2."""
    assert main(["sbmit"]) == 2
    assert "No such command" in capsys.readouterr().err


def test_every_module_is_imported_on_demand() -> None:
    """The table names modules and commands that exist."""
    for name, (module, _) in COMMANDS.items():
        assert isinstance(getattr(importlib.import_module(module), f"{name}_command"), click.Command)


@pytest.mark.parametrize("arguments", [["--help"], ["ls"], ["ls", "--json"], ["show", "--help"]])
def test_nothing_heavy_is_imported(arguments: list[str], workspace: object, tmp_path: Path) -> None:
    """Reading commands stay quick: neither rich nor a client library is loaded."""
    del workspace
    root = tmp_path / "ai-workspace"
    script = (
        "import sys; from agent.cli import main; code = main(sys.argv[1:]); "
        f"print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr); sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, "--workspace", str(root), *arguments],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stderr == "[]\n"
