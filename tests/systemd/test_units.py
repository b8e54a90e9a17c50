"""The user units, as systemd itself reads them."""

from __future__ import annotations

import configparser
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

SYSTEMD = Path(__file__).parents[2] / "systemd"
UNITS = ("aispool-agent.service", "aispool-tmux.service")
COLLECTOR = ("aispool-collector.service", "aispool-collector-once.service", "aispool-collector-once.timer")


@pytest.fixture
def units(tmp_path: Path) -> Path:
    """Copies of the units whose agent exists: systemd-analyze refuses an ExecStart that does not."""
    folder = tmp_path / "units"
    folder.mkdir()
    for name in (*UNITS, *COLLECTOR):
        text = (
            (SYSTEMD / name).read_text("utf-8").replace("%h/.local/bin/aispool", shutil.which("true") or "")
        )
        (folder / name).write_text(text, "utf-8")
    return folder


def verify(folder: Path, *names: str) -> subprocess.CompletedProcess[str]:
    command = ["systemd-analyze", "--user", "--man=no", "verify", *(str(folder / name) for name in names)]
    with tempfile.TemporaryDirectory() as runtime:  # short: the system's own sockets must fit below it
        environment = os.environ | {"XDG_RUNTIME_DIR": runtime, "SYSTEMD_UNIT_PATH": f"{folder}:"}
        return subprocess.run(
            command, env=environment, capture_output=True, text=True, check=False, timeout=60
        )


def section(name: str, title: str) -> dict[str, str]:
    parser = configparser.ConfigParser(interpolation=None, strict=True)
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read(SYSTEMD / name, "utf-8")
    return dict(parser[title])


@pytest.mark.parametrize("names", [UNITS, COLLECTOR])
def test_systemd_understands_every_line(units: Path, names: tuple[str, ...]) -> None:
    """An unknown key only warns and exits 0, so silence is what counts."""
    done = verify(units, *names)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_check_notices_a_misspelt_key(units: Path) -> None:
    """Otherwise the test above would prove nothing."""
    unit = units / UNITS[0]
    unit.write_text(unit.read_text("utf-8").replace("KillMode=", "KilMode="), "utf-8")
    assert "KilMode" in verify(units, *UNITS).stderr


@pytest.mark.parametrize("name", UNITS)
def test_stopping_a_unit_ends_its_main_process_only(name: str) -> None:
    """Tools outlive the agent and the tmux server."""
    assert section(name, "Service")["KillMode"] == "process"


def test_the_units_do_not_end_each_other() -> None:
    """The agent wants its tmux server, but neither requires, binds to, or is part of the other."""
    for name in UNITS:
        unit = section(name, "Unit")
        assert not {"Requires", "BindsTo", "PartOf", "Requisite"} & unit.keys()
    assert section(UNITS[0], "Unit")["Wants"] == UNITS[1]


def test_the_commands_for_another_workspace_make_valid_units(units: Path, tmp_path: Path) -> None:
    """README's loop, run as it is written, on the checked copies."""
    readme = (SYSTEMD / "README.md").read_text("utf-8")
    found = re.search(r"## Another workspace.*?```sh\n(.*?)```", readme, re.DOTALL)
    assert found is not None
    (tmp_path / "systemd").symlink_to(units)
    target = tmp_path / ".config/systemd/user"
    target.mkdir(parents=True)
    environment = os.environ | {"HOME": str(tmp_path)}
    subprocess.run(["bash", "-euc", found[1]], cwd=tmp_path, env=environment, check=True)
    made = sorted(path.name for path in target.iterdir())
    assert made == ["aispool-srv-agent.service", "aispool-srv-tmux.service"]
    text = "".join((target / name).read_text("utf-8") for name in made)
    assert "%h/ai-workspace" not in text
    assert "Wants=aispool-srv-tmux.service" in text
    done = verify(target, *made)
    assert (done.returncode, done.stderr) == (0, "")
