"""Lifetime usage: what a subscription has used since it began, over periods and changes of plan.

It is what usage thresholds are compared with: what was used before it was counted here, what was
invoiced, and what was used in the running period. Source: Lago, lifetime usage.
"""

from collections.abc import Sequence
from datetime import datetime
from fractions import Fraction
from typing import Final
from uuid import UUID

from msgspec import Struct

from invoicing.errors import Invalid
from invoicing.records import Connection, load_queries
from invoicing.subscriptions import Subscription
from invoicing.usage_thresholds import UsageThreshold
from ledger.ids import new_uuid

__all__ = ["LifetimeUsage", "ReachedThreshold", "find", "put_historical", "reached"]

_queries: Final = load_queries(__file__)

_AMOUNT_CENTS_MAX: Final = 2**63 - 1


class ReachedThreshold(Struct, frozen=True, kw_only=True):
    """How far usage is on its way to a threshold."""

    amount_cents: int
    completion: Fraction
    """From 0 to 1."""
    reached_at: datetime | None


class LifetimeUsage(Struct, frozen=True, kw_only=True):
    """What a subscription has used, but for the running period."""

    id: UUID
    historical_cents: int
    invoiced_cents: int
    started_at: datetime | None
    reached_at: dict[str, datetime]
    """When thresholds were crossed, by their ids."""


async def find(
    connection: Connection,
    subscription: Subscription,
    *,
    now: datetime,
    since: datetime | None = None,
) -> LifetimeUsage:
    """The lifetime usage of a subscription; of one that never started, nothing.

    `since` is from when on its usage is not invoiced yet; None: since its plan's period began.
    """
    named = {
        "organization_id": subscription.organization_id,
        "external_subscription_id": subscription.external_id,
    }
    historical = await _queries.find_historical(connection, **named)
    started_at = subscription.started_at
    invoiced_cents = 0
    if started_at is not None:
        invoiced_cents = await _queries.sum_invoiced(
            connection,
            **named,
            subscription_id=subscription.id,
            currency=subscription.plan_amount_currency,
            period_start=since or subscription.period_at(max(now, started_at)).start,
        )
    reached_rows = _queries.find_reached(connection, **named)
    return LifetimeUsage(
        id=subscription.id if historical is None else historical["id"],
        historical_cents=0 if historical is None else historical["historical_amount_cents"],
        invoiced_cents=invoiced_cents,
        started_at=await _queries.find_first_start(connection, **named),
        reached_at={row["threshold_id"]: row["reached_at"] async for row in reached_rows},
    )


async def put_historical(
    connection: Connection, subscription: Subscription, amount_cents: int, *, now: datetime
) -> None:
    """Say what was used before it was counted here; raises Invalid."""
    if not 0 <= amount_cents <= _AMOUNT_CENTS_MAX:
        raise Invalid.field("external_historical_usage_amount_cents", "value_is_out_of_range")
    await _queries.put_historical(
        connection,
        organization_id=subscription.organization_id,
        id=new_uuid(now),
        external_subscription_id=subscription.external_id,
        amount_cents=amount_cents,
        now=now,
    )


def reached(
    thresholds: Sequence[UsageThreshold], total_cents: int, reached_at: dict[str, datetime]
) -> list[ReachedThreshold]:
    """How far each threshold is; of the recurring one, the next time that it will be crossed.

    It recurs after the last of the others: at that amount plus its own, twice its own, and so on.
    """
    shown: list[ReachedThreshold] = []
    last_cents = 0
    for one in thresholds:
        start_cents = last_cents if one.recurring else 0
        if one.recurring:
            start_cents += max(total_cents - last_cents, 0) // one.amount_cents * one.amount_cents
        done = Fraction(max(total_cents - start_cents, 0), one.amount_cents)
        shown.append(
            ReachedThreshold(
                amount_cents=start_cents + one.amount_cents,
                completion=min(done, Fraction(1)),
                reached_at=None if one.recurring else reached_at.get(str(one.id)),
            )
        )
        last_cents = max(last_cents, one.amount_cents)
    return shown
