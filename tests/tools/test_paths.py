from __future__ import annotations

import pwd
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from agent.config import AgentConfig
from agent.tools.paths import Places, find, locate, output_file, working_folder
from spool.refusal import Refusal

if TYPE_CHECKING:
    from spool.workspace import Workspace


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "secret").write_text("x")
    return folder


@pytest.fixture
def places(workspace: Workspace, home: Path) -> Places:
    files = workspace.sessions / "t" / "files"
    files.mkdir(parents=True)
    cwd = home / "work"
    cwd.mkdir()
    config = AgentConfig(allowed_paths=(str(home), str(workspace.root)))
    places = Places.of(workspace, config, files)
    return Places(places.workspace, places.allowed, places.files, cwd)


def test_relative_paths_resolve_in_files_then_cwd_then_workspace(places: Places) -> None:
    assert places.files
    assert places.cwd
    for folder in (places.workspace, places.cwd, places.files):
        (folder / "in.txt").touch()
        assert find("in.txt", "f", places) == folder / "in.txt"


def test_home_is_expanded_and_nothing_else(places: Places, home: Path) -> None:
    (home / "doc").touch()
    assert find("~/doc", "f", places) == home / "doc"
    assert find("~", "f", places) == home
    other = pwd.getpwuid(0).pw_name
    refusal = find(f"~{other}/x", "parameters.path", places)
    assert isinstance(refusal, Refusal)
    assert "another user's home" in refusal.what
    missing = find("$HOME/doc", "parameters.path", places)
    assert isinstance(missing, Refusal)
    assert missing.what.startswith("input not found: $HOME/doc")


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd",
        "/etc/no-such-file",
        "../../../../../../../../etc/passwd",
        "~/../outside/secret",
        "/",
        "/proc/self/environ",
    ],
)
def test_a_path_outside_is_refused_whether_it_exists_or_not(places: Places, outside: Path, path: str) -> None:
    del outside
    refusal = locate(path, "parameters.path", places)
    assert isinstance(refusal, Refusal)
    assert "not in a folder that tasks may use" in refusal.what
    assert "allowed_paths" in refusal.remedy
    assert refusal.field == "parameters.path"


def test_a_link_is_judged_by_where_it_leads(places: Places, outside: Path, home: Path) -> None:
    assert places.files
    (places.files / "link").symlink_to(outside / "secret")
    (home / "folder").symlink_to(outside)
    (home / "inside").symlink_to(home / "work")
    for path in ("link", "~/folder/secret", "~/folder/new"):
        refusal = locate(path, "f", places)
        assert isinstance(refusal, Refusal), path
        assert str(outside) in refusal.what
    assert find("~/inside", "f", places) == home / "work"


def test_case_counts(places: Places, home: Path) -> None:
    assert isinstance(locate(str(home).upper(), "f", places), Refusal)


def test_a_sibling_with_the_same_beginning_is_outside(places: Places, home: Path) -> None:
    sibling = home.with_name("home2")
    sibling.mkdir()
    assert isinstance(locate(str(sibling), "f", places), Refusal)


@pytest.mark.parametrize("path", ["no-such-file", "~/no-such-file", "assets/", "./a/../b"])
def test_a_missing_input_is_named(places: Places, path: str) -> None:
    assert locate(path, "f", places) is None, "it may be made before the task runs"
    refusal = find(path, "f", places)
    assert isinstance(refusal, Refusal)
    assert refusal.what.startswith(f"input not found: {path}")


@pytest.mark.parametrize("path", ["", "a\0b", "x" * 5000])
def test_what_no_path_can_be(places: Places, path: str) -> None:
    assert isinstance(locate(path, "f", places), Refusal)


def test_a_dangling_link_is_a_missing_input(places: Places, home: Path) -> None:
    (home / "gone").symlink_to(home / "nothing")
    assert locate("~/gone", "f", places) is None


def test_the_working_folder_must_be_a_folder(places: Places, home: Path) -> None:
    (home / "file").touch()
    refusal = working_folder("~/file", places)
    assert isinstance(refusal, Refusal)
    assert "not a folder" in refusal.what
    assert working_folder("~/work", places) == home / "work"
    assert working_folder("~/later", places) is None


@pytest.mark.parametrize(
    "path", ["results/a-1.json", "./results/a.b.md", "results//report für mich.txt", "results/A-1.json"]
)
def test_output_is_a_new_file_in_results(workspace: Workspace, path: str) -> None:
    assert output_file(path, workspace) == workspace.results / Path(path).name
    absolute = str(workspace.root / path)
    assert output_file(absolute, workspace) == workspace.results / Path(path).name


@pytest.mark.parametrize(
    "path",
    [
        *(
            "",
            "results",
            "results/",
            "results/no-suffix",
            "results/.hidden.json",
            "results/x.",
            "results/.json",
        ),
        *(
            "results/id/x.json",
            "results/../results/x.json",
            "results/../tasks/x.json",
            "tasks/x.json",
            "x.json",
        ),
        *(
            "/etc/x.json",
            "~/x.json",
            "~root/results/x.json",
            "results/a\nb.json",
            f"results/{'x' * 250}.json",
        ),
        *("results/x.json/", "RESULTS/x.json", "results/.tombstones/x.json", "results/a\0.json"),
    ],
)
def test_output_anywhere_else_is_refused(workspace: Workspace, path: str) -> None:
    (workspace.results / "id").mkdir()
    refusal = output_file(path, workspace)
    assert isinstance(refusal, Refusal), refusal
    assert refusal.field == "parameters.output"
    assert "results/" in refusal.remedy


def test_output_never_replaces_what_is_there(workspace: Workspace, outside: Path) -> None:
    """A link that leads nowhere is there too."""
    (workspace.results / "old.json").touch()
    (workspace.results / "link.json").symlink_to(outside / "new")
    (workspace.results / "sub").symlink_to(outside)
    for name in ("old.json", "link.json", "sub/x.json"):
        assert isinstance(output_file(f"results/{name}", workspace), Refusal), name
    again = output_file("results/old.json", workspace, must_be_new=False)
    assert again == workspace.results / "old.json", "an attempt after the first may have written it"


def test_output_in_a_home_workspace(home: Path, workspace: Workspace) -> None:
    (home / "ws").symlink_to(workspace.root)
    assert output_file("~/ws/results/x.json", workspace) == workspace.results / "x.json"
