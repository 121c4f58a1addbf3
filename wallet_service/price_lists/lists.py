"""What a price list is, whoever wrote it: prices, and what was left out and why."""

from collections.abc import Sequence
from decimal import Decimal
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Final, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

MODEL_NAME_LENGTH_MAX: Final = 255

When: TypeAlias = tuple[tuple[str, tuple[str, ...]], ...]
"""Beyond the model, what has to be so for a price to hold: keys in order, each with its values."""


class InvalidPriceList(Exception):
    """The file is no price list at all; the message says why."""


class Reason(StrEnum):
    """Why an entry, or one of its prices, was left out."""

    EXAMPLE = "documents the file's format"
    INVALID_ENTRY = "is not an object"
    INVALID_NAME = "has a name that is empty, too long or unprintable"
    INVALID_PRICE = "has a price that is no plain, non-negative number"
    NO_PRICE = "has no price"
    OTHER_UNIT = "is free by the token because it is priced in another unit"
    REPEATED = "says again what another price says"
    SUPERSEDED = "is superseded by other prices of the entry"
    CONTRADICTED = "differs from another price for the same thing"
    OTHER_CURRENCY = "is in a unit of the provider's own, not in US dollars"
    OTHER_ENDPOINT = "is for an endpoint of its own"
    MULTIPLIER = "multiplies other prices, by region or speed"
    ALLOWANCE = "is a free allowance that models or accounts share"
    TIME_OF_DAY = "depends on the time of day"
    LATER = "starts later: import it again then"
    PAST = "ended before"
    OTHER_CONDITION = "depends on something that usage does not say"
    INEXACT = "has no exact decimal for one unit"
    UNKNOWN = "is in a unit that is not known here"


class Skipped(Struct, frozen=True, kw_only=True):
    """An entry, or the one price of it that `field` names, that was left out."""

    model: str
    reason: Reason
    field: str | None = None


class Price(Struct, frozen=True, kw_only=True):
    """What one unit of a metric costs, in US dollars, for a model and under some conditions."""

    metric: str
    model: str
    when: When = ()
    amount: Decimal
    field: str
    """Where the list says so."""
    is_implied: bool = False
    """The list does not say it: what it says for some of the conditions holds (see `implied`)."""


class PriceList(Struct, frozen=True, kw_only=True):
    """What was read, and what was left out and why.

    Every price of the list is in one of the two: the prices that are not implied, and those skipped
    that name a field, add up to all that it has.
    """

    prices: tuple[Price, ...]
    skipped: tuple[Skipped, ...]
    entries: int
    """How many entries, or models, the list has."""
    described: int = 0
    """How many of its numbers are no prices, but limits and the like."""

    def only(self, patterns: Sequence[str]) -> "PriceList":
        """The part of it about models whose names match one of the patterns (`gpt-*`)."""
        keep = {
            name: any(fnmatchcase(name, pattern) for pattern in patterns)
            for name in (*(p.model for p in self.prices), *(s.model for s in self.skipped))
        }
        return replace(
            self,
            prices=tuple(price for price in self.prices if keep[price.model]),
            skipped=tuple(skipped for skipped in self.skipped if keep[skipped.model]),
        )

    @property
    def implied(self) -> int:
        """How many prices follow from others."""
        return sum(price.is_implied for price in self.prices)

    @property
    def models(self) -> tuple[str, ...]:
        """The models with a price, in the list's order."""
        return tuple(dict.fromkeys(price.model for price in self.prices))

    @property
    def free_models(self) -> tuple[str, ...]:
        """Those whose every price is zero."""
        costly = {price.model for price in self.prices if price.amount}
        return tuple(model for model in self.models if model not in costly)

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metrics with a price, in the list's order."""
        return tuple(dict.fromkeys(price.metric for price in self.prices))


def when_of(values: dict[str, tuple[str, ...]]) -> When:
    """The conditions in their one order."""
    return tuple(sorted(values.items()))
