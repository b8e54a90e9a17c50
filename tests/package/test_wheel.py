"""What is installed: the wheel alone owns its import names, and works without the checkout."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
QUESTION = """
import importlib.metadata as m, json
owners = m.packages_distributions()
print(json.dumps({name: sorted(set(owners.get(name, []))) for name in ("agent", "spool")}))
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--outdir", folder, ROOT]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh environment with nothing but the wheel and what it needs."""
    environment = tmp_path_factory.mktemp("environment")
    inside = environment / "bin" / "python"
    if shutil.which("uv"):
        make = ["uv", "venv", "--quiet", "--python", sys.executable, "--allow-existing", environment]
        install = ["uv", "pip", "install", "--quiet", "--python", inside, wheel]
    else:
        make = [sys.executable, "-m", "venv", environment]
        install = [inside, "-m", "pip", "install", "--quiet", wheel]
    for command in (make, install):
        subprocess.run(command, check=True, timeout=600)
    return inside


@pytest.mark.timeout(900)
def test_the_wheel_is_the_only_owner_of_both_names(python: Path, tmp_path: Path) -> None:
    """`agent` and `spool` are common words: nothing else in its environment may bring them."""
    done = subprocess.run(
        [python, "-I", "-c", QUESTION], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout) == {"agent": ["aispool"], "spool": ["aispool"]}


@pytest.mark.timeout(900)
def test_an_installed_wheel_runs_a_task_beside_foreign_packages(python: Path, tmp_path: Path) -> None:
    """Started in a folder with its own agent/ and spool/, the command, the agent and the wrapper are ours."""
    for name in ("agent", "spool"):
        (tmp_path / "project" / name).mkdir(parents=True)
        (tmp_path / "project" / name / "__init__.py").write_text("raise SystemExit('not ours')\n")
    aispool = python.with_name("aispool")
    workspace = tmp_path / "w"

    def run(*words: str) -> str:
        done = subprocess.run(
            [aispool, "--workspace", workspace, *words],
            cwd=tmp_path / "project",
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    run("init")
    assert (workspace / "scripts" / "drop-task.sh").exists()
    assert (workspace / "configs" / "tmux.conf").exists()
    (workspace / "configs" / "agent.toml").write_text(f'allowed_paths = ["{tmp_path}"]\n')
    cwd = f"cwd={tmp_path / 'project'}"
    task_id = run("submit", "--tool", "shell", "--command", "pwd", "--param", cwd).strip()
    run("agent", "--drain")
    result = json.loads((workspace / "results" / task_id / "result.json").read_text())
    assert (result["state"], result["output"]["text"].strip()) == ("succeeded", str(tmp_path / "project"))


def test_the_wheel_holds_no_more_than_it_should(wheel: Path) -> None:
    """The two packages and their data, nothing of the tests."""
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.partition("/")[0] for name in names if ".dist-info" not in name} == {"agent", "spool"}
    wanted = {"agent/py.typed", "spool/py.typed", "agent/tools/builtin.toml", "spool/schema/task.schema.json"}
    assert wanted <= set(names)
