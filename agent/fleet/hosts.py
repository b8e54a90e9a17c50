"""The hosts of a fleet: configs/hosts.toml, and the plain configs/hosts.txt with one user@host[:port] a line.

Names, ports, keys, jump hosts and the rest MAY stand in ~/.ssh/config instead: an address is handed to ssh as
it is written, so a `Host` entry of that name applies.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any, Final

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    StrictInt,
    StrictStr,
    ValidationError,
)

from agent.config import ConfigError, config_error, read_toml
from agent.fleet.layout import ANY, Fleet
from agent.quantities import Count, Name, Slots  # noqa: TC001 - pydantic reads them
from spool.files import put, read_regular
from spool.names import is_task_id

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from spool.workspace import Workspace

TOML: Final = "hosts.toml"
TXT: Final = "hosts.txt"
MAX_TXT_BYTES: Final = 1 << 20

_ADDRESS: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:%-]{0,252}")
_USER: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")
_LINE: Final = re.compile(r"(?:(?P<user>[^@:\s]+)@)?(?P<address>[^@:\s]+)(?::(?P<port>[0-9]{1,5}))?")
_FOLDER: Final = re.compile(r"(?:~/)?[A-Za-z0-9_/][A-Za-z0-9_./-]*")


def _check_host_name(text: str) -> str:
    if text == ANY:
        raise ValueError("'any' is where the collector chooses the host: call it otherwise")
    return text


def _check_address(text: str) -> str:
    if not _ADDRESS.fullmatch(text):
        raise ValueError(
            f"{text[:100]!r} is not a host name or an address: write it like gpu-box.example.org"
        )
    return text


def _check_user(text: str) -> str:
    if not _USER.fullmatch(text):
        raise ValueError(f"{text[:100]!r} is not a user's name")
    return text


def _check_jump(text: str) -> str:
    if not all(_LINE.fullmatch(hop) and not hop.startswith("-") for hop in text.split(",")):
        raise ValueError(f"{text[:100]!r} is not user@host[:port], or several with commas between")
    return text


def _check_folder(text: str) -> str:
    if not _FOLDER.fullmatch(text) or ".." in text.split("/"):
        raise ValueError(f"{text[:100]!r} must be made of letters, digits and . _ / - , without ..")
    return text.removeprefix("~/").rstrip("/") or "/"


Port = Annotated[StrictInt, Field(ge=1, le=65535)]


class Host(BaseModel):
    """One host.

    Args:
        name: of its folder fleet/NAME.
        address: what ssh is told: a name of ~/.ssh/config, of DNS, or an address.
        jump: ssh_config(5) ProxyJump.
        identity: the key's file, instead of what ssh would use.
        collect_identity: a key for collecting only, see `restricted`.
        send_identity: a key for sending only.
        labels: words by which tasks are routed.
        slots: of its agent, as long as the agent itself has not said.
        tools: that it can run, as long as its agent has not said; null: unknown.
        workspace: its folder there, below the home folder unless it begins with /.
        restricted: its keys are for rrsync alone: paths begin in the folder that rrsync serves.
        bandwidth_kib_s: of each transfer.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    name: Annotated[Name, AfterValidator(_check_host_name)]
    address: Annotated[StrictStr, AfterValidator(_check_address)]
    user: Annotated[StrictStr, AfterValidator(_check_user)] | None = None
    port: Port | None = None
    jump: Annotated[StrictStr, AfterValidator(_check_jump)] | None = None
    identity: StrictStr | None = None
    collect_identity: StrictStr | None = None
    send_identity: StrictStr | None = None
    labels: tuple[Name, ...] = ()
    slots: Slots | None = None
    tools: tuple[Name, ...] | None = None
    workspace: Annotated[StrictStr, AfterValidator(_check_folder)] = "ai-workspace"
    restricted: StrictBool = False
    bandwidth_kib_s: Count | None = None

    @property
    def target(self) -> str:
        """Return user@host[:port], for people."""
        user = f"{self.user}@" if self.user else ""
        port = f":{self.port}" if self.port else ""
        return f"{user}{self.address}{port}"


def load(workspace: Workspace) -> dict[str, Host]:
    """Return the hosts by name, those of hosts.toml first.

    Raises:
        ConfigError: a file cannot be used, or a name stands for two hosts.
    """
    hosts: dict[str, Host] = {}
    for file, host in (*_of_toml(workspace.configs / TOML), *_of_txt(workspace.configs / TXT)):
        if host.name in hosts:
            remedy = f"give each of the two a name of its own in {TOML}"
            raise ConfigError(file, f"two hosts are called {host.name}", remedy)
        hosts[host.name] = host
    return hosts


