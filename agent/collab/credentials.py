"""Secrets: values that show themselves to nobody, and where a provider's keys are found.

In this order, the first place that has any: the environment, configs/env/collab.env, the definition's
`key_file`, the desktop's keyring. A place may hold several keys, which are used in turn. All files must be
ours alone (0600).
"""

from __future__ import annotations

import importlib
import os
import re
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn

from agent.wrapper.environment import EnvironmentFileError, read_env_file
from spool.files import NotRegularError, TooLargeError, make_folder, open_regular, put, read_descriptor

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from spool.workspace import Workspace

SERVICE: Final = "aispool"
ENV_FILE: Final = "collab.env"
MAX_BYTES: Final = 1 << 16
SHORTEST: Final = 8
"""A value that is shorter (`x`, `EMPTY`) is no secret, and would be found in any text."""
_SEPARATORS: Final = re.compile(r"[,\s]+")
_LOOKS_SECRET: Final = re.compile(
    r"\b(?:sk|pk|rk|key|ghp|gho|hf|gsk|xox[a-z])[-_][A-Za-z0-9_-]{12,}|\bAIza[A-Za-z0-9_-]{16,}"
    r"|\beyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_.-]{10,}|(?<=Bearer )[^\s\"']{8,}"
)
HIDDEN: Final = "***"


class CredentialError(Exception):
    """A place that should hold secrets cannot be used; the message holds none of them."""


class Secret:
    """A value that is in no repr, no traceback's message and no pickle; only `reveal` gives it away.

    Args:
        value: the secret.
        origin: where it came from, for people.
    """

    __slots__ = ("_value", "origin")

    def __init__(self, value: str, origin: str) -> None:
        self._value = value
        self.origin = origin

    def reveal(self) -> str:
        """Return the value, to be sent and nothing else."""
        return self._value

    def __repr__(self) -> str:
        return f"<secret from {self.origin}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not to be written anywhere")


def without(text: str, secrets: Iterable[Secret]) -> str:
    """Return a text without the secrets."""
    for secret in secrets:
        value = secret.reveal()
        if len(value) >= SHORTEST:
            text = text.replace(value, HIDDEN)
    return text


def hidden(text: str, secrets: Iterable[Secret] = ()) -> str:
    """Return a text without the secrets, and without what looks like one."""
    return _LOOKS_SECRET.sub(HIDDEN, without(text, secrets))


def env_file(workspace: Workspace) -> Path:
    """Return the file of KEY=VALUE lines for all providers; the tool `collab` has it in its environment."""
    return workspace.configs / "env" / ENV_FILE


def read_env(workspace: Workspace) -> dict[str, str]:
    """Return what that file sets; nothing when there is none.

    Raises:
        CredentialError: it is damaged, or others may read it.
    """
    file = env_file(workspace)
    if not os.path.lexists(file):
        return {}
    try:
        return read_env_file(file)
    except EnvironmentFileError as error:
        raise CredentialError(str(error)) from None


def find_keys(
    *,
    names: Iterable[str],
    environment: Mapping[str, str],
    filed: Mapping[str, str],
    key_file: Path | None = None,
    keyring_user: str | None = None,
) -> tuple[Secret, ...]:
    """Return a provider's keys from the first place that has any; empty when none has.

    Args:
        names: of the variables.
        environment: of this process.
        filed: what configs/env/collab.env sets.
        key_file: one key a line.
        keyring_user: under whose name the keyring is asked; None asks none.

    Raises:
        CredentialError: a place cannot be used.
    """
    for place, values in ((None, environment), (ENV_FILE, filed)):
        pairs = ((f"{name} in {place}" if place else name, values.get(name, "")) for name in names)
        if found := _distinct((value, origin) for origin, text in pairs for value in _split(text)):
            return found
    if key_file is not None:
        return _distinct((value, str(key_file)) for value in _split(_read_private(key_file)))
    stored = ask_keyring(keyring_user) if keyring_user else None
    return _distinct((value, "the keyring") for value in _split(stored or ""))


def _split(text: str) -> list[str]:
    lines = (line for line in text.splitlines() if not line.lstrip().startswith("#"))
    return [word for line in lines for word in _SEPARATORS.split(line) if word]


