"""Tokens, sessions and login links: what lies on disk, and when each ends."""

from __future__ import annotations

import stat
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from agent.web.context import SCOPES, ForbiddenError, LoggedOutError
from agent.web.security.access import Access
from agent.web.security.attempts import FAILURES, WINDOW_S, Attempts
from agent.web.security.links import Links
from agent.web.security.sessions import Sessions
from agent.web.security.tokens import TokenError, Tokens
from spool.records import utc_now

if TYPE_CHECKING:
    from spool.workspace import Workspace


def test_no_file_holds_a_secret_and_none_is_readable_by_others(workspace: Workspace) -> None:
    access = Access(workspace)
    secret, _ = access.tokens.create("laptop", ["read"], by="ada")
    cookie = access.log_in_with_token(secret, "127.0.0.1")
    key = access.links.create("ada")
    assert cookie is not None
    files = [path for path in workspace.configs.rglob("*.json") if path.is_file()]
    assert len(files) == 3
    for path in (*files, *(workspace.logs.iterdir())):
        content = path.read_text()
        assert all(part not in content for part in (secret, secret.rpartition("_")[2], cookie, key)), path
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
        assert cookie not in path.name
        assert key not in path.name


def test_a_token_ends_when_revoked_or_expired(workspace: Workspace) -> None:
    tokens = Tokens(workspace)
    secret, token = tokens.create("ci", ["submit"], by="ada")
    identity = tokens.identity(secret)
    assert identity is not None
    identity.require("submit")
    with pytest.raises(ForbiddenError, match="--scope approve"):
        identity.require("approve")
    tokens.revoke("ci")
    assert tokens.identity(secret) is None
    with pytest.raises(LoggedOutError):
        identity.require("submit")
    short, _ = tokens.create("short", ["read"], by="ada", expires_at=utc_now() + timedelta(hours=1))
    assert tokens.check(short)
    assert tokens.check(short, utc_now() + timedelta(hours=2)) is None
    assert token.token_id not in {each.token_id for each in tokens.all()}


@pytest.mark.parametrize("change", ["", "x", "ais_", "ais_../../x_" + "A" * 43, "Bearer"])
def test_what_is_no_token_is_none(workspace: Workspace, change: str) -> None:
    tokens = Tokens(workspace)
    secret, token = tokens.create("t", ["read"], by="ada")
    assert tokens.check(change) is None
    assert tokens.check(secret + change if change else secret[:-1]) is None
    other = secret.replace(token.token_id, "0" * 12)
    assert tokens.check(other) is None


def test_names_are_taken_once_and_scopes_are_needed(workspace: Workspace) -> None:
    tokens = Tokens(workspace)
    tokens.create("t", ["read"], by="ada")
    with pytest.raises(TokenError, match="revoke it first"):
        tokens.create("t", ["read"], by="ada")
    with pytest.raises(TokenError, match="at least one scope"):
        tokens.create("u", [], by="ada")
    with pytest.raises(TokenError, match="token list"):
        tokens.revoke("nobody")


def test_a_session_lives_and_dies_with_its_token(workspace: Workspace) -> None:
    access = Access(workspace)
    secret, _ = access.tokens.create("laptop", ["read", "operate"], by="ada")
    cookie = access.log_in_with_token(secret, "::1")
    assert cookie is not None
    # another process, or one that was killed and started again, knows it as well
    again = Sessions(workspace, Tokens(workspace)).identity(cookie)
    assert again is not None
    assert again.name == "token:laptop"
    assert sorted(again.scopes) == ["operate", "read"]
    access.tokens.revoke("laptop")
    assert access.sessions.identity(cookie) is None
    assert not again.may("read")


def test_logging_out_ends_what_is_open(workspace: Workspace) -> None:
    access = Access(workspace)
    cookie = access.log_in_with_link(access.links.create("ada"), "127.0.0.1")
    assert cookie is not None
    identity = access.sessions.identity(cookie)
    assert identity is not None
    assert identity.scopes == frozenset(SCOPES)
    access.log_out(identity)
    with pytest.raises(LoggedOutError):
        identity.require("read")


def test_a_link_works_once_and_for_a_short_time(workspace: Workspace) -> None:
    links = Links(workspace)
    key = links.create("ada")
    assert links.use(key) is not None
    assert links.use(key) is None
    old = links.create("ada")
    (path,) = links.folder.iterdir()
    path.write_text(path.read_text().replace("20", "19", 4))
    assert links.use(old) is None
    assert links.use("x" * 1000) is None


def test_failures_make_an_address_wait() -> None:
    now = [100.0]
    attempts = Attempts(lambda: now[0])
    for number in range(1, FAILURES + 1):
        assert attempts.wait_s("10.0.0.1") == 0
        assert attempts.failed("10.0.0.1") == (number == FAILURES)
    assert attempts.wait_s("10.0.0.1") == WINDOW_S
    assert attempts.wait_s("10.0.0.2") == 0
    now[0] += WINDOW_S
    assert attempts.wait_s("10.0.0.1") == 0
