"""What a check has found."""

from msgspec import Struct

__all__ = ["SHOWN_MAX", "Finding"]

SHOWN_MAX = 100
"""Breaches that a check names; after these it stops looking."""


class Finding(Struct, kw_only=True):
    """One invariant, looked at once."""

    invariant: str
    checked: int
    breaches: list[str]
    """Each in one line; the same breach always in the same words."""

    @property
    def holds(self) -> bool:
        """Nothing was found that should not be."""
        return not self.breaches
