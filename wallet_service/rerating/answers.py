"""What is asked of past usage under another plan, and what is answered."""

from datetime import datetime
from decimal import Decimal
from typing import Final, Literal, TypeAlias

from msgspec import Struct

from invoicing.period_fees import FEE_KINDS, FeeKind
from rating.exact import EXACT, ZERO

__all__ = ["COST_KINDS", "Comparison", "Cost", "CostKind", "Question", "Unpriced"]

CostKind: TypeAlias = Literal["usage"] | FeeKind
"""What a cost is for: what was used, or one of the fees of a period."""

COST_KINDS: Final[tuple[CostKind, ...]] = ("usage", *FEE_KINDS)


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
    """What a subscription costs for one thing, exactly, in one asset, twice."""

    external_customer_id: str
    external_subscription_id: str
    plan_code: str
    """The plan that it is subscribed to."""
    kind: CostKind
    code: str | None
    """Of the metric that was used or has a minimum, or of the fixed charge; None: the plan's."""
    asset_code: str
    events: int = 0
    """How many events were rated in this asset."""
    was: Decimal = ZERO
    would_be_events: int = 0
    """How many the tried plan prices in this asset."""
    would_be: Decimal = ZERO

    def add(self, *, was: Decimal = ZERO, would_be: Decimal = ZERO) -> None:
        """Count an amount in."""
        self.was = EXACT.add(self.was, was)
        self.would_be = EXACT.add(self.would_be, would_be)

    @property
    def is_any(self) -> bool:
        """Whether it costs anything, either way."""
        return bool(self.was or self.would_be)

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
