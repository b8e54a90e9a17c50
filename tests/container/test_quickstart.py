"""`./scripts/quickstart` in a clean container does its job."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from conftest import Engine

pytestmark = [pytest.mark.container, pytest.mark.timeout(1200)]

SECOND = "/root/a second 'workspace'"


@pytest.fixture(scope="module")
def after_quickstart(
    engine: Engine, image: str, access: list[str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, Path]]:
    """Run quickstart twice in one container; its output, and its /root."""
    script = f'/aispool/scripts/quickstart && /aispool/scripts/quickstart --workspace "{SECOND}"; status=$?; '
    script += "ps -e -o args= >/root/processes; exit $status"
    container = engine.docker("create", *access, image, "bash", "-c", script).stdout.strip()
    home = tmp_path_factory.mktemp("container")
    try:
        done = engine.docker("start", "--attach", container, check=False)
        engine.docker("cp", f"{container}:/root", str(home))
        assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-5000:]
        yield done.stdout, home / "root"
    finally:
        engine.docker("rm", "--force", container)


def results(workspace: Path) -> dict[str, dict[str, Any]]:
    """Return each result by the first word of its id."""
    found = (json.loads(path.read_text("utf-8")) for path in workspace.glob("results/*/result.json"))
    return {result["task_id"].partition("-")[0]: result for result in found}


@pytest.mark.parametrize("name", ["ai-workspace", SECOND.removeprefix("/root/")])
def test_three_tasks_succeed(after_quickstart: tuple[str, Path], name: str) -> None:
    """One depends on another, one fails first; a second workspace, with an awkward name, is no different."""
    output, home = after_quickstart
    done = results(home / name)
    assert {task: result["state"] for task, result in done.items()} == dict.fromkeys(
        ("collect", "summary", "flaky"), "succeeded"
    )
    assert [attempt["state"] for attempt in done["flaky"]["attempts"]] == ["failed", "succeeded"]
    assert "Linux" in done["summary"]["output"]["text"]
    assert done["summary"]["started_at"] >= done["collect"]["finished_at"]
    for result in done.values():
        assert f"/root/{name}/results/{result['task_id']}" in output


def test_it_says_how_to_go_on(after_quickstart: tuple[str, Path]) -> None:
    """The last lines name the folder to drop into, and how to attach."""
    output, _ = after_quickstart
    assert "/root/ai-workspace/tasks/" in output
    assert "attach" in output


def test_the_agent_is_stopped(after_quickstart: tuple[str, Path]) -> None:
    """Without --keep, nothing of it is left running."""
    _, home = after_quickstart
    assert "aispool" not in (home / "processes").read_text("utf-8").replace("/aispool/scripts", "")


def test_an_ordinary_user_is_told_every_missing_package(engine: Engine, image: str) -> None:
    """It names each, and what to type, and stops before it makes anything."""
    script = "/aispool/scripts/quickstart; status=$?; ls -A ~ >&2; exit $status"
    done = engine.docker("run", "--rm", "--user", "somebody", image, "bash", "-c", script, check=False)
    assert done.returncode == 1
    for package in ("python3", "python3-venv", "tmux", "procps"):
        assert f"missing package: {package}\n" in done.stderr
    assert "apt-get install python3 python3-venv tmux procps" in done.stderr
    assert "ai-workspace" not in done.stderr


def test_the_tests_themselves_name_what_they_need(engine: Engine, image: str) -> None:
    """`scripts/test`, too, tells an ordinary user each package, and makes no environment."""
    script = "/aispool/scripts/test"
    done = engine.docker("run", "--rm", "--user", "somebody", image, script, check=False)
    assert done.returncode == 1
    for package in ("python3-venv", "tmux", "screen", "shellcheck", "openssh-server", "strace", "systemd"):
        assert f"missing package: {package}\n" in done.stderr
