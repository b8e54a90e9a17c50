"""Plain tables: a caption, heads that a screen reader connects with their cells, and text in the cells."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nicegui import ui

from agent.web.pages.frame import text

if TYPE_CHECKING:
    from collections.abc import Sequence


def table(
    caption: str, heads: Sequence[str], rows: Sequence[Sequence[object]], *, numbers_from: int = 1
) -> None:
    """Draw a table.

    Args:
        caption: for those who do not see it.
        heads: of the columns.
        rows: of cells; None is shown as a dash. The first of each is the row's head.
        numbers_from: columns from this one on hold figures.
    """
    with ui.element("div").classes("plain-table-box").props('tabindex="0" role="region"') as box:
        box.props["aria-label"] = caption
        with ui.element("table").classes("plain-table"):
            text("caption", caption, "hidden-text")
            with ui.element("thead"), ui.element("tr"):
                for number, head in enumerate(heads):
                    text("th", head, "number" if number >= numbers_from else "").props('scope="col"')
            with ui.element("tbody"):
                for row in rows:
                    with ui.element("tr"):
                        for number, cell in enumerate(row):
                            shown = "-" if cell is None or cell == "" else str(cell)
                            classes = "number" if number >= numbers_from else ""
                            tag = "td" if number else "th"
                            text(tag, shown, classes).props('scope="row"' if tag == "th" else "")
