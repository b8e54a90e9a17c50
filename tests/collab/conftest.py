from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType


def _load(name: str, path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


scripted_server = _load("aispool_scripted_server", Path(__file__).with_name("server.py"))


@pytest.fixture
def server() -> Iterator[Any]:
    """A `ScriptedServer` (see server.py): set its `rule`, give its `base_url(WIRE)` to a provider."""
    with scripted_server.ScriptedServer() as one:
        yield one


@pytest.fixture
def fault() -> Any:
    """The class `Fault` of server.py, for rules that fail."""
    return scripted_server.Fault
