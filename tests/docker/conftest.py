"""Real hosts: containers with sshd on private networks, in the engine that tests/container finds."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from pytest_docker.plugin import get_docker_services

sys.path.insert(0, str(Path(__file__).parents[1]))

from container.conftest import RELEASE, access, an_engine, base_of, copy_apt_settings
from container.test_units import BOOT
from docker_machines import AISPOOL, HOME, IMAGE, NEWER, PYTHONS, SMALL, FleetUnderTest, Machine, wait_for

from agent.fleet.connect import add_dependencies
from agent.fleet.probing import Probe
from agent.fleet.wheel import pack_own

if TYPE_CHECKING:
    from collections.abc import Iterator

    from container.conftest import Engine

HERE = Path(__file__).parent
__all__ = ["access"]


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    """An engine with networks of its own."""
    with an_engine(networks=True) as engine:
        yield engine


@pytest.fixture(scope="module")
def compose() -> str:
    """Compose as it is called here: Debian's is version 1, others have version 2."""
    if shutil.which("docker-compose"):
        return "docker-compose"
    done = subprocess.run(["docker", "compose", "version"], capture_output=True, check=False)
    if done.returncode != 0:
        pytest.skip("cannot run here: no container engine with docker-compose, nor docker compose")
    return "docker compose"


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the images are built of: the wheel under test, and what it needs for each Python."""
    context = tmp_path_factory.mktemp("image")
    shutil.copy(HERE / "Dockerfile", context)
    copy_apt_settings(context / "apt")
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", context / "key"], check=True)
    (context / "wheels").mkdir()
    pack_own(context / "wheels")
    for python, libc in PYTHONS.values():
        debian = Probe("Linux", os.uname().machine, is_root=False, free_kib=0, python=python, libc=libc)
        add_dependencies(context / "wheels", debian)
    return context


def build(engine: Engine, context: Path, release: str, image: str) -> str:
    """Build the image on some Debian."""
    base = base_of(engine, release)
    engine.docker("build", "--network", "host", "--build-arg", f"BASE={base}", "--tag", image, str(context))
    return image


@pytest.fixture(scope="module")
def image(engine: Engine, context: Path) -> str:
    """One image for all machines, with the wheel under test."""
    return build(engine, context, RELEASE, IMAGE)


@pytest.fixture(scope="module")
def newer_image(engine: Engine, context: Path) -> str:
    """The same on the next Debian, which has another Python."""
    return build(engine, context, NEWER, f"{IMAGE}-{NEWER}")


@pytest.fixture(scope="module")
def machines(
    engine: Engine, compose: str, image: str, monkeypatch_module: pytest.MonkeyPatch
) -> Iterator[FleetUnderTest]:
    """A collector and four bare hosts."""
    assert image
    if engine.host is not None:
        monkeypatch_module.setenv("DOCKER_HOST", engine.host)
    project = f"aispool{os.getpid()}"
    with get_docker_services(compose, str(HERE / "docker-compose.yml"), project, ["up -d"], ["down -v -t 1"]):
        names = engine.docker("ps", "--format", "{{.Names}}", "--filter", f"name={project}").stdout.split()
        found = {name.replace("-", "_").split("_")[-2]: name for name in names}
        collector = Machine(engine, "collector", found["collector"], SMALL)
        places = {"a": HOME, "b": HOME, "c": HOME, "d": SMALL}
        hosts = {name: Machine(engine, name, found[name], place) for name, place in places.items()}
        for host in hosts.values():
            wait_for(lambda host=host: host.tries("pgrep -x sshd", user="root").returncode == 0, "sshd")
        collector.does(f"{AISPOOL} --workspace {SMALL} init")
        yield FleetUnderTest(collector, hosts, project)


@pytest.fixture(scope="module")
def monkeypatch_module() -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as patch:
        yield patch


@pytest.fixture(scope="module")
def booted(machines: FleetUnderTest) -> Iterator[Machine]:
    """A host with systemd as its first process, beside the others."""
    with machines.beside("s", *BOOT, IMAGE, "/sbin/init") as machine:
        wait_for(lambda: machine.tries("loginctl", user="root").returncode == 0, "it boots")
        machine.does("loginctl enable-linger somebody", user="root")
        yield machine
