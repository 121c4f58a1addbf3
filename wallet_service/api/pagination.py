"""Lists come in pages, with Lago's `meta`."""

from typing import Any

from msgspec import Struct

from invoicing.pages import Page, Window


class Meta(Struct, kw_only=True):
    """Where a page stands among all."""

    current_page: int
    next_page: int | None
    prev_page: int | None
    total_pages: int
    total_count: int


def meta(page: Page[Any], window: Window) -> Meta:
    """Lago's `meta`; a list without items has no page at all.

    >>> meta(Page([], 0), Window())
    Meta(current_page=0, next_page=None, prev_page=None, total_pages=0, total_count=0)
    >>> meta(Page(["third"], 3), Window(number=2, size=2))
    Meta(current_page=2, next_page=None, prev_page=1, total_pages=2, total_count=3)
    """
    total_pages = -(-page.total_count // window.size)
    is_there = window.number <= total_pages
    return Meta(
        current_page=window.number if total_pages else 0,
        next_page=window.number + 1 if window.number < total_pages else None,
        prev_page=window.number - 1 if is_there and window.number > 1 else None,
        total_pages=total_pages,
        total_count=page.total_count,
    )
