"""Connecting a host: from a bare machine with sshd to an agent that runs the same aispool as we do.

Look at the host, decide, do. All of it may be cut off and repeated; what is there already is left alone. An
upgrade is a new environment beside the old one and another agent: sessions go on with what they were started
with. The host runs scripts/fleet-host.sh, which it is sent each time; nothing of ours need be there before.
"""

from __future__ import annotations

import json
import platform
import re
import shlex
import shutil
import sys
import tempfile
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from agent.fleet import calls, ssh
from agent.fleet.probing import ConnectError, Probe, plan, read_probe
from agent.fleet.rsync import sentence
from agent.fleet.wheel import Wheel, dependencies, pack_dependencies, pack_own
from agent.share import share_folder

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.fleet.hosts import Host
    from agent.fleet.probing import Step
    from agent.fleet.ssh import Link

PATIENCE_S: Final = 900.0
"""For a step that says nothing: installing packages over a slow line."""
CHANGED: Final = "changed: "
_FOLDER: Final = re.compile(r"/[A-Za-z0-9_./+@-]{1,500}")


@dataclass(frozen=True, slots=True)
class Connection:
    """What came of it.

    Args:
        changed: what was done on the host, in words; empty when it was connected before.
        notes: what it wants its owner to know.
        findings: of `aispool doctor` there: check, grade, what, remedy.
    """

    changed: tuple[str, ...]
    notes: tuple[str, ...]
    findings: tuple[dict[str, Any], ...]

    @property
    def is_well(self) -> bool:
        """Tell whether doctor found no problem."""
        return all(finding.get("grade") != "problem" for finding in self.findings)


@dataclass(frozen=True, slots=True)
class Connector:
    """Connects one host.

    Args:
        host: whom.
        link: how it is reached, with a key that may run commands.
        tell: says to the person what is being done.
        may: asks the person.
        offline: the host reaches no package index.
    """

    host: Host
    link: Link
    tell: Callable[[str], None]
    may: Callable[[str], bool]
    offline: bool = False

    def connect(self) -> Connection:
        """Do what is missing.

        Raises:
            ConnectError: it cannot be connected, or the person said no.
            CallError: a program is missing here.
        """
        if not calls.is_open(self.link) and (opened := calls.connect(self.link)).code != 0:
            raise ConnectError(f"{self.host.target}: {sentence(opened)}")
        probe = read_probe(self._run("probe", self.host.workspace))
        changed: list[str] = []
        notes: list[str] = []
        with tempfile.TemporaryDirectory(prefix="aispool-wheels-") as name:
            wheel = pack_own(Path(name))
            version = wheel.path.name.split("-")[1]
            steps = plan(
                probe,
                target=self.host.target,
                workspace=self.host.workspace,
                venv=f"venv-{version}-{wheel.digest[:12]}",
                wheel=wheel.path.name,
                offline=self.offline,
            )
            for step in steps:
                said = self._do(step, probe, wheel).splitlines()
                changed += [line.removeprefix(CHANGED) for line in said if line.startswith(CHANGED)]
                notes += [line.removeprefix("note: ") for line in said if line.startswith("note: ")]
        return Connection(tuple(changed), tuple(notes), self._doctor())

    def _do(self, step: Step, probe: Probe, wheel: Wheel) -> str:
        if step.question is not None and not self.may(step.question):
            raise ConnectError(f"{self.host.target}: stopped before {step.doing}; nothing was changed by it")
        self.tell(step.doing)
        if step.kind == "install":
            if self.offline:
                add_dependencies(wheel.path.parent, probe)
            self._upload(wheel.path.parent, step.words[1])
        return self._run(*step.words)

    def _upload(self, folder: Path, venv: str) -> None:
        target = self._run("receive", venv).strip().rpartition("\n")[2]
        if not _FOLDER.fullmatch(target):
            raise ConnectError(
                f"{self.host.target} would have the wheels in {target[:200]!r}: no usable folder"
            )
        argv = [
            *(
                "rsync",
                "-t",
                "--chmod=F600",
                "--partial-dir=.rsync-partial",
                "-e",
                ssh.remote_shell(self.link),
            ),
            *("--", *(str(path) for path in sorted(folder.iterdir())), f"{self.link.remote}:{target}/"),
        ]
        ended = calls.run(argv, PATIENCE_S)
        if ended.code != 0:
            raise ConnectError(f"{self.host.target}: {sentence(ended)}")

    def _doctor(self) -> tuple[dict[str, Any], ...]:
        self.tell("asking its doctor")
        text = self._run("doctor", self.host.workspace, codes=(0, 1))
        try:
            findings = json.loads(text[text.index("{") :])["findings"]
            return tuple(finding for finding in findings if isinstance(finding, dict))
        except (ValueError, KeyError, TypeError):
            raise ConnectError(f"{self.host.target}: its doctor said {text[:200]!r}") from None

    def _run(self, *words: str, codes: tuple[int, ...] = (0,)) -> str:
        """Run a part of fleet-host.sh there and return what it printed."""
        scripts = share_folder("scripts")
        script = b"\n".join((scripts / name).read_bytes() for name in ("packages.sh", "fleet-host.sh"))
        argv = ssh.command(self.link, "bash", "-s", "--", *(shlex.quote(word) for word in words))
        ended = calls.run(argv, PATIENCE_S, given=script)
        if ended.code not in codes:
            raise ConnectError(f"{self.host.target}, {words[0]}: {ended.said}")
        return ended.out.decode(errors="replace")


