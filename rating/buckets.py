"""A bucket: one price of a rate card, and when it can be known.

When a price is known depends on how units add up (the aggregation) and how they become money (the
model):

    linear      each unit costs the same whatever came before: an event's price needs no total
    running     an event costs what it adds to the price of the total so far
    deferred    known only when the period has ended: nothing is charged before
"""

from __future__ import annotations

from typing import Literal, TypeAlias
from uuid import UUID

from msgspec import Struct

from rating.aggregations import Aggregation
from rating.charge_models import ChargeModel
from rating.charges import Charge, Conversion

Timing: TypeAlias = Literal["linear", "running", "deferred"]


class Bucket(Struct, frozen=True, kw_only=True):
    """Where events of one charge go that have the same price."""

    charge_id: UUID
    filter_id: UUID | None
    """None: the charge's default bucket."""
    code: str
    """The billable metric's code, as events give it."""
    asset_code: str
    model: ChargeModel
    aggregation: Aggregation
    timing: Timing
    recurring: bool = False
    prorated: bool = False
    conversion: Conversion | None = None


def bucket_of(charge: Charge, model: ChargeModel, *, filter_id: UUID | None = None) -> Bucket:
    """The bucket of a charge for one of its filters, or its default one."""
    return Bucket(
        charge_id=charge.id,
        filter_id=filter_id,
        code=charge.billable_metric_code,
        asset_code=charge.asset_code,
        model=model,
        aggregation=charge.aggregation,
        timing=timing_of(charge, model),
        recurring=charge.recurring,
        prorated=charge.prorated,
        conversion=charge.conversion,
    )


def timing_of(charge: Charge, model: ChargeModel) -> Timing:
    """When the price of an event under this charge and model is known.

    A gauge (latest) and an integral over time (weighted sum) have no price before the period's
    end. A prorated price is known at once only if it is linear: the days that are left are, and the
    total says how many units have been paid for.
    """
    if charge.aggregation in {"latest_agg", "weighted_sum_agg"}:
        return "deferred"
    if charge.prorated:
        return "running" if model.is_linear else "deferred"
    if model.is_linear and charge.aggregation in {"count_agg", "sum_agg"}:
        return "linear"
    return "running"
