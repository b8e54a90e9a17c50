"""A container engine for the tests: the machine's own, or one started here and stopped again.

Base image = the one that is there, else pulled, else made by debootstrap. The engine that we start keeps its
images in the cache folder, so that only the first run is slow. Unless tests need their own networks, it
gets no bridge and no iptables rules: containers use the host's network, which is left as it is.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from filelock import FileLock

if TYPE_CHECKING:
    from collections.abc import Iterator

RELEASE = "bookworm"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "aispool-tests"
CHECKOUT = Path(__file__).parents[2]
PASSED_ON = re.compile(r"(?i)PIP_\w+|(https?|no|all)_proxy")
CERTIFICATES = "/etc/host-certificates.pem"


@dataclass(frozen=True, slots=True)
class Engine:
    """The docker command, pointed at one engine."""

    host: str | None

    def docker(
        self, *arguments: str, check: bool = True, given: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run one command to its end."""
        environment = os.environ | ({"DOCKER_HOST": self.host} if self.host else {})
        done = subprocess.run(
            ["docker", *arguments],
            env=environment,
            input=given,
            capture_output=True,
            text=True,
            check=False,
        )
        if check and done.returncode:
            pytest.fail(f"docker {' '.join(arguments)}: {done.stdout[-3000:]}{done.stderr[-3000:]}")
        return done

    def works(self) -> bool:
        """Tell whether the engine answers."""
        return self.docker("info", check=False).returncode == 0

    def has(self, image: str) -> bool:
        """Tell whether the image is there."""
        return self.docker("image", "inspect", image, check=False).returncode == 0


@contextmanager
def started(*, networks: bool = False) -> Iterator[Engine]:
    """Start an engine of our own, and stop it by its pid."""
    folder = Path(tempfile.mkdtemp(prefix="aispool-engine-"))
    engine = Engine(f"unix://{folder}/socket")
    log = folder / "log"
    command = [
        *("dockerd", "--host", str(engine.host), "--pidfile", str(folder / "pid")),
        *("--data-root", str(CACHE / "engine"), "--exec-root", str(folder / "exec")),
        *(() if networks else ("--bridge=none", "--iptables=false", "--ip6tables=false")),
    ]
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)
    try:
        deadline = time.monotonic() + 60
        while not engine.works():
            if process.poll() is not None or time.monotonic() > deadline:
                last = log.read_text("utf-8", "replace").strip().splitlines()[-1:]
                pytest.skip(f"cannot run here: no container engine: dockerd says {last}")
            time.sleep(0.2)
        yield engine
    finally:
        process.terminate()
        process.wait(60)
        for line in Path("/proc/self/mountinfo").read_text("utf-8").splitlines():
            if (mount := line.split()[4]).startswith(f"{folder}/"):  # the engine leaves its network's behind
                subprocess.run(["umount", mount], check=True)
        shutil.rmtree(folder)


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    """An engine whose containers use this machine's network."""
    with an_engine() as engine:
        yield engine


@contextmanager
def an_engine(*, networks: bool = False) -> Iterator[Engine]:
    """Give the machine's engine, or one of our own; the tests are skipped where neither can be had."""
    if shutil.which("docker") is None:
        pytest.skip("cannot run here: no container engine: docker is not installed")
    if Engine(None).works():
        yield Engine(None)
        return
    if os.geteuid() != 0 or shutil.which("dockerd") is None:
        pytest.skip("cannot run here: no container engine: none answers, and only root could start one")
    CACHE.mkdir(parents=True, exist_ok=True)
    with FileLock(CACHE / "lock"), started(networks=networks) as own:
        yield own


def bootstrap(engine: Engine, release: str, image: str) -> None:
    """Make the base image from Debian's packages, by the mirror that this machine uses itself."""
    if shutil.which("debootstrap") is None or os.geteuid() != 0:
        pytest.skip(f"cannot run here: no container engine with {image}: no registry, no debootstrap")
    target = ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Origin: Debian", f"Codename: {RELEASE}"]
    listed = subprocess.run(target, capture_output=True, text=True, check=False)
    mirrors = listed.stdout.split()[:1]
    with tempfile.TemporaryDirectory(prefix="aispool-base-") as name:
        root, archive = f"{name}/root", f"{name}/root.tar"
        subprocess.run(
            ["debootstrap", "--variant=minbase", "--include=ca-certificates", release, root, *mirrors],
            stdout=subprocess.DEVNULL,
            check=True,
        )
        subprocess.run(["tar", "--exclude=./var/cache/apt/*", "-C", root, "-cf", archive, "."], check=True)
        engine.docker("import", archive, image)


