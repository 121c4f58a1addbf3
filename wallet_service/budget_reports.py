"""What was spent of a budget, bucket by bucket, and the alerts that it has raised."""

from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from msgspec import Struct

from invoicing import customers
from invoicing.pages import Page, Window
from invoicing.records import Connection, load_queries
from wallet_service.budget_counters import window_of
from wallet_service.budget_scopes import OF_CUSTOMER
from wallet_service.budgets import BudgetRow, find_row
from wallet_service.decision import Asset
from wallet_service.decision.budget_windows import Rolling, counts_from, ends_at, starts_at
from wallet_service.errors import Invalid
from wallet_service.replies import iso

__all__ = ["AlertBody", "BucketBody", "find_alerts", "find_usage"]

_queries: Final[Any] = load_queries(__file__)

_COUNT_MAX: Final = 100_000
_UNTOUCHED: Final[dict[str, Any]] = {
    "bucket": "",
    "held_minor": 0,
    "spent_minor": 0,
    "external_customer_id": None,
}
"""A budget of one bucket that nobody has used yet."""


class BucketBody(Struct, kw_only=True):
    """Where a bucket of a budget stands now: one for each value of what it is per, or just one."""

    bucket: str
    external_customer_id: str | None
    asset_code: str
    limit: str
    spent: str
    held: str
    remaining: str
    window_start: str | None
    window_end: str | None


class AlertBody(Struct, kw_only=True):
    """Spending reached a threshold; `spent` and `limit` are as they were then."""

    id: UUID
    budget_id: UUID
    budget_code: str
    bucket: str
    percentage: int
    asset_code: str
    limit: str
    spent: str
    window_start: str | None
    created_at: str


async def find_usage(
    connection: Connection,
    organization_id: UUID,
    code: str,
    *,
    bucket: str | None,
    external_customer_id: str | None,
    window: Window,
    now: datetime,
) -> Page[BucketBody]:
    """A page of a budget's buckets and where they stand, by name. Raises NotFound, Invalid."""
    budget, asset = await find_row(connection, organization_id, code, now=now)
    if external_customer_id is not None:
        if budget.per != OF_CUSTOMER:
            raise Invalid("external_customer_id", "value_is_invalid", "not a budget per customer")
        customer = await customers.get(connection, organization_id, external_customer_id)
        bucket = str(customer.id)
    wanted = {"organization_id": organization_id, "budget_id": budget.id, "bucket": bucket}
    terms = window_of(budget.time_window)
    rows = [
        row
        async for row in _queries.list_buckets(
            connection,
            **wanted,
            is_per_customer=budget.per == OF_CUSTOMER,
            counts_from=counts_from(terms, now),
            limit=window.size,
            offset=window.offset,
        )
    ]
    count = await _queries.count_buckets(connection, **wanted, count_max=_COUNT_MAX)
    if not count and budget.per is None and not bucket:
        count, rows = 1, [_UNTOUCHED][window.offset : window.offset + 1]
    return Page([_bucket_body(budget, asset, row, now=now) for row in rows], count)


async def find_alerts(
    connection: Connection,
    organization_id: UUID,
    code: str,
    *,
    bucket: str | None,
    window: Window,
    now: datetime,
) -> Page[AlertBody]:
    """A page of the alerts that a budget has raised, newest first. Raises NotFound."""
    budget, asset = await find_row(connection, organization_id, code, now=now)
    wanted = {"organization_id": organization_id, "budget_id": budget.id, "bucket": bucket}
    bodies = [
        AlertBody(
            id=row["id"],
            budget_id=budget.id,
            budget_code=budget.code,
            bucket=row["bucket"],
            percentage=row["percentage"],
            asset_code=asset.code,
            limit=asset.format(row["limit_minor"]),
            spent=asset.format(int(row["spent_minor"])),
            window_start=_optional_iso(row["window_start"]),
            created_at=iso(row["created_at"]),
        )
        async for row in _queries.list_alerts(
            connection, **wanted, limit=window.size, offset=window.offset
        )
    ]
    return Page(bodies, await _queries.count_alerts(connection, **wanted, count_max=_COUNT_MAX))


# -- parts -----------------------------------------------------------------------------------------


def _bucket_body(budget: BudgetRow, asset: Asset, row: Any, *, now: datetime) -> BucketBody:
    spent, held = int(row["spent_minor"]), int(row["held_minor"])
    start, end = _bounds(budget, now)
    return BucketBody(
        bucket=row["bucket"],
        external_customer_id=row["external_customer_id"],
        asset_code=asset.code,
        limit=asset.format(budget.limit_minor),
        spent=asset.format(spent),
        held=asset.format(held),
        remaining=asset.format(max(0, budget.limit_minor - spent - held)),
        window_start=_optional_iso(start),
        window_end=_optional_iso(end),
    )


def _bounds(budget: BudgetRow, now: datetime) -> tuple[datetime | None, datetime | None]:
    """From when to when what is spent counts."""
    window = window_of(budget.time_window)
    if isinstance(window, Rolling):
        return now - timedelta(seconds=window.seconds), now
    return (None, None) if window is None else (starts_at(window, now), ends_at(window, now))


def _optional_iso(at: datetime | None) -> str | None:
    return None if at is None else iso(at)
