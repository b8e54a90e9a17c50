"""The login page: a form for a token, a link that was printed, and the way out.

Plain HTML without a script, so that it works before anything else does.
"""

from __future__ import annotations

import html
import math
from typing import TYPE_CHECKING, Annotated, Final
from urllib.parse import urlsplit

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response

from agent.web.context import who
from agent.web.plain import page
from agent.web.security.credentials import same
from agent.web.security.gate import cookie_name, origin_at
from agent.web.security.sessions import LIFETIME

if TYPE_CHECKING:
    from agent.web.context import Context

_FORM: Final = """{message}
<form method="post" action="/login">
<input type="hidden" name="next" value="{next}">
<label for="token">Token</label>
<input id="token" name="token" type="password" autocomplete="current-password" required autofocus
 spellcheck="false" aria-describedby="how">
<button type="submit">Log in</button>
</form>
<p id="how">On the server's machine, <code>aispool token create</code> makes a token and
<code>aispool token link</code> a link that logs you in once.</p>"""


def router(context: Context) -> APIRouter:
    """Return /login and /logout."""
    routes = APIRouter(include_in_schema=False)

    @routes.get("/login")
    def login_page(request: Request, key: str = "", next: str = "/") -> Response:  # noqa: A002 - its name in the URL
        address = origin_at(request.scope).address
        # only what a person opens is a try: another site's pictures and frames would use up all there are
        if not key or request.headers.get("sec-fetch-dest", "document") != "document":
            return _form(next)
        wait_s = context.access.attempts.wait_s(address)
        if wait_s > 0:
            return _slow_down(next, wait_s)
        cookie = context.access.log_in_with_link(key, address)
        if cookie is None:
            return _form(next, "This link was used already, or is older than ten minutes.", 401)
        return _welcome(context, cookie, next)

    @routes.post("/login")
    def login(
        request: Request,
        token: Annotated[str, Form(max_length=200)],
        next: Annotated[str, Form(max_length=2000)] = "/",  # noqa: A002 - its name in the form
    ) -> Response:
        address = origin_at(request.scope).address
        wait_s = context.access.attempts.wait_s(address)
        if wait_s > 0:
            return _slow_down(next, wait_s)
        cookie = context.access.log_in_with_token(token.strip(), address)
        if cookie is None:
            return _form(next, "This is no token that is valid now.", 401)
        return _welcome(context, cookie, next)

    @routes.post("/logout")
    def logout(request: Request, csrf: Annotated[str, Form(max_length=200)]) -> Response:
        identity = who(request)
        if identity.csrf is None or not same(csrf, identity.csrf):
            return page("Log out", "<p>Open the page anew, then log out.</p>", 403)
        context.access.log_out(identity)
        response = RedirectResponse("/login", 303)
        response.delete_cookie(
            cookie_name(context), secure=context.settings.secure, httponly=True, samesite="strict"
        )
        return response

    return routes


def _form(after: str, message: str = "", status: int = 200) -> Response:
    said = f'<p role="alert"><strong>{html.escape(message)}</strong></p>' if message else ""
    return page("Log in", _FORM.format(message=said, next=html.escape(_local(after))), status)


def _slow_down(after: str, wait_s: float) -> Response:
    wait = math.ceil(wait_s)
    response = _form(after, f"Too many failed logins from this address: try again in {wait} s.", 429)
    response.headers["Retry-After"] = str(wait)
    return response


def _welcome(context: Context, cookie: str, after: str) -> Response:
    response = RedirectResponse(_local(after), 303)
    response.set_cookie(
        cookie_name(context),
        cookie,
        max_age=int(LIFETIME.total_seconds()),
        path="/",
        secure=context.settings.secure,
        httponly=True,
        samesite="strict",
    )
    return response


def _local(target: str) -> str:
    """Return a path of this server: never the address of another."""
    parts = urlsplit(target)
    is_ours = not parts.scheme and not parts.netloc and target.startswith("/")
    # a browser reads a backslash as a slash, and drops line breaks
    return (
        target
        if is_ours and not target.startswith("//") and "\\" not in target and target.isprintable()
        else "/"
    )
