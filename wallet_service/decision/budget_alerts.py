"""Alerts of budgets: told once when spending reaches a threshold, and armed again well below it.

Or in the next calendar window. Pure.
"""

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import TypeAlias
from uuid import UUID

from .budget_state import AlertRow, BucketState, BudgetKey
from .budget_windows import Calendar, counts, starts_at

__all__ = ["AlertId", "raise_alerts", "rearm", "spent_of"]

AlertId: TypeAlias = Callable[[str], UUID]
"""Gives the alert of this name its id, the same in every attempt."""


def spent_of(bucket: BucketState, now: datetime) -> int:
    """What was spent and still counts."""
    window = bucket.terms.window
    return sum(amount for start, amount in bucket.spent.items() if counts(window, start, now))


def raise_alerts(
    key: BudgetKey, bucket: BucketState, *, now: datetime, alert_id: AlertId
) -> list[AlertRow]:
    """The alerts that spending has reached and that are armed; they are not any more then."""
    terms = bucket.terms
    spent = spent_of(bucket, now)
    rows = [
        AlertRow(
            id=alert_id(f"alert/{key.budget_id}/{key.bucket}/{threshold.percentage}"),
            key=key,
            percentage=threshold.percentage,
            limit_minor=terms.limit_minor,
            spent_minor=Decimal(spent),
            window_start=_window_start(bucket, now),
            at=now,
        )
        for threshold in terms.thresholds
        if threshold.percentage not in bucket.raised
        and spent > 0
        and _reaches(spent, threshold.percentage, terms.limit_minor)
    ]
    bucket.raised += tuple(row.percentage for row in rows)
    return rows


def rearm(bucket: BucketState, now: datetime) -> None:
    """Alerts are armed again in a new calendar window, and where spending has fallen enough."""
    terms = bucket.terms
    window_start = _window_start(bucket, now)
    # Clocks of two batches may be a moment apart: a window that is over does not come back.
    if window_start is not None and (bucket.raised_in is None or window_start > bucket.raised_in):
        bucket.raised, bucket.raised_in = (), window_start
    if bucket.raised:
        spent = spent_of(bucket, now)
        high = {
            threshold.percentage
            for threshold in terms.thresholds
            if spent > 0 and _reaches(spent, threshold.rearm_below, terms.limit_minor)
        }
        bucket.raised = tuple(one for one in bucket.raised if one in high)


def _window_start(bucket: BucketState, now: datetime) -> datetime | None:
    """When the calendar window began; None where there is none."""
    window = bucket.terms.window
    return starts_at(window, now) if isinstance(window, Calendar) else None


def _reaches(spent: int, percentage: int, limit_minor: int) -> bool:
    return spent * 100 >= percentage * limit_minor
