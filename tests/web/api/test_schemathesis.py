"""The description holds what it says: generated requests, good and bad ones, all answered as described."""

from __future__ import annotations

import atexit
import importlib.util
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings

from agent.web.app import build, open_context
from agent.web.context import SCOPES, Settings
from spool.workspace import create

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

pytestmark = [
    pytest.mark.timeout(600),
    pytest.mark.filterwarnings("ignore:Using `httpx` with `starlette.testclient`"),
]

folder = tempfile.TemporaryDirectory(prefix="schemathesis-")
atexit.register(folder.cleanup)
workspace = create(Path(folder.name) / "ai-workspace")


def described() -> schemathesis.BaseSchema:
    """Return the description of an API with a workspace of its own; the tests are made of it."""
    # the name under which an app is asked that no port leads to
    context = open_context(workspace.root, Settings(names=("testserver",)))
    secret, _ = context.access.tokens.create("generated", SCOPES, by="ada")
    return schemathesis.openapi.from_asgi(
        "/api/v1/openapi.json",
        build(context, pages=False),
        config=schemathesis.Config.from_dict({"auth": {"openapi": {"token": {"bearer": secret}}}}),
        headers={"Authorization": f"Bearer {secret}"},
    )


schema = described()


def _load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"aispool_api_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module", autouse=True)
def model() -> Iterator[None]:
    """Somebody answers the plain chat."""
    scripted = _load(Path(__file__).parents[2] / "collab" / "server.py")
    with scripted.ScriptedServer() as server:
        server.rule = lambda _call: "domain name system"
        base_url = server.base_url("openai")
        (workspace.configs / "roles.toml").write_text(f'[providers.qwen]\nbase_url = "{base_url}"\n')
        keys = workspace.configs / "env" / "collab.env"
        keys.write_text("QWEN_API_KEY=k-qwen\n")
        keys.chmod(0o600)
        yield


@schema.hook
def filter_body(_context: schemathesis.HookContext, body: object) -> bool:
    """Leave out whole numbers with a point: JSON Schema calls 2.0 an integer, a task file does not."""
    return "integral" not in str(_kinds(body))


def _kinds(value: object) -> list[object]:
    if isinstance(value, dict):
        return [_kinds(each) for each in value.values()]
    if isinstance(value, list):
        return [_kinds(each) for each in value]
    return ["integral"] if isinstance(value, float) and value.is_integer() else []


@schema.parametrize()
@settings(max_examples=20, suppress_health_check=list(HealthCheck), deadline=None)
def test_the_description_is_kept(case: schemathesis.Case[Any]) -> None:
    """No failure of the server, no answer that is not described; good is taken, bad is refused."""
    case.call_and_validate()