def parse_target(text: str, **more: Any) -> Host:
    """Return the host of one user@host[:port]; its name is the address, with the port if there is one.

    Raises:
        ValueError: it is something else; the message is for people.
    """
    match = _LINE.fullmatch(text)
    if match is None:
        raise ValueError(f"{text[:100]!r} is not user@host[:port]")
    port = int(match["port"]) if match["port"] else None
    name = match["address"] if port is None else f"{match['address']}-{port}"
    fields = {"name": name, "address": match["address"], "user": match["user"], "port": port, **more}
    try:
        return Host.model_validate(fields)
    except ValidationError as error:
        finding = error.errors(include_url=False)[0]
        raise ValueError(f"{text[:100]!r}: {finding['msg'].removeprefix('Value error, ')}") from None


def add(workspace: Workspace, host: Host) -> None:
    """Add a host at the end of hosts.toml, and make the folders into which people drop.

    Raises:
        ConfigError: there is one of this name, or the files cannot be used.
        OSError: nothing was changed.
    """
    file = workspace.configs / TOML
    if host.name in load(workspace):
        raise ConfigError(
            file, f"there is a host {host.name} already", f"`aispool fleet remove {host.name}` first"
        )
    try:
        before = read_regular(file).decode()
    except FileNotFoundError:
        before = ""
    for name in (ANY, host.name):
        Fleet(workspace).mirror(name).make()
    put(file, (before.rstrip("\n") + "\n\n" if before.strip() else "").encode() + _block(host).encode())


def remove(workspace: Workspace, name: str) -> bool:
    """Take a host out of the file in which it stands; comments and the other hosts stay as they are.

    Raises:
        ConfigError: the file cannot be used, or not be edited safely.
        OSError: nothing was changed.
    """
    before = load(workspace)
    if name not in before:
        return False
    toml, txt = workspace.configs / TOML, workspace.configs / TXT
    in_toml = any(host.name == name for _, host in _of_toml(toml))
    file = toml if in_toml else txt
    old = read_regular(file)
    put(file, (_without_block if in_toml else _without_line)(old.decode(), name).encode())
    try:
        after = load(workspace)
    except ConfigError:
        after = {}
    if after != {other: host for other, host in before.items() if other != name}:
        put(file, old)
        raise ConfigError(file, f"{name} cannot be taken out safely", "edit the file by hand")
    return True


def _of_toml(file: Path) -> Iterator[tuple[Path, Host]]:
    tables = read_toml(file)
    listed = tables.pop("hosts", [])
    if tables:
        raise ConfigError(
            file, f"there is no option {next(iter(tables))[:100]!r}", "write [[hosts]] tables only"
        )
    if not isinstance(listed, list):
        raise ConfigError(file, "hosts is not a list of tables", "begin each host with [[hosts]]")
    for number, fields in enumerate(listed, 1):
        try:
            yield file, Host.model_validate(fields)
        except ValidationError as error:
            raise config_error(file, error, tuple(Host.model_fields), ("hosts", str(number))) from None


def _of_txt(file: Path) -> Iterator[tuple[Path, Host]]:
    try:
        text = read_regular(file, MAX_TXT_BYTES).decode()
    except FileNotFoundError:
        return
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(file, f"cannot be read ({error})", "put a plain text file there") from None
    for number, line in enumerate(text.splitlines(), 1):
        if target := _target_of(line):
            try:
                yield file, parse_target(target)
            except ValueError as error:
                raise ConfigError(file, str(error), "mend the line", place=f"line {number}") from None


def _target_of(line: str) -> str | None:
    """Return a line's first word; the rest of it is a comment, as for auto-reconnect.sh."""
    words = line.split(maxsplit=1)
    return words[0] if words and not words[0].startswith("#") else None


def _block(host: Host) -> str:
    lines = ["[[hosts]]"]
    for field, value in host.model_dump(exclude_defaults=True).items():
        lines.append(f"{field} = {_toml(value)}")
    return "\n".join(lines) + "\n"


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (tuple, list)):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    if isinstance(value, int):
        return str(value)
    text = str(value)
    if not text.isprintable():
        raise ValueError(f"{text!r} holds a control character")
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _without_block(text: str, name: str) -> str:
    """Return a hosts.toml without one [[hosts]] table; the comments after it belong to the next."""
    kept: list[str] = []
    block: list[str] = []
    for line in [*text.splitlines(keepends=True), "[[hosts]]\n"]:
        if line.strip().startswith("[["):
            kept += _comments_at_end(block) if _names(block, name) else block
            block = []
        block.append(line)
    return "".join(kept)


def _comments_at_end(block: list[str]) -> list[str]:
    first = len(block)
    while first > 0 and (not block[first - 1].strip() or block[first - 1].lstrip().startswith("#")):
        first -= 1
    return block[first:]


def _names(block: list[str], name: str) -> bool:
    pattern = re.compile(rf"""\s*name\s*=\s*["']{re.escape(name)}["']\s*(#.*)?""")
    return any(pattern.fullmatch(line.rstrip("\n")) for line in block)


def _without_line(text: str, name: str) -> str:
    kept = []
    for line in text.splitlines(keepends=True):
        target = _target_of(line)
        if target is None or not is_task_id(name) or parse_target(target).name != name:
            kept.append(line)
    return "".join(kept)
