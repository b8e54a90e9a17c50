from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from agent.tools.listing import Listed, files_of, kind_of, text_of
from spool.refusal import Refusal

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "media"
    for name in ("b.png", "a.TXT", "sub/c.mp4", "sub/.hidden.txt", ".git/x.txt", "data.bin", "z.ogg"):
        (made / name).parent.mkdir(parents=True, exist_ok=True)
        (made / name).write_bytes(b"12345")
    (made / "link.txt").symlink_to("/etc/passwd")
    (made / "way").symlink_to("/etc")
    os.mkfifo(made / "fifo.txt")
    return made


def names(folder: Path, *kinds: str) -> list[str]:
    listed = files_of([folder], kinds or None)
    assert isinstance(listed, tuple)
    return [file.path.removeprefix(f"{folder}/") for file in listed]


def test_only_regular_files_in_order(folder: Path) -> None:
    """Hidden ones, links, and what only looks like a file are left out."""
    assert names(folder) == ["a.TXT", "b.png", "data.bin", "sub/c.mp4", "z.ogg"]
    assert names(folder, "text", "video") == ["a.TXT", "sub/c.mp4"]
    assert names(folder, "sentiment") == ["a.TXT", "b.png", "sub/c.mp4", "z.ogg"], "no kind that we know"
    assert names(folder / "a.TXT") == [str(folder / "a.TXT")]


def test_nothing_to_list(folder: Path, tmp_path: Path) -> None:
    refused = files_of([folder / "sub"], ["image", "audio"])
    assert isinstance(refused, Refusal)
    assert refused.what == f"there are no audio or image files in {folder}/sub"
    (tmp_path / "empty").mkdir()
    assert isinstance(files_of([tmp_path / "empty"], None), Refusal)


def test_how_a_prompt_shows_them() -> None:
    files = [Listed("/a/b c(1).png", 5, "image"), Listed("/a/\n- x", 6, "text")]
    assert text_of(files, "", kinds=True) == '- /a/b c(1).png (image, 5 bytes)\n- "/a/\\n- x" (text, 6 bytes)'
    marked = text_of(files, "@", kinds=False)
    assert marked == '- @/a/b\\ c\\(1\\).png (5 bytes)\n- "/a/\\n- x" (6 bytes)'


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        *(("a.md", "text"), ("a.pdf", "text"), ("a.JSON", "text"), ("a.py", "text"), ("a.jpeg", "image")),
        *(
            ("a.webp", "image"),
            ("a.mov", "video"),
            ("a.mkv", "video"),
            ("a.mp3", "audio"),
            ("a.zip", "other"),
        ),
        ("README", "other"),
    ],
)
def test_kinds(path: str, kind: str) -> None:
    assert kind_of(path) == kind