def _distinct(pairs: Iterable[tuple[str, str]]) -> tuple[Secret, ...]:
    origins: dict[str, str] = {}
    for value, origin in pairs:
        if not value.isascii() or not value.isprintable():
            raise CredentialError(f"the key in {origin} holds characters that no key has: write it again")
        origins.setdefault(value, origin)
    labels = list(origins.values())
    several = {label for label in labels if labels.count(label) > 1}
    return tuple(
        Secret(value, f"{origin} #{labels[:number].count(origin)}" if origin in several else origin)
        for number, (value, origin) in enumerate(origins.items(), 1)
    )


def _read_private(file: Path) -> str:
    """Read a file that must be ours alone.

    Raises:
        CredentialError: it is not, or cannot be read.
    """
    try:
        with open_regular(file) as descriptor:
            status = os.fstat(descriptor)
            if status.st_uid != os.geteuid():
                raise CredentialError(f"{file} belongs to another user: take one of your own")
            if status.st_mode & 0o077:
                mode = stat.S_IMODE(status.st_mode)
                raise CredentialError(
                    f"{file} holds secrets and others may use it (mode {mode:04o}): chmod 600 {file}"
                )
            return read_descriptor(descriptor, MAX_BYTES).decode()
    except FileNotFoundError:
        raise CredentialError(f"{file} is missing: write the key into it, and chmod 600 {file}") from None
    except (NotRegularError, TooLargeError) as error:
        raise CredentialError(f"{file}: {error}: put a small regular file there") from None
    except UnicodeDecodeError:
        raise CredentialError(f"{file} is not UTF-8: save it as text") from None


def keyring() -> Any | None:
    """Return the desktop's keyring; None when there is none that keeps anything.

    The package is optional. Without a desktop its back end is `fail`, and a `null` one keeps nothing and
    says so to nobody: both have a priority of 0 or less.
    """
    try:
        module = importlib.import_module("keyring")
        backend = module.get_keyring()
        useful = float(backend.priority) > 0
    except (ImportError, RuntimeError, AttributeError, ValueError, OSError):
        return None
    return module if useful else None


def ask_keyring(user: str) -> str | None:
    """Return what the keyring holds for a provider; None when it holds nothing, or there is none.

    Raises:
        CredentialError: it is locked, or broken.
    """
    ring = keyring()
    if ring is None:
        return None
    try:
        value = ring.get_password(SERVICE, user)
    except ring.errors.KeyringError as error:
        raise CredentialError(f"the keyring does not answer ({type(error).__name__}): unlock it") from None
    return str(value) if value else None


def store_in_keyring(user: str, value: str) -> None:
    """Keep a provider's key in the keyring.

    Raises:
        CredentialError: there is no keyring that keeps anything, or it refuses.
    """
    ring = keyring()
    if ring is None:
        raise CredentialError(
            "there is no keyring here that keeps anything (the package `keyring` is not installed, or no "
            "desktop is logged in): leave --keyring out, and the key is kept in a file for you alone"
        )
    try:
        ring.set_password(SERVICE, user, value)
    except ring.errors.KeyringError as error:
        raise CredentialError(f"the keyring refuses ({type(error).__name__}): unlock it") from None


def store_key(workspace: Workspace, name: str, value: str) -> Path:
    """Write a key as NAME=VALUE into configs/env/collab.env (0600); what else stands there stays.

    Raises:
        CredentialError: the file is not ours alone.
        OSError: it cannot be written.
    """
    file = env_file(workspace)
    make_folder(file.parent)
    read_env(workspace)
    before = _read_private(file).splitlines() if os.path.lexists(file) else []
    assigned = re.compile(rf"\s*(?:export\s+)?{re.escape(name)}\s*=")
    kept = [line for line in before if not assigned.match(line)]
    put(file, "".join(f"{line}\n" for line in [*kept, f"{name}={value}"]).encode())
    return file


def expanded(path: str | None) -> Path | None:
    """Return the path of a file with `~` resolved."""
    return Path(path).expanduser() if path else None
