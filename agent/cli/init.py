"""`aispool init`: make a workspace, and bring what ships with this version into it.

What a person changed stays as it is. A file is known to be unchanged by the digest that `.shipped.json`
beside it keeps from the last time; without one, only a file equal to ours counts as unchanged.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import click

from agent.cli.command import command
from agent.cli.place import Place, json_option, pass_place, print_json

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from spool.workspace import Workspace

MANIFEST: Final = ".shipped.json"
NOT_FOR_WORKSPACES: Final = frozenset({"fleet-host.sh", "packages.sh"})
"""Scripts that only make sense in a checkout, or are sent to a host."""


@dataclass(slots=True)
class Changes:
    """What init did, by file."""

    added: list[str] = field(default_factory=list)
    upgraded: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)


@command("init")
@click.option("--force-scripts", is_flag=True, help="Replace scripts, also edited ones.")
@json_option
@pass_place
def init_command(place: Place, *, force_scripts: bool, as_json: bool) -> None:
    """Make a workspace, or bring its scripts up to date.

    Doing it twice changes nothing. Scripts and samples that you edited are left alone and named.

    Examples:
      aispool init
      aispool --workspace /data/ai init
      aispool init --force-scripts          your edits of scripts/ are lost
    """
    from agent.inspect.documents import document  # noqa: PLC0415 - `--help` needs none of it
    from spool.workspace import create  # noqa: PLC0415

    is_new = not (place.root / "VERSION").exists()
    workspace = create(place.root)
    changes = Changes()
    _install(workspace.scripts, dict(_scripts()), changes, mode=0o700, force=force_scripts)
    _install(workspace.configs, dict(_samples()), changes, mode=0o600)
    if as_json:
        print_json(
            document(
                workspace, created=is_new, added=changes.added, upgraded=changes.upgraded, kept=changes.kept
            )
        )
        return
    _tell(workspace, changes, is_new=is_new)


def _scripts() -> Iterator[tuple[str, bytes]]:
    from agent.share import share_folder  # noqa: PLC0415

    folder = share_folder("scripts")
    for path in sorted(folder.iterdir()):
        wanted = path.suffix in {".sh", ".py"} or path.name == "tmux.conf"
        if wanted and path.is_file() and path.name not in NOT_FOR_WORKSPACES:
            yield path.name, path.read_bytes()


def _samples() -> Iterator[tuple[str, bytes]]:
    from agent.share import share_folder  # noqa: PLC0415

    configs = share_folder("configs")
    for path in sorted(configs.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            yield path.relative_to(configs).as_posix(), path.read_bytes()
    yield "tmux.conf", (share_folder("scripts") / "tmux.conf").read_bytes()


def _install(
    folder: Path, files: dict[str, bytes], changes: Changes, *, mode: int, force: bool = False
) -> None:
    from spool.files import make_folder, put  # noqa: PLC0415

    shipped = _read_manifest(folder / MANIFEST)
    for name, content in files.items():
        target = folder / name
        make_folder(target.parent)
        if _is(target, content):
            shipped[name] = _digest(content)
            continue
        exists = target.exists() or target.is_symlink()
        if exists and not force and _digest_of(target) != shipped.get(name):
            changes.kept.append(f"{folder.name}/{name}")
            continue
        put(target, content)
        target.chmod(mode if name != "tmux.conf" else 0o600)
        shipped[name] = _digest(content)
        (changes.upgraded if exists else changes.added).append(f"{folder.name}/{name}")
    put(folder / MANIFEST, (json.dumps(shipped, indent=2, sort_keys=True) + "\n").encode())


def _read_manifest(file: Path) -> dict[str, Any]:
    try:
        shipped = json.loads(file.read_bytes())
    except (FileNotFoundError, ValueError):
        return {}  # then whatever differs from ours counts as edited
    return shipped if isinstance(shipped, dict) else {}


def _is(target: Path, content: bytes) -> bool:
    return target.is_file() and target.read_bytes() == content


def _digest_of(target: Path) -> str | None:
    return _digest(target.read_bytes()) if target.is_file() and not target.is_symlink() else None


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _tell(workspace: Workspace, changes: Changes, *, is_new: bool) -> None:
    from agent.sanitize import one_line  # noqa: PLC0415

    root = one_line(workspace.root)
    click.echo(f"{'made' if is_new else 'up to date'}: {root}")
    if not is_new and changes.added:
        click.echo(f"added: {', '.join(changes.added)}")
    if changes.upgraded:
        click.echo(f"upgraded: {', '.join(changes.upgraded)}")
    if changes.kept:
        click.echo(f"left as you edited them: {', '.join(changes.kept)}")
        if any(name.startswith("scripts/") for name in changes.kept):
            click.echo("  (--force-scripts replaces the scripts)")
    if is_new:
        click.echo(
            "\nNext:\n"
            "  aispool doctor                                       check this machine\n"
            "  aispool agent                                        run the agent (systemd/ has a unit)\n"
            "  aispool submit --tool shell --command date --wait     give it something to do\n"
            f"  cp task.json {root}/tasks/    works just as well"
        )
