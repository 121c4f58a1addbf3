"""One page of a list, and how much there is in all."""

from collections.abc import Sequence
from typing import Generic, TypeVar

from msgspec import Struct

_Item = TypeVar("_Item")


class Page(Struct, Generic[_Item], frozen=True):
    """The items of a page in their order; `total_count` counts those of all pages."""

    items: list[_Item]
    total_count: int


class Window(Struct, frozen=True, kw_only=True):
    """Which page is wanted. `number` starts at 1."""

    number: int = 1
    size: int = 100

    @property
    def offset(self) -> int:
        """How many items come before this page."""
        return (self.number - 1) * self.size


def cut(items: Sequence[_Item], window: Window) -> Page[_Item]:
    """A page of what is all at hand."""
    return Page(list(items[window.offset : window.offset + window.size]), len(items))
