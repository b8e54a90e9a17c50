"""Files that ship with the package: samples of the configuration, and in a wheel scripts/ and systemd/."""

from __future__ import annotations

from pathlib import Path

_HERE = Path(__file__).absolute().parent


def share_folder(name: str) -> Path:
    """Return the folder of shipped files: agent/share/NAME in a wheel, the top folder NAME in a checkout.

    Raises:
        FileNotFoundError: this installation is incomplete.
    """
    for folder in (_HERE / name, _HERE.parent.parent / name):
        if folder.is_dir():
            return folder
    raise FileNotFoundError(f"{_HERE / name} is missing: install aispool again")
