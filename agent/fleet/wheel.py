"""This very installation as wheels, to install it on a host that may have no way to a package index.

A wheel is a zip file of what its distribution's RECORD lists (PEP 427), so an installed distribution can be
packed again, without its sources and without a build tool. From a checkout our own files are packed as its
build would. What is packed twice from the same files has the same bytes.
"""

from __future__ import annotations

import base64
import hashlib
import re
import stat
import zipfile
from dataclasses import dataclass
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import TYPE_CHECKING, Final

from agent.share import share_folder

if TYPE_CHECKING:
    from collections.abc import Iterator

OURS: Final = "aispool"
_SHIPPED: Final = ("scripts", "systemd")
_NOT_PACKED: Final = frozenset({"RECORD", "INSTALLER", "REQUESTED", "direct_url.json", "uv_cache.json"})
_EPOCH: Final = (1980, 1, 1, 0, 0, 0)
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True, slots=True)
class Wheel:
    """A wheel file; `digest` is of what it holds."""

    path: Path
    digest: str


def pack_own(folder: Path) -> Wheel:
    """Pack this installation of aispool into a folder.

    Raises:
        PackageNotFoundError: it is not installed, only imported.
        OSError: a file of it is missing, or the folder cannot be written.
    """
    return _pack(distribution(OURS), folder)


def pack_dependencies(folder: Path) -> list[Wheel]:
    """Pack what this installation of aispool needs, as it is installed here.

    It fits hosts with the same minor version of Python and the same kind of machine.
    """
    return [_pack(one, folder) for one in dependencies()]


def dependencies() -> list[Distribution]:
    """Return the installed distributions that aispool needs, and those that they need, by name.

    A requirement that is not installed is one for another platform, or an extra that nobody chose.
    """
    found: dict[str, Distribution] = {}
    open_names = [OURS]
    while open_names:
        try:
            one = distribution(open_names.pop())
        except PackageNotFoundError:
            continue
        key = _normal(one.name)
        if key in found:
            continue
        found[key] = one
        for requirement in one.requires or ():
            name = _NAME.match(requirement)
            if name and "extra ==" not in requirement:
                open_names.append(name.group())
    return [found[key] for key in sorted(found) if key != OURS]


def _pack(one: Distribution, folder: Path) -> Wheel:
    information = f"{_normal(one.name).replace('-', '_')}-{one.version}"
    tags = _tags(one)
    path = folder / f"{information}-{tags}.whl"
    lines = []
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content, executable in sorted(_contents(one)):
            _write(archive, name, content, executable=executable)
            digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
            lines.append(f"{name},sha256={digest},{len(content)}\n")
        record = "".join(lines)
        _write(archive, f"{_information(one)}/RECORD", f"{record}{_information(one)}/RECORD,,\n".encode())
    return Wheel(path, hashlib.sha256(record.encode()).hexdigest())


def _write(archive: zipfile.ZipFile, name: str, content: bytes, *, executable: bool = False) -> None:
    entry = zipfile.ZipInfo(name, _EPOCH)
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.external_attr = (stat.S_IFREG | (0o755 if executable else 0o644)) << 16
    archive.writestr(entry, content)


def _contents(one: Distribution) -> Iterator[tuple[str, bytes, bool]]:
    """Yield the name in the wheel, the content, and whether it is executable."""
    from_checkout = _normal(one.name) == OURS and not _is_copied(one)
    if from_checkout:
        yield from _own_sources()
    for listed in one.files or ():
        name = listed.as_posix()
        if not _is_packed(name) or (from_checkout and ".dist-info/" not in name):
            continue
        path = Path(str(one.locate_file(listed)))
        content = path.read_bytes()
        if name.endswith(".dist-info/WHEEL") and _normal(one.name) == OURS:
            content = b"Wheel-Version: 1.0\nGenerator: aispool\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        yield name, content, bool(path.stat().st_mode & stat.S_IXUSR)


def _is_packed(name: str) -> bool:
    """Tell whether a listed file belongs into the wheel: pip makes the rest when it installs."""
    folder, _, last = name.rpartition("/")
    if name.startswith(("..", "/")) or folder.endswith("__pycache__"):
        return False  # scripts of entry points, and compiled files
    if not folder:
        return not last.endswith(".pth")  # of an editable installation
    return not (folder.endswith(".dist-info") and last in _NOT_PACKED)


def _is_copied(one: Distribution) -> bool:
    """Tell whether our files were copied where they are imported from; else they lie in a checkout."""
    return any(listed.as_posix() == "agent/__init__.py" for listed in one.files or ())


def _own_sources() -> Iterator[tuple[str, bytes, bool]]:
    top = share_folder("scripts").parent
    folders = {top / name: name for name in ("agent", "spool")}
    folders |= {share_folder(name): f"agent/share/{name}" for name in _SHIPPED}
    for folder, name in folders.items():
        for path in sorted(folder.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                inside = f"{name}/{path.relative_to(folder).as_posix()}"
                yield inside, path.read_bytes(), bool(path.stat().st_mode & stat.S_IXUSR)


def _information(one: Distribution) -> str:
    """Return the name of its .dist-info folder."""
    for listed in one.files or ():
        if listed.parts[0].endswith(".dist-info"):
            return listed.parts[0]
    raise PackageNotFoundError(one.name)


def _tags(one: Distribution) -> str:
    """Return the tags of the wheel's name: `py3-none-any`, or those of a compiled one (PEP 425)."""
    if _normal(one.name) == OURS:
        return "py3-none-any"
    tags = re.findall(r"^Tag: *(\S+)-(\S+)-(\S+)$", one.read_text("WHEEL") or "", re.MULTILINE)
    parts = [".".join(dict.fromkeys(column)) for column in zip(*tags, strict=True)]
    return "-".join(parts) if parts else "py3-none-any"


def _normal(name: str) -> str:
    """Return a distribution's name as PEP 503 compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()
