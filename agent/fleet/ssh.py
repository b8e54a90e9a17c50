"""How a host is spoken to: OpenSSH's own client with its own configuration, and one multiplexed connection.

The connection's master is started by `calls.connect` and found by its socket, whose name we choose: a stale
one hangs past ConnectTimeout, so whoever suspects it ends every ssh process that names the socket.
A key that may only collect and one that may only send are two connections, for a master keeps the rights
of the key that opened it.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from agent.launchers.place import private_folder, short_hash

if TYPE_CHECKING:
    from agent.fleet.hosts import Host

CONFIG_ENVIRONMENT: Final = "AISPOOL_SSH_CONFIG"
"""Names another ssh_config(5) than ~/.ssh/config, here and in scripts/workspace.sh."""
CONNECT_TIMEOUT_S: Final = 15
PERSIST_S: Final = 900
"""How long a master waits for another use before it ends by itself."""

Purpose = Literal["collect", "send"]


@dataclass(frozen=True, slots=True)
class Link:
    """A host, as it is reached for one purpose.

    Args:
        socket: of the multiplexed connection; its folder is ours alone.
        new_keys: take the key of a host that was never seen before (ssh_config(5), accept-new).
    """

    host: Host
    purpose: Purpose
    socket: Path
    new_keys: bool = False

    @property
    def key(self) -> str | None:
        """The key's file that the configuration names for this purpose."""
        own = self.host.collect_identity if self.purpose == "collect" else self.host.send_identity
        return own or self.host.identity

    @property
    def base(self) -> str:
        """The workspace's folder as a prefix of paths in rsync's arguments; rrsync serves that folder."""
        return "" if self.host.restricted else f"{self.host.workspace.rstrip('/')}/"

    @property
    def inbox(self) -> str:
        """The inbox's folder, likewise: the sending key's rrsync serves the inbox itself."""
        return "" if self.host.restricted else f"{self.base}inbox/"

    @property
    def remote(self) -> str:
        """The host as rsync's arguments name it; the user and the port are options of ssh."""
        return f"[{self.host.address}]" if ":" in self.host.address else self.host.address


def link(host: Host, purpose: Purpose, folder: Path, *, new_keys: bool = False) -> Link:
    """Return how the host is reached.

    Args:
        host: whom.
        purpose: the sending and the collecting key share a connection when they are one key.
        folder: `runtime_folder()`.
        new_keys: take unknown host keys.
    """
    key = host.collect_identity if purpose == "collect" else host.send_identity
    told = (host.model_dump_json(), key, os.environ.get(CONFIG_ENVIRONMENT), new_keys)
    return Link(host, purpose, folder / short_hash(repr(told), 20), new_keys)


def runtime_folder() -> Path:
    """Return the private folder of the connections' sockets; its path is short enough for them.

    Raises:
        LaunchError: the folder is not ours alone.
    """
    given = os.environ.get("XDG_RUNTIME_DIR", "")
    fits = given.startswith("/") and len(os.fsencode(given)) < 60 and os.access(given, os.W_OK)  # noqa: PLR2004
    folder = Path(given, "aispool-ssh") if fits else Path(f"/tmp/aispool-ssh-{os.getuid()}")  # noqa: S108 - checked
    private_folder(folder)
    return folder


def options(link: Link) -> list[str]:
    """Return ssh's options for a host: it never asks, never hangs for ever, never takes a changed key."""
    host = link.host
    settings = {
        "BatchMode": "yes",
        "ConnectTimeout": CONNECT_TIMEOUT_S,
        "ServerAliveInterval": 15,
        "ServerAliveCountMax": 3,
        "StrictHostKeyChecking": "accept-new" if link.new_keys else "yes",
        "ControlPath": link.socket,
        "ForwardAgent": "no",
        "ForwardX11": "no",
        "ClearAllForwardings": "yes",
    }
    config = os.environ.get(CONFIG_ENVIRONMENT)
    words = ["-F", config] if config else []
    for name, value in settings.items():
        words += ["-o", f"{name}={value}"]
    if link.key is not None:
        words += ["-i", str(Path(link.key).expanduser()), "-o", "IdentitiesOnly=yes"]
    if host.jump is not None:
        words += ["-J", host.jump]
    if host.user is not None:
        words += ["-l", host.user]
    if host.port is not None:
        words += ["-p", str(host.port)]
    return words


def command(link: Link, *remote: str, terminal: bool = False) -> list[str]:
    """Return the argv that runs a command on the host, over the connection that is open or a new one.

    Args:
        link: how.
        remote: words for the remote shell: the caller quotes what needs quoting.
        terminal: give the command a terminal.
    """
    words = ["ssh", *options(link), "-o", "ControlMaster=no"]
    return [*words, "-t" if terminal else "-T", "--", link.host.address, *remote]


def master(link: Link, log: Path) -> list[str]:
    """Return the argv that opens the connection and leaves it in the background.

    Args:
        link: how.
        log: where it says why it failed; standard error would stay open as long as the master lives.
    """
    words = ["ssh", *options(link), "-o", "ControlMaster=yes", "-o", f"ControlPersist={PERSIST_S}"]
    return [*words, "-E", str(log), "-f", "-N", "-T", "--", link.host.address]


def check(link: Link) -> list[str]:
    """Return the argv that asks whether the connection is open; it hangs when the master does."""
    return ["ssh", *options(link), "-O", "check", "--", link.host.address]


def remote_shell(link: Link) -> str:
    """Return rsync's `-e`: rsync splits it at blanks, outside of double quotes."""
    words = ["ssh", *options(link), "-o", "ControlMaster=no", "-T"]
    return " ".join(_quoted(word) for word in words)


def _quoted(word: str) -> str:
    # rsync(1), --rsh: a quote is doubled inside of quotes
    return '"' + word.replace('"', '""') + '"' if not word or set(word) & set(" \t\"'") else word
