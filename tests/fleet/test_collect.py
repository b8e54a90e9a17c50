"""What a host has is here after a round, as it is there; nothing is torn, repeated, or taken for gone."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conftest import Network


def test_a_result_is_here_as_it_is_there(network: Network, tree: Callable[[Path], dict[str, bytes]]) -> None:
    remote = network.host("a")
    remote.run("t1", b"line 1\n")
    there = remote.finish("t1", b"the answer\n")
    assert network.round()
    mirror = network.mirror("a")
    assert tree(mirror.workspace.results / "t1") == tree(there)
    assert (mirror.workspace.logs / "shell-t1.log").read_bytes() == b"line 1\n"
    assert list(network.acknowledged("a")) == ["t1"]
