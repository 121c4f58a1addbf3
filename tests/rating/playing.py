"""Events played through a charge model one by one, as they are debited in real time."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from uuid import UUID

from rating import ZERO_TOTAL, Bucket, Charge, ChargeModel, Line, Total, marginal
from rating.buckets import bucket_of

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
