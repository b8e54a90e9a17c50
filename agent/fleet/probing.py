"""What a host is found to be, and what is to be done to connect it: pure, it talks to nobody."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from spool.workspace import PROTOCOL_VERSION

if TYPE_CHECKING:
    from collections.abc import Iterator

NEEDED_KIB: Final = 200 << 10
"""Of free disk, for the environment."""
_LINE: Final = re.compile(r"([a-z_]{1,20}) ([\x20-\x7e]{0,300})")
_PACKAGE: Final = re.compile(r"[a-z0-9][a-z0-9.+-]{0,60}")
_PYTHON: Final = re.compile(r"(\d+\.\d+)(?: (\S+) (\S+))?\s*")


class ConnectError(Exception):
    """The host cannot be connected as it is; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Probe:
    """A host, as `fleet-host.sh probe` found it.

    Args:
        machine: as uname(1) says: x86_64, aarch64 …
        python: minor version of the interpreter that is used, such as `3.11`; None: there is none.
        libc: its C library and that one's version, where Python knows.
        missing: Debian packages.
        venv: name of the environment in use, when `connect` made it.
        aispool: what its `aispool --version` says.
        protocol: of its workspace; None: there is no workspace.
    """

    system: str
    machine: str
    is_root: bool
    free_kib: int
    python: str | None = None
    libc: tuple[str, str] | None = None
    missing: tuple[str, ...] = ()
    apt: bool = False
    sudo: bool = False
    systemd: bool = False
    venv: str | None = None
    aispool: str | None = None
    protocol: int | None = None


def read_probe(text: str) -> Probe:
    """Read what the probe printed; other lines, such as a greeting of the host's shell, are passed over.

    Raises:
        ConnectError: it did not say what it must.
    """
    found = list(_lines(text))
    said = dict(found)
    try:
        python = _PYTHON.fullmatch(said.get("python", ""))
        return Probe(
            system=said["system"],
            machine=said["machine"],
            is_root=int(said["uid"]) == 0,
            free_kib=int(said["free_kib"]),
            python=python[1] if python else None,
            libc=(python[2], python[3]) if python and python[2] else None,
            missing=tuple(value for name, value in found if name == "missing" and _PACKAGE.fullmatch(value)),
            apt="apt" in said,
            sudo="sudo" in said,
            systemd="systemd" in said,
            venv=said.get("venv"),
            aispool=said.get("aispool"),
            protocol=int(said["protocol"]) if said.get("protocol") else None,
        )
    except (KeyError, ValueError) as error:
        raise ConnectError(
            f"the host's shell did not say what it is ({error}): it needs bash and coreutils"
        ) from None


def _lines(text: str) -> Iterator[tuple[str, str]]:
    for line in text.splitlines():
        if match := _LINE.fullmatch(line):
            yield match[1], match[2]


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do on a host.

    Args:
        words: for fleet-host.sh.
        doing: for people.
        question: what a person must agree to before; None: nothing to agree to.
    """

    kind: Literal["packages", "install", "serve"]
    words: tuple[str, ...]
    doing: str
    question: str | None = None


def plan(probe: Probe, *, target: str, workspace: str, venv: str, wheel: str, offline: bool) -> list[Step]:
    """Return what is to be done, in order; what is there already is not done again.

    Args:
        probe: the host.
        target: user@host[:port], for messages.
        workspace: its folder there.
        venv: the name of the environment that this version of aispool has.
        wheel: the file's name.
        offline: the host reaches no package index.

    Raises:
        ConnectError: it cannot be connected.
    """
    if probe.system != "Linux":
        raise ConnectError(f"{target} runs {probe.system}: only Linux hosts can be connected")
    if probe.protocol is not None and probe.protocol > PROTOCOL_VERSION:
        raise ConnectError(
            f"{target} has a workspace of protocol {probe.protocol}, this aispool knows {PROTOCOL_VERSION}: "
            "upgrade aispool here first"
        )
    steps = []
    if probe.missing:
        steps.append(_packages(probe, target))
    if probe.venv != venv:
        if probe.free_kib < NEEDED_KIB:
            raise ConnectError(
                f"{target} has {probe.free_kib >> 10} MiB of free disk, {NEEDED_KIB >> 10} are needed: "
                "free some"
            )
        words = ("install", venv, wheel, *(["--offline"] if offline else []))
        doing = f"installing {venv}" + (f" beside {probe.venv}" if probe.venv else "")
        steps.append(Step("install", words, doing))
    steps.append(Step("serve", ("serve", workspace, venv), "bringing workspace, units and agent up to date"))
    return steps


def _packages(probe: Probe, target: str) -> Step:
    names = " ".join(probe.missing)
    if not probe.apt:
        raise ConnectError(f"{target} lacks {names} (Debian's names): install them there, then connect again")
    if not (probe.is_root or probe.sudo):
        raise ConnectError(
            f"{target} lacks {names}, and sudo there asks for a password: "
            f"ssh -t {target} sudo apt-get install {names}, then connect again"
        )
    how = "" if probe.is_root else " with sudo"
    return Step(
        "packages",
        ("packages", *probe.missing),
        f"installing {names}{how}",
        f"{target} lacks {names}. Install them there with apt-get{how}?",
    )
