"""A charge: what a plan asks for the usage that one billable metric measures."""

from __future__ import annotations

from uuid import UUID

from msgspec import Struct

from rating.aggregations import Aggregation
from rating.charge_models import ChargeModel


class ChargeFilter(Struct, frozen=True, kw_only=True):
    """A price of its own for the events whose properties have these values.

    `values` names, per key, the values it takes, or `filters.ALL_VALUES` for all that the
    metric declares.
    """

    id: UUID
    values: dict[str, tuple[str, ...]]
    model: ChargeModel


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
    model: ChargeModel | None = None
    filters: tuple[ChargeFilter, ...] = ()
    metric_filters: dict[str, tuple[str, ...]] = {}
    """The values the metric declares per key: what `filters.ALL_VALUES` stands for."""
    asset_code: str
    pay_in_advance: bool = False
    invoiceable: bool = True

    def __post_init__(self) -> None:
        if self.aggregation != "count_agg" and not self.field_name:
            message = f"{self.aggregation} needs a field_name"
            raise ValueError(message)
