"""A model server on 127.0.0.1 whose content comes from a rule: real HTTP, all three wire formats.

    with ScriptedServer() as server:
        server.rule = lambda call: {"answers": []} if call.schema else "plain words"

A rule gets the `Call` (see calls.py) and returns what the model is to say: a text, an object (sent as JSON,
or as the arguments of the tool that the client demands), or a `Fault`. The wire formats and the vendors' own
words for their failures are those of tests/tools/modelserver.
"""

from __future__ import annotations

import importlib.util
import json
import socket
import struct
import sys
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from types import ModuleType

MODEL_SERVER = Path(__file__).parents[1] / "tools" / "modelserver"


def _load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"aispool_scripted_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


WIRES = {
    "openai": _load(MODEL_SERVER / "chat.py"),
    "anthropic": _load(MODEL_SERVER / "anthropic.py"),
    "gemini": _load(MODEL_SERVER / "gemini.py"),
}
_script = _load(MODEL_SERVER / "script.py")
_calls = _load(Path(__file__).with_name("calls.py"))
Call: Any = _calls.Call
MODELS = {
    "openai": ["qwen3-max", "qwen3-coder-plus", "gpt-5", "llama-3.3-70b"],
    "anthropic": ["claude-opus-4-6", "claude-sonnet-4-6", "claude-haiku-4-5"],
    "gemini": ["gemini-2.5-flash", "gemini-2.5-pro"],
}


@dataclass(frozen=True, slots=True)
class Fault:
    """A failure instead of an answer; the first that is set applies.

    Args:
        error: a name in tests/tools/modelserver/errors.json, in the words of the wire that was asked.
        retry_after_s: that those words announce.
        hang: answer nothing until the client or the server goes.
        reset: close the connection at once, before any answer.
        truncated: send half of a good answer, then close.
        status: an HTTP status, with `headers` and `body`.
    """

    error: str | None = None
    retry_after_s: int = 1
    hang: bool = False
    reset: bool = False
    truncated: bool = False
    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b"{}"