def connector(
    host: Host,
    tell: Callable[[str], None],
    may: Callable[[str], bool],
    *,
    offline: bool = False,
    new_keys: bool = False,
) -> Connector:
    """Return what connects a host, by a key that may run commands there: not the ones of restricted keys.

    Raises:
        LaunchError: the folder of the connections' sockets is not ours alone.
    """
    whole = host.model_copy(update={"collect_identity": None, "send_identity": None, "restricted": False})
    link = ssh.link(whole, "send", ssh.runtime_folder(), new_keys=new_keys)
    return Connector(whole, link, tell, may, offline)


def add_dependencies(folder: Path, probe: Probe) -> None:
    """Put the wheels that ours needs beside it: as installed here, or fetched for the host's Python."""
    ours = f"{sys.version_info[0]}.{sys.version_info[1]}"
    machine = platform.machine()
    if (probe.python or ours, probe.machine) == (ours, machine):
        pack_dependencies(folder)
        return
    options = _platform_options(probe)
    wanted = [f"{one.name}=={one.version}" for one in dependencies()]
    argv = [*_pip(), "download", "--quiet", "--no-deps", "--only-binary=:all:", *options]
    ended = calls.run([*argv, "--dest", str(folder), *wanted], PATIENCE_S)
    if ended.code != 0:
        raise ConnectError(
            f"it has Python {probe.python} on {probe.machine}, we have {ours} on {machine}, and packages for "
            f"that cannot be fetched here ({ended.said}): connect it without --offline"
        )


def _pip() -> list[str]:
    """Return pip's own words: ours, else that of an interpreter here; what uv or pipx made has none.

    Raises:
        ConnectError: there is no pip.
    """
    if find_spec("pip") is not None:
        return [sys.executable, "-m", "pip"]
    base = Path(sys.base_prefix) / "bin" / "python3"
    for python in dict.fromkeys((str(base), "python3", "/usr/bin/python3")):
        if shutil.which(python) and calls.run([python, "-m", "pip", "--version"], PATIENCE_S).code == 0:
            return [python, "-m", "pip"]
    raise ConnectError(
        "no Python here has pip, which fetches packages: install it, or connect without --offline"
    )


def _platform_options(probe: Probe) -> list[str]:
    """Return what pip is told of a machine that it does not run on (PEP 600)."""
    kind, version = probe.libc or ("glibc", "2.17")
    minor = int(version.split(".")[1]) if version.count(".") else 17
    oldest = 17 if kind == "glibc" else 0
    name = "manylinux_2" if kind == "glibc" else "musllinux_1"
    options = [f"--python-version={probe.python}", "--implementation=cp"]
    return [*options, *(f"--platform={name}_{one}_{probe.machine}" for one in range(minor, oldest - 1, -1))]
