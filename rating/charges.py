"""A charge: what a plan asks for the usage that one billable metric measures."""

from __future__ import annotations

from decimal import Decimal
from uuid import UUID

from msgspec import Struct

from rating.aggregations import Aggregation
from rating.charge_models import ChargeModel
from rating.exact import ZERO


class ChargeFilter(Struct, frozen=True, kw_only=True):
    """A price of its own for the events whose properties have these values.

    `values` names, per key, the values it takes, or `filters.ALL_VALUES` for all that the
    metric declares.
    """

    id: UUID
    values: dict[str, tuple[str, ...]]
    model: ChargeModel


class Conversion(Struct, frozen=True, kw_only=True):
    """A charge whose settings are in a pricing unit, and what one such unit is worth.

    Amounts are computed in the unit; `rate` turns them into the charge's asset. `scale` is the
    number of decimals the unit is shown with: a fee is rounded to it before it is converted.
    Source: Lago's applied pricing units.
    """

    code: str
    scale: int
    rate: Decimal


class Charge(Struct, frozen=True, kw_only=True):
    """One metric, how its events become units, and how units become money.

    Events that no filter takes go to the default bucket, priced by `model`. A charge without a
    `model` has no default bucket: what its filters do not list has no price (UnknownPrice).
    """

    id: UUID
    code: str
    billable_metric_code: str
    aggregation: Aggregation
    field_name: str | None = None
    expression: str | None = None
    """What the property `field_name` is computed from, instead of being sent."""
    model: ChargeModel | None = None
    filters: tuple[ChargeFilter, ...] = ()
    metric_filters: dict[str, tuple[str, ...]] = {}
    """The values the metric declares per key: what `filters.ALL_VALUES` stands for."""
    asset_code: str
    alternatives: tuple[Charge, ...] = ()
    """The same usage priced in other assets, for who cannot pay in this one: in order of choice."""
    recurring: bool = False
    """Units stay from period to period (seats, storage)."""
    prorated: bool = False
    """Recurring units count for the days of the period that they were there."""
    rounding_function: str | None = None
    """How the period's units are rounded before they are priced; single events are not."""
    rounding_precision: int = 0
    pricing_group_keys: tuple[str, ...] = ()
    """Properties whose values each have a total, and so a price, of their own."""
    presentation_group_keys: tuple[str, ...] = ()
    """Properties by which usage is broken down where it is shown, with no effect on the price."""
    accepts_target_wallet: bool = False
    """The event may name the one wallet that pays (`target_wallet_code`); each is a group."""
    conversion: Conversion | None = None
    min_amount: Decimal = ZERO
    """What the period costs at least, in units of the asset."""
    pay_in_advance: bool = False
    invoiceable: bool = True

    def __post_init__(self) -> None:
        if self.aggregation != "count_agg" and not self.field_name:
            message = f"{self.aggregation} needs a field_name"
            raise ValueError(message)
