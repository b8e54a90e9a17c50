"""The files of a folder as a prompt lists them: regular files in the order of their paths, with their sizes.

Hidden files and folders are left out, and links are not followed: one could lead anywhere.
"""

from __future__ import annotations

import json
import mimetypes
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from spool.refusal import Refusal

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

KINDS = frozenset({"text", "image", "video", "audio"})
MOST_FILES = 10_000

_TYPES = mimetypes.MimeTypes(filenames=())
for _suffix, _type in {
    **dict.fromkeys(
        (".md", ".rst", ".log", ".yaml", ".yml", ".toml", ".ini", ".tex", ".srt", ".vtt"), "text/plain"
    ),
    **dict.fromkeys((".json", ".jsonl", ".xml", ".pdf", ".rtf", ".doc", ".docx", ".odt"), "text/document"),
    **dict.fromkeys((".webp", ".avif", ".heic", ".heif", ".svg"), "image/other"),
    **dict.fromkeys((".mkv", ".webm", ".m4v", ".flv", ".wmv", ".ogv", ".3gp", ".mts"), "video/other"),
    **dict.fromkeys((".flac", ".ogg", ".opus", ".m4a", ".aac", ".wma"), "audio/other"),
}.items():
    _TYPES.add_type(_type, _suffix)

# what gemini and its descendants take for the end of a path after their mark
_ESCAPED = re.compile(r"[ \t()\[\]{};|*?$`'\"#&<>!~]")


@dataclass(frozen=True, slots=True)
class Listed:
    """One file.

    Args:
        kind: text, image, video, audio, or other.
    """

    path: str
    size_bytes: int
    kind: str

    @classmethod
    def of(cls, path: str) -> Listed:
        """Return a file as it is now; one that is gone since it was planned is empty."""
        return cls(path, os.lstat(path).st_size if os.path.lexists(path) else 0, kind_of(path))


def kind_of(path: str) -> str:
    """Return what a file holds, by its suffix."""
    guessed, _ = _TYPES.guess_type(f"file{Path(path).suffix.lower()}")
    family = (guessed or "").partition("/")[0]
    return family if family in KINDS else "other"


def files_of(folders: Sequence[Path], kinds: Collection[str] | None) -> tuple[Listed, ...] | Refusal:
    """Return the files of some folders, sub-folders included; a path that is a file stands for itself.

    Args:
        folders: absolute.
        kinds: of these kinds alone; None for all, and where it names no kind that we know.
    """
    wanted = frozenset(kinds or ()) & KINDS
    if kinds is not None and not wanted:
        wanted = KINDS
    found: dict[str, Listed] = {}
    for folder in folders:
        for path in _regular(folder):
            kind = kind_of(path)
            if not wanted or kind in wanted:
                found[path] = Listed(path, os.lstat(path).st_size, kind)
            if len(found) > MOST_FILES:
                return Refusal(f"{folder} holds more than {MOST_FILES} files", "split it over several tasks")
    if not found:
        what = " or ".join(sorted(wanted)) or "regular"
        looked = ", ".join(str(folder) for folder in folders)
        return Refusal(f"there are no {what} files in {looked}", "put some there, or name another folder")
    return tuple(found[path] for path in sorted(found))


def _regular(folder: Path) -> Iterator[str]:
    if folder.is_file() and not folder.is_symlink():
        yield str(folder)
        return
    for parent, names, files in os.walk(folder):
        names[:] = sorted(name for name in names if not name.startswith("."))
        for name in sorted(files):
            path = os.path.join(parent, name)  # noqa: PTH118 - there may be many
            if not name.startswith(".") and os.path.isfile(path) and not os.path.islink(path):  # noqa: PTH113, PTH114
                yield path


def text_of(files: Iterable[Listed], mark: str, *, kinds: bool) -> str:
    """Return the list as a prompt shows it.

    Args:
        files: what is listed.
        mark: put before a path, so that the tool reads the file at once; blanks in the path are then escaped.
        kinds: say of which kind each one is.
    """
    return "\n".join(_line(file, mark, kinds=kinds) for file in files)


def _line(file: Listed, mark: str, *, kinds: bool) -> str:
    if not file.path.isprintable():
        path = json.dumps(file.path)
    elif mark:
        path = mark + _ESCAPED.sub(r"\\\g<0>", file.path)
    else:
        path = file.path
    kind = f"{file.kind}, " if kinds else ""
    return f"- {path} ({kind}{file.size_bytes} bytes)"