@pytest.fixture(scope="module")
def base_image(engine: Engine) -> str:
    """A bare Debian: no Python, no tmux."""
    return base_of(engine)


def base_of(engine: Engine, release: str = RELEASE) -> str:
    """Return the name of the bare image of a Debian, which is made when it is not there."""
    image = f"debian:{release}-slim"
    if not engine.has(image) and engine.docker("pull", "--quiet", image, check=False).returncode:
        bootstrap(engine, release, image)
    return image


def copy_checkout(target: Path) -> None:
    """Copy what git would commit, and nothing that was built."""
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listing, cwd=CHECKOUT, capture_output=True, check=True).stdout
    for name in filter(None, names.decode().split("\0")):
        if (CHECKOUT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(CHECKOUT / name, target / name)


def copy_apt_settings(target: Path) -> None:
    """Copy how this machine reaches its mirrors: proxies, logins, certificates."""
    target.mkdir()
    for path in Path("/etc/apt/apt.conf.d").glob("*"):
        if path.is_file() and "Acquire::" in path.read_text("utf-8", "replace"):
            shutil.copy(path, target)


@pytest.fixture(scope="module")
def image(engine: Engine, base_image: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The base image with the checkout in /aispool and an ordinary user named `somebody`."""
    return build(engine, "aispool-tests", tmp_path_factory.mktemp("context"), base_image, [])


@pytest.fixture(scope="module")
def systemd_image(engine: Engine, base_image: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The same, with systemd as its first process and all that quickstart needs."""
    packages = ["systemd-sysv", "dbus-user-session", "libpam-systemd", "python3-venv", "tmux", "procps"]
    return build(engine, "aispool-tests-systemd", tmp_path_factory.mktemp("context"), base_image, packages)


def build(engine: Engine, name: str, context: Path, base_image: str, packages: list[str]) -> str:
    """Build an image; the packages come first, so that a change of the checkout does not fetch them again."""
    copy_checkout(context / "aispool")
    copy_apt_settings(context / "apt")
    install = (
        f"DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends {' '.join(packages)}"
    )
    (context / "Dockerfile").write_text(
        f"FROM {base_image}\n"
        "COPY apt/ /etc/apt/apt.conf.d/\n"
        "RUN useradd --create-home somebody\n"
        + (f"RUN apt-get update -qq && {install}\n" if packages else "")
        + "COPY aispool/ /aispool/\n"
        "RUN chmod -R go=rX /aispool\n"
    )
    engine.docker("build", "--network", "host", "--tag", name, str(context))
    return name


def local_indexes(settings: str) -> set[str]:
    """Return the folders on this machine in which pip looks for packages."""
    return {path for path in re.findall(r"(?:file://|['\"\s=])(/[^\s'\"]+)", settings) if Path(path).is_dir()}


@pytest.fixture(scope="module")
def access() -> list[str]:
    """Return the options by which a container reaches package registries just as this machine does."""
    found = subprocess.run(["pip", "config", "list"], capture_output=True, text=True, check=False).stdout
    options = ["--network", "host"]
    for name in os.environ:
        if PASSED_ON.fullmatch(name):
            options += ["--env", name]
    configs = {"/etc/pip.conf": Path("/etc/pip.conf"), "/root/.pip/pip.conf": Path("~/.pip/pip.conf")}
    configs["/root/.config/pip/pip.conf"] = Path("~/.config/pip/pip.conf")
    for inside, path in configs.items():
        if path.expanduser().is_file():
            options += ["--volume", f"{path.expanduser()}:{inside}:ro"]
    for folder in local_indexes(found):
        # A simple index links to files beside it.
        top = Path(folder).parent if Path(folder).name == "simple" else Path(folder)
        options += ["--volume", f"{top}:{top}:ro"]
    bundle = Path(os.environ.get("SSL_CERT_FILE") or "/etc/ssl/certs/ca-certificates.crt")
    if bundle.is_file():
        options += ["--volume", f"{bundle}:{CERTIFICATES}:ro"]
        for name in ("PIP_CERT", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"):
            options += ["--env", f"{name}={CERTIFICATES}"]
    return options
