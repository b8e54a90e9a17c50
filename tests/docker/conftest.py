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

from container.conftest import access, an_engine, base_of, copy_apt_settings
from container.test_units import BOOT
from docker_machines import AISPOOL, SMALL, FleetUnderTest, Machine, wait_for

from agent.fleet.connect import add_dependencies
from agent.fleet.probing import Probe
from agent.fleet.wheel import pack_own

if TYPE_CHECKING:
    from collections.abc import Iterator

    from container.conftest import Engine

HERE = Path(__file__).parent
IMAGE = "aispool-fleet"
__all__ = ["access"]
HOME = "/home/somebody/ai-workspace"


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
def image(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> str:
    """One image for all machines, with the wheel under test."""
    context = tmp_path_factory.mktemp("image")
    shutil.copy(HERE / "Dockerfile", context)
    copy_apt_settings(context / "apt")
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", context / "key"], check=True)
    (context / "wheels").mkdir()
    pack_own(context / "wheels")
    debian = Probe(
        "Linux", os.uname().machine, is_root=False, free_kib=0, python="3.11", libc=("glibc", "2.36")
    )
    add_dependencies(context / "wheels", debian)
    base = base_of(engine)
    engine.docker("build", "--network", "host", "--build-arg", f"BASE={base}", "--tag", IMAGE, str(context))
    return IMAGE


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
def booted(engine: Engine, machines: FleetUnderTest) -> Iterator[Machine]:
    """A host with systemd as its first process, beside the others."""
    network = f"{machines.project}_net_s"
    container = f"{machines.project}_s_1"
    create = ("create", "--name", container, "--hostname", "s", "--network", network, "--network-alias", "s")
    engine.docker(*create, *BOOT, IMAGE, "/sbin/init")
    machine = Machine(engine, "s", container, HOME)
    try:
        engine.docker("start", container)
        wait_for(lambda: machine.tries("loginctl", user="root").returncode == 0, "it boots")
        yield machine
    finally:
        engine.docker("rm", "--force", container)
