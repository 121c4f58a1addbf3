"""Events played through a charge model one by one, as they are debited in real time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from functools import reduce
from typing import TypeAlias
from uuid import UUID

from msgspec.structs import replace

from rating import (
    ZERO_TOTAL,
    Bucket,
    Charge,
    ChargeModel,
    Dynamic,
    Line,
    Percentage,
    Total,
    linear,
    marginal,
)
from rating.buckets import bucket_of
from rating.exact import EXACT

CHARGE_ID = UUID(int=1)


def bucket(
    model: ChargeModel,
    *,
    charge_id: UUID = CHARGE_ID,
    filter_id: UUID | None = None,
    code: str = "api_calls",
    asset_code: str = "USD",
) -> Bucket:
    """A bucket of a charge that sums a property."""
    charge = Charge(
        id=charge_id,
        code=code,
        billable_metric_code=code,
        aggregation="sum_agg",
        field_name="units",
        model=model,
        asset_code=asset_code,
    )
    return bucket_of(charge, model, filter_id=filter_id)


def line(model: ChargeModel, units: Decimal | str | int) -> Line:
    """A line of the default bucket."""
    return Line(bucket(model), Decimal(units))


def play(
    model: ChargeModel, quantities: Iterable[Decimal | str | int]
) -> tuple[list[Decimal], Total]:
    """What each event costs when it comes in, and the total after all of them."""
    amounts: list[Decimal] = []
    total = ZERO_TOTAL
    for units in quantities:
        amount, total = marginal(line(model, units), total)
        amounts.append(amount)
    return amounts, total


def marginal_amounts(model: ChargeModel, *quantities: Decimal | str | int) -> list[Decimal]:
    """What each event costs when it comes in."""
    return play(model, quantities)[0]


Used: TypeAlias = tuple[Decimal, Decimal]
"""An event's units, and the cents that it names (for dynamic prices)."""


def price_events(
    model: ChargeModel, quantities: Sequence[Decimal], cents: Sequence[Decimal] = ()
) -> Decimal:
    """What a period of these events costs, in the order in which they count."""
    if isinstance(model, Percentage):
        return model.price_events(quantities)
    return model.price_total(
        units=reduce(EXACT.add, quantities, Decimal(0)),
        events=len(quantities),
        precise_amount_cents=reduce(EXACT.add, cents, Decimal(0)),
    )


def units_of(events: Sequence[Used]) -> list[Decimal]:
    return [units for units, _ in events]


def price(model: ChargeModel, events: Sequence[Used]) -> Decimal:
    """What a period of these events costs."""
    return price_events(model, units_of(events), [cents for _, cents in events])


def charged(model: ChargeModel, events: Sequence[Used]) -> list[Decimal]:
    """What each event costs when it comes in."""
    if isinstance(model, Dynamic):
        lines = [replace(line(model, units), precise_amount_cents=own) for units, own in events]
        return [linear(one) for one in lines]
    return play(model, units_of(events))[0]
