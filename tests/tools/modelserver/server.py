"""A model server that does what a script says: it answers, asks for a tool, fails as vendors do, or hangs.

`python server.py --port 0 --script FILE --log FILE` prints its port and serves on 127.0.0.1 until ended. It
speaks OpenAI chat completions and responses, Anthropic messages and Gemini generateContent, streaming or not;
the path of a request says which. What the script may say is in `script.py`. Each request is one line of JSON
in the log.
"""

from __future__ import annotations

import argparse
import json
import socket
import struct
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anthropic
import chat
import gemini
import responses
from script import Script

if TYPE_CHECKING:
    from types import ModuleType

ROUTES: dict[str, ModuleType] = {
    "/chat/completions": chat,
    "/responses": responses,
    "/messages": anthropic,
    ":generateContent": gemini,
    ":streamGenerateContent": gemini,
}


class Handler(BaseHTTPRequestHandler):
    """One request: parse, log, look up the step, play it."""

    protocol_version = "HTTP/1.1"
    script: Script
    log: Path
    lock = threading.Lock()

    def do_GET(self) -> None:
        """Answer everything that is not a model call with an empty list of models."""
        self._record({})
        self._send_json(200, {"object": "list", "data": [], "models": []})

    def do_HEAD(self) -> None:
        """Say that the server is there."""
        self._record({})
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_POST(self) -> None:
        """Play the step that the script holds for this conversation."""
        body = self._body()
        self._record(body)
        path = self.path.partition("?")[0]
        wire = next((module for end, module in ROUTES.items() if path.endswith(end)), None)
        if wire is None:
            known = "count_tokens" in path or "countTokens" in path
            self._send_json(200, {"input_tokens": 11, "totalTokens": 11} if known else {})
            return
        offered, answered = wire.tools(body)
        with self.lock:
            step = self.script.step(offered=offered, answered=answered)
        self._play(wire, body, step)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Say nothing on stderr: the log has it all."""

    def _body(self) -> dict[str, Any]:
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        try:
            value = json.loads(raw or b"{}")
        except ValueError:
            return {}
        return value if isinstance(value, dict) else {}

    def _record(self, body: dict[str, Any]) -> None:
        line = {"at_s": round(time.time(), 3), "method": self.command, "path": self.path, "body": body}
        with self.lock, self.log.open("a", encoding="utf-8") as log:
            log.write(json.dumps(line, ensure_ascii=False) + "\n")

    def _play(self, wire: ModuleType, body: dict[str, Any], step: dict[str, Any]) -> None:
        if step.get("hang"):
            self.rfile.read(1)  # returns when the client goes away
            self.close_connection = True
        elif step.get("disconnect") == "before":
            self._reset()
        elif "error" in step or "status" in step:
            self._fail(wire, step)
        else:
            self._answer(wire, body, step)

    def _fail(self, wire: ModuleType, step: dict[str, Any]) -> None:
        failure = self.script.failure(wire.VENDOR, step)
        if "events" in failure:  # some vendors fail inside a stream that began well
            self._send_stream([(event["type"], event) for event in failure["events"]], step)
        else:
            self._send_json(failure["status"], failure["body"], failure.get("headers", {}))

    def _answer(self, wire: ModuleType, body: dict[str, Any], step: dict[str, Any]) -> None:
        if wire.streams(self.path, body):
            self._send_stream(wire.events(body, step), step)
        else:
            self._send_json(200, wire.whole(body, step))

    def _send_json(self, status: int, value: Any, headers: dict[str, str] | None = None) -> None:
        data = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        for name, text in (headers or {}).items():
            self.send_header(name, text)
        self.end_headers()
        self.wfile.write(data)

    def _send_stream(self, events: list[tuple[str | None, Any]], step: dict[str, Any]) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        for number, (name, value) in enumerate(events):
            if number == len(events) // 2 and step.get("disconnect") == "midway":
                self._reset()
                return
            head = f"event: {name}\n" if name else ""
            text = value if isinstance(value, str) else json.dumps(value)
            self.wfile.write(f"{head}data: {text}\n\n".encode())
            self.wfile.flush()
            time.sleep(step.get("delay_s", 0))

    def _reset(self) -> None:
        linger = struct.pack("ii", 1, 0)  # close(2) then sends a reset, as a lost server does
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.close_connection = True
        self.connection.close()


def main() -> None:
    """Serve until ended."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--script", type=Path, required=True)
    parser.add_argument("--log", type=Path, required=True)
    args = parser.parse_args()
    Handler.script = Script(args.script)
    Handler.log = args.log
    server = ThreadingHTTPServer(("127.0.0.1", args.port), Handler)
    server.daemon_threads = True
    print(server.server_address[1], flush=True)  # noqa: T201
    server.serve_forever()


if __name__ == "__main__":
    main()
