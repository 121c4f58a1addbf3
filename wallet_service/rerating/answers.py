"""What is asked of past usage under another plan, and what is answered."""

from datetime import datetime
from decimal import Decimal

from msgspec import Struct

from rating.exact import EXACT, ZERO

__all__ = ["Comparison", "Cost", "Question", "Unpriced"]


class Question(Struct, frozen=True, kw_only=True):
    """Which usage is to be priced by which plan. Times are half-open: `end` is excluded."""

    plan_code: str
    version: int | None = None
    """None: the one that is in force now."""
    start: datetime
    end: datetime
    external_customer_id: str | None = None
    """None: all customers."""
    external_subscription_id: str | None = None
    """None: all subscriptions."""


class Cost(Struct, kw_only=True):
    """What a subscription used of one metric, and its exact price in one asset, twice."""

    external_customer_id: str
    external_subscription_id: str
    plan_code: str
    """The plan that it is subscribed to."""
    billable_metric_code: str
    asset_code: str
    events: int = 0
    """How many events were rated in this asset."""
    was: Decimal = ZERO
    would_be_events: int = 0
    """How many the tried plan prices in this asset."""
    would_be: Decimal = ZERO

    @property
    def difference(self) -> Decimal:
        """How much more it would be; less, if it is negative."""
        return EXACT.subtract(self.would_be, self.was)


class Unpriced(Struct, frozen=True, kw_only=True):
    """Usage that the tried plan cannot price, and why not."""

    billable_metric_code: str
    reason: str
    field: str | None
    """The property that it is about, if it is about one."""
    events: int


class Comparison(Struct, frozen=True, kw_only=True):
    """The answer."""

    plan_code: str
    version: int
    start: datetime
    end: datetime
    """Not after now: what is to come is no past usage."""
    costs: list[Cost]
    unpriced: list[Unpriced]
