"""The terms under which a period's usage is priced: how it adds up, and at which prices."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Final
from uuid import UUID

from msgspec import Struct

from rating.aggregations import Aggregation
from rating.charge_models import ChargeModel, Dynamic, Percentage, Standard, Volume
from rating.charges import Charge
from rating.rounding import ROUNDING_FUNCTIONS, RoundingFunction, rounded

ADDITIVE: Final = frozenset({"count_agg", "sum_agg"})
"""Aggregations to which each event adds its own, whatever the others are."""

_DEFERRED: Final = frozenset({"latest_agg", "weighted_sum_agg"})
_PRORATED: Final = frozenset({"sum_agg", "unique_count_agg"})


class Price(Struct, frozen=True):
    """One version of a price."""

    plan_version_id: UUID | None
    model: ChargeModel


class Terms(Struct, frozen=True, kw_only=True):
    """How one bucket's period is priced."""

    aggregation: Aggregation
    prices: tuple[Price, ...]
    """The versions that the period's events were rated with, the oldest first; at least one."""
    recurring: bool = False
    """Units stay from period to period: what came before the period counts too."""
    prorated: bool = False
    """Recurring units count for the days of the period that they were there."""
    pay_in_advance: bool = False
    """Each event is billed as it comes; nothing is given back."""
    rounding_function: RoundingFunction | None = None
    rounding_precision: int = 0

    def __post_init__(self) -> None:
        assert self.prices, "usage is priced by something"

    @classmethod
    def of(cls, charge: Charge, prices: Iterable[Price]) -> Terms:
        """The terms of a charge, or of one of its alternatives, for one of its buckets.

        `charge` is that of the newest version; `prices` are the bucket's models in the versions
        that the period used.
        """
        return cls(
            aggregation=charge.aggregation,
            prices=tuple(prices),
            recurring=charge.recurring,
            prorated=charge.prorated,
            pay_in_advance=charge.pay_in_advance,
            rounding_function=_rounding_function(charge.rounding_function),
            rounding_precision=charge.rounding_precision,
        )

    @property
    def is_additive(self) -> bool:
        """Whether each event adds its own, whatever the others are."""
        return self.aggregation in ADDITIVE

    @property
    def is_prorated(self) -> bool:
        """Whether days count: only units that stay can be there for a part of the period."""
        return self.prorated and self.aggregation in _PRORATED

    @property
    def is_in_advance(self) -> bool:
        """Whether the period costs what its events were billed, rather than its total.

        What cannot be known event by event is billed in arrears, whatever the charge says.
        """
        if not self.pay_in_advance or self.aggregation in _DEFERRED:
            return False
        return not self.is_prorated or all(
            isinstance(price.model, Standard) for price in self.prices
        )

    @property
    def needs_beginning(self) -> bool:
        """Whether `rate_begun` can price the period: sums are enough once a free tier has ended."""
        models = [price.model for price in self.prices]
        return (
            self.is_additive
            and not (self.recurring or self.is_in_advance)
            and len(models) == 1
            and all(isinstance(model, Percentage) and not model.has_bounds for model in models)
        )

    @property
    def is_billed_by_event(self) -> bool:
        """Whether each event costs what it would cost alone, whatever the others are."""
        if not self.is_additive or self.recurring:
            return False
        if self.is_in_advance:
            return all(isinstance(price.model, Dynamic) for price in self.prices)
        return all(
            isinstance(price.model, Percentage)
            and price.model.has_bounds
            and not price.model.has_free_tier
            for price in self.prices
        )

    def version(self, plan_version_id: UUID | None) -> int:
        """Which of the prices an event has; one that is not listed has the oldest."""
        for index, price in enumerate(self.prices):
            if price.plan_version_id == plan_version_id:
                return index
        return 0

    def rounded(self, units: Decimal) -> Decimal:
        """The units as the metric rounds them: a period's units, not those of single events."""
        if self.rounding_function is None:
            return units
        return rounded(units, function=self.rounding_function, precision=self.rounding_precision)

    def is_summable(self, *, corrections: int, versions: int = 1) -> bool:
        """Whether `rate_summaries` can price what `rate_events` can.

        `corrections`: how many events take something away; `versions`: with how many of the prices
        the period's events were rated.
        """
        if self.is_prorated or not all(price.model.is_summable for price in self.prices):
            return False
        if not self.is_in_advance:
            return True
        # Billed is the highest price reached: the last one, if prices only rise. What events
        # bring themselves may be below zero.
        rises = not any(isinstance(price.model, Volume | Dynamic) for price in self.prices)
        # What is carried has the oldest price, which may be another than that of the events.
        is_one_price = versions == 1 and (not self.recurring or len(self.prices) == 1)
        return rises and corrections == 0 and (self.is_additive or is_one_price)


def _rounding_function(name: str | None) -> RoundingFunction | None:
    return next((known for known in ROUNDING_FUNCTIONS if known == name), None)