class ScriptedServer:
    """Serves until its block ends.

    Attributes:
        rule: what is said; a text says the same to everybody.
        calls: model calls so far, in the order in which they came.
        models: what each wire lists.
        usage: what each answer says that it used.
    """

    def __init__(self, rule: Any = "hello", port: int = 0) -> None:
        self.rule: Any = rule
        self.calls: list[Any] = []
        self.listed: list[str] = []
        self.models: dict[str, list[str]] = {wire: list(names) for wire, names in MODELS.items()}
        self.usage = {"input": 11, "output": 7}
        self.key: str | None = None
        self._lock = threading.Lock()
        self._closing = threading.Event()
        handler = type("Handler", (_Handler,), {"scripted": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", port), handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    @property
    def url(self) -> str:
        """Its address, without a path: the base URL of the Anthropic wire."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def base_url(self, wire: str) -> str:
        """The base URL that a definition of this wire wants."""
        return self.url + {"openai": "/v1", "anthropic": "", "gemini": "/v1beta"}[wire]

    def __enter__(self) -> Self:
        """Begin to serve."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End, and let go of whoever hangs."""
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def said(self, call: Any) -> Any:
        """Ask the rule."""
        return self.rule(call) if callable(self.rule) else self.rule


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    scripted: ScriptedServer

    def do_GET(self) -> None:
        """List the models in the form of whoever asks."""
        self.scripted.listed.append(self.path)
        if not self._allowed():
            return
        wire = _wire_of_listing(self.path, {name.lower() for name in self.headers})
        names = self.scripted.models[wire] if wire else []
        if wire == "gemini":
            methods = ["generateContent", "countTokens"]
            listed = [{"name": f"models/{name}", "supportedGenerationMethods": methods} for name in names]
            self._send_json(200, {"models": listed})
        elif wire:
            self._send_json(200, {"object": "list", "data": [{"id": n, "object": "model"} for n in names]})
        else:
            self._send_json(404, {"error": {"message": f"no such page: {self.path}"}})

    def do_POST(self) -> None:
        """Ask the rule and say what it says."""
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or b"{}")
        wire = _wire_of_call(self.path)
        if wire is None:
            self._send_json(404, {"error": {"message": f"no such page: {self.path}"}})
            return
        if not self._allowed():
            return
        scripted = self.scripted
        with scripted._lock:
            headers = {name.lower(): value for name, value in self.headers.items()}
            call = _calls.read_call(len(scripted.calls) + 1, wire, self.path, headers, body)
            scripted.calls.append(call)
        said = scripted.said(call)
        if isinstance(said, Fault):
            self._fail(call, said)
        else:
            self._send_json(200, _answer(call, said, scripted.usage))

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Say nothing on stderr."""

    def _allowed(self) -> bool:
        """Refuse whoever does not show the server's key, if it has one."""
        shown = (self.headers.get(name, "") for name in ("Authorization", "x-api-key", "x-goog-api-key"))
        if self.scripted.key is None or self.scripted.key in {
            value.removeprefix("Bearer ") for value in shown
        }:
            return True
        self._send_json(401, {"error": {"message": "invalid api key", "type": "authentication_error"}})
        return False

    def _fail(self, call: Any, fault: Fault) -> None:
        if fault.error is not None:
            step = {"error": fault.error, "retry_after_s": fault.retry_after_s}
            failure = _script.Script(Path()).failure(WIRES[call.wire].VENDOR, step)
            self._send_json(failure["status"], failure["body"], failure.get("headers", {}))
        elif fault.hang:
            self.connection.settimeout(0.05)
            while not self.scripted._closing.is_set() and not self._client_left():
                pass
            self.close_connection = True
        elif fault.reset:
            self._reset()
        elif fault.truncated:
            data = json.dumps(_answer(call, "a good answer", self.scripted.usage)).encode()
            self._head(200, "application/json", len(data), {})
            self.wfile.write(data[: len(data) // 2])
            self.close_connection = True
        else:
            assert fault.status is not None
            kind = fault.headers.get("Content-Type", "application/json")
            others = {name: value for name, value in fault.headers.items() if name != "Content-Type"}
            self._head(fault.status, kind, len(fault.body), others)
            self._write(fault.body)

    def _client_left(self) -> bool:
        try:
            return not self.connection.recv(1)
        except TimeoutError:
            return False
        except OSError:
            return True

    def _send_json(self, status: int, value: Any, headers: dict[str, str] | None = None) -> None:
        data = json.dumps(value).encode()
        self._head(status, "application/json", len(data), headers or {})
        self._write(data)

    def _head(self, status: int, kind: str, size_bytes: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(size_bytes))
        for name, text in headers.items():
            self.send_header(name, text)
        self.end_headers()

    def _write(self, data: bytes) -> None:
        try:
            self.wfile.write(data)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True  # the client had enough

    def _reset(self) -> None:
        linger = struct.pack("ii", 1, 0)  # close(2) then sends a reset, as a lost server does
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.close_connection = True
        self.connection.close()


def _wire_of_call(path: str) -> str | None:
    path = path.partition("?")[0]
    if path.endswith("/chat/completions"):
        return "openai"
    if path.endswith("/messages"):
        return "anthropic"
    return "gemini" if path.endswith(":generateContent") else None


def _wire_of_listing(path: str, headers: set[str]) -> str | None:
    path = path.partition("?")[0]
    if not path.endswith("/models"):
        return None
    if "v1beta" in path:
        return "gemini"
    return "anthropic" if "anthropic-version" in headers else "openai"


def _answer(call: Any, said: Any, usage: dict[str, int]) -> dict[str, Any]:
    step: dict[str, Any] = {"usage": usage}
    value = said.model_dump(mode="json") if hasattr(said, "model_dump") else said
    if isinstance(value, str):
        step["text"] = value
    elif call.demanded:
        step["tool"] = {"name": call.demanded, "arguments": value}
    else:
        step["text"] = json.dumps(value, ensure_ascii=False)
    answer: dict[str, Any] = WIRES[call.wire].whole(call.body, step)
    if call.wire == "gemini":
        answer["modelVersion"] = call.model
    return answer
