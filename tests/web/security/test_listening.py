"""Where `aispool serve` listens: loopback, or with a token and TLS."""

from __future__ import annotations

import contextlib
import os
import re
import ssl
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from agent.web.security.tokens import Tokens
from agent.web.server import Listening, ServeError, check

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spool.workspace import Workspace

ADDRESS = re.compile(r"is served at (https?://\S+)")


@contextlib.contextmanager
def serving(workspace: Workspace, *options: object) -> Iterator[tuple[str, list[str]]]:
    """Run `aispool serve`; yield its address and what it printed."""
    words = [sys.executable, "-m", "agent", "--workspace", workspace.root, "serve", "--port", 0, *options]
    process = subprocess.Popen(
        [str(word) for word in words],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        cwd=workspace.root,
    )
    assert process.stdout is not None
    lines: list[str] = []
    try:
        for line in process.stdout:
            lines.append(line.rstrip())
            if line.startswith("Stop it"):
                break
        else:
            pytest.fail("\n".join(lines))
        found = ADDRESS.search(lines[0])
        assert found
        yield found[1], lines
    finally:
        process.terminate()
        process.wait(20)
        process.stdout.close()


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subprocess.run(
        [
            *(
                "openssl",
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:prime256v1",
                "-nodes",
            ),
            *("-keyout", key, "-out", cert, "-days", "2", "-subj", "/CN=localhost"),
            *("-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"),
        ],
        check=True,
        capture_output=True,
    )
    return cert, key


def test_elsewhere_it_needs_a_token_and_tls(workspace: Workspace) -> None:
    """Loopback is free; anywhere else it refuses, and says which of the two is missing."""
    for host in ("127.0.0.1", "::1", "localhost"):
        check(Listening(host=host), workspace)
    for host in ("0.0.0.0", "::", "192.0.2.1"):  # noqa: S104 - what is refused
        with pytest.raises(ServeError, match="--cert"):
            check(Listening(host=host), workspace)
        with pytest.raises(ServeError, match="no token yet"):
            check(Listening(host=host, cert=Path("c"), key=Path("k")), workspace)
        with pytest.raises(ServeError, match="no token yet"):
            check(Listening(host=host, proxy="ai.example.org"), workspace)
    Tokens(workspace).create("t", ["read"], by="ada")
    check(Listening(host="0.0.0.0", cert=Path("c"), key=Path("k")), workspace)  # noqa: S104
    with pytest.raises(ServeError, match="go together"):
        check(Listening(cert=Path("c")), workspace)


def test_it_says_how_to_come_in(workspace: Workspace) -> None:
    """The link logs in once; the ssh line names the port; nothing is kept outside the workspace."""
    with serving(workspace) as (address, lines):
        link = next(line.rpartition(" ")[2] for line in lines if "/login?key=" in line)
        port = address.rpartition(":")[2]
        assert any(f"ssh -N -L {port}:127.0.0.1:{port} " in line for line in lines)
        with httpx.Client(base_url=address) as client:
            assert client.get(link).status_code == 303
            assert client.get("/api/v1/me").json()["scopes"] == ["approve", "operate", "read", "submit"]
            assert httpx.get(link).status_code == 401
    assert not [path.name for path in workspace.root.iterdir() if "nicegui" in path.name]


def test_it_speaks_tls(workspace: Workspace, certificate: tuple[Path, Path]) -> None:
    cert, key = certificate
    secret, _ = Tokens(workspace).create("t", ["read"], by="ada")
    options = ("--host", "0.0.0.0", "--cert", cert, "--key", key, "--no-link")  # noqa: S104 - with TLS
    with serving(workspace, *options) as (address, lines):
        port = address.rpartition(":")[2]
        assert not any("key=" in line for line in lines)
        trusted = ssl.create_default_context(cafile=str(cert))
        with httpx.Client(base_url=f"https://localhost:{port}", verify=trusted) as client:
            answer = client.get("/api/v1/me", headers={"Authorization": f"Bearer {secret}"})
            assert answer.json()["name"] == "token:t"
            assert answer.headers["strict-transport-security"]
            logged_in = client.post(
                "/login", data={"token": secret}, headers={"Origin": f"https://localhost:{port}"}
            )
            cookie = logged_in.headers["set-cookie"]
            assert cookie.startswith(f"__Host-aispool-{port}=")
            assert "Secure" in cookie
            assert client.get("/api/v1/me").json()["name"] == "token:t"


def test_a_port_that_is_taken_is_told(workspace: Workspace) -> None:
    with serving(workspace) as (address, _):
        port = address.rpartition(":")[2]
        words = [sys.executable, "-m", "agent", "--workspace", str(workspace.root), "serve", "--port", port]
        done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 1
        assert "choose another with --port" in done.stderr


def test_without_the_extra_it_says_what_to_install(workspace: Workspace) -> None:
    """The command line works without the web page's parts, and so do tokens."""
    script = (
        "import sys; sys.modules.update(dict.fromkeys(('fastapi', 'starlette', 'uvicorn', 'nicegui'))); "
        "from agent.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    words = [sys.executable, "-c", script, "--workspace", str(workspace.root)]
    done = subprocess.run([*words, "serve"], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert "pip install 'aispool[web]'" in done.stderr
    made = subprocess.run(
        [*words, "token", "create", "t", "-s", "read"], capture_output=True, text=True, check=True, timeout=60
    )
    assert Tokens(workspace).check(made.stdout.strip())
