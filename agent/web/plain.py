"""Pages without a script: the login, and what is shown where no page can be.

They work before anything else does.
"""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, Final

from fastapi.responses import HTMLResponse

from agent.sanitize import one_line
from agent.web.context import ForbiddenError, LoggedOutError, who

if TYPE_CHECKING:
    from fastapi import FastAPI, Request

_PAGE: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title} - aispool</title>
<style>
:root {{ color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }}
body {{ margin: 0; display: grid; min-height: 100vh; place-items: center; }}
main {{ width: min(26rem, 100vw - 2rem); overflow-wrap: anywhere; }}
input, button {{ font: inherit; width: 100%; box-sizing: border-box; padding: .6rem; margin: .3rem 0 1rem; }}
button {{ cursor: pointer; }}
code {{ font-size: .9em; }}
</style>
</head>
<body>
<main>
<h1>aispool</h1>
{body}
</main>
</body>
</html>
"""
_LOG_OUT: Final = """<form method="post" action="/logout">
<input type="hidden" name="csrf" value="{csrf}">
<button type="submit">Log in with another token</button>
</form>"""


def page(title: str, body: str, status: int = 200) -> HTMLResponse:
    """Return a page.

    Args:
        title: of the tab, as text.
        body: as HTML: what comes from elsewhere is escaped in it already.
        status: of HTTP.
    """
    return HTMLResponse(_PAGE.format(title=html.escape(title), body=body), status)


def install(app: FastAPI) -> None:
    """Answer so where there is no page, or none for who asks."""

    def missing(request: Request, _error: Exception) -> HTMLResponse:
        said = f"<p>There is no page <code>{html.escape(one_line(request.url.path))}</code> here.</p>"
        return page("No such page", f'{said}\n<p><a href="/tasks">All tasks</a></p>', 404)

    def forbidden(request: Request, error: Exception) -> HTMLResponse:
        said = f'<p role="alert">{html.escape(one_line(error))}</p>'
        try:
            csrf = who(request).csrf
        except LoggedOutError:
            csrf = None
        way_out = _LOG_OUT.format(csrf=html.escape(csrf)) if csrf else ""
        return page("Not allowed", f"{said}\n{way_out}", 403)

    app.add_exception_handler(404, missing)
    app.add_exception_handler(ForbiddenError, forbidden)
