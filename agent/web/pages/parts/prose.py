"""Markdown that models wrote, as text with headings, lists and tables, and nothing that acts.

Raw HTML is shown as the text that it is; links and images stay as they were written, so that a person sees
where they would lead and nobody follows them by mistake. The browser cleans the result once more.
"""

from __future__ import annotations

from typing import Final

from markdown_it import MarkdownIt
from nicegui import ui

from agent.sanitize import plain

_DEEPEST: Final = 6
_PARSER: Final = (
    MarkdownIt("commonmark", {"html": False, "linkify": False})
    .enable("table")
    .disable(["link", "image", "autolink", "reference", "html_inline", "html_block", "entity"])
)


def html_of(markdown: str, *, below: int = 2) -> str:
    """Return HTML that holds only our own tags.

    Args:
        markdown: as a model wrote it.
        below: the level of the heading that it stands under.
    """
    tokens = _PARSER.parse(plain(markdown))
    for token in tokens:
        if token.type in {"heading_open", "heading_close"}:
            token.tag = f"h{min(_DEEPEST, int(token.tag[1]) + below)}"
    return str(_PARSER.renderer.render(tokens, _PARSER.options, {}))


def prose(markdown: str, *, below: int = 2) -> ui.html:
    """Show it."""
    return ui.html(html_of(markdown, below=below)).classes("prose")
