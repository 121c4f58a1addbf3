"""Alerts of subscriptions: word of usage that passes a threshold.

An alert remembers what was used when it was looked at last, and tells of all thresholds that were
crossed since, at once. In a new period usage begins anew, and so do they. Source: Lago, alerts.
"""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, ClassVar, Final
from uuid import UUID

from msgspec import UNSET, Struct, UnsetType, structs

from invoicing import billable_metrics
from invoicing.errors import Invalid, NotFound
from invoicing.pages import Page, Window
from invoicing.records import Connection, Record, apply, load_queries
from ledger.ids import new_uuid
from rating.exact import EXACT, ZERO

__all__ = [
    "AlertChanges",
    "SubscriptionAlert",
    "Threshold",
    "create",
    "crossed",
    "delete",
    "due",
    "find_all",
    "get",
    "lock",
    "put_off",
    "save",
    "update",
]

_queries: Final[Any] = load_queries(__file__)

OF_METRICS: Final = (
    "billable_metric_current_usage_amount",
    "billable_metric_current_usage_units",
    "billable_metric_lifetime_usage_units",
)
TYPES: Final = ("current_usage_amount", "lifetime_usage_amount", *OF_METRICS)
ALERTS_MAX: Final = 50
THRESHOLDS_MAX: Final = 20
_VALUE_MAX: Final = Decimal(10) ** 18
_PLACES_MAX: Final = 15
_CROSSED_MAX: Final = 100


class Threshold(Struct, frozen=True, kw_only=True):
    """A value to be passed; a recurring one is passed again each time that as much is added."""

    code: str | None = None
    value: Decimal
    recurring: bool = False


class SubscriptionAlert(Record, frozen=True, kw_only=True):
    """An alert as stored. Amounts are in cents of the plan's currency, units as they are."""

    json_columns: ClassVar[tuple[str, ...]] = ("thresholds",)

    organization_id: UUID
    id: UUID
    external_subscription_id: str
    code: str
    name: str | None = None
    alert_type: str
    billable_metric_id: UUID | None = None
    billable_metric_code: str | None = None
    thresholds: list[Threshold]
    previous_value: Decimal = Decimal(0)
    last_processed_at: datetime | None = None
    created_at: datetime
    updated_at: datetime
    sealed_xact_id: int | None = None
    """Events of transactions from this one on may not have been seen; None: to be looked at."""
    counted_at: datetime | None = None
    """When `previous_value` was counted; `last_processed_at` may be a look that failed."""

    def seen_of(self, began_at: datetime) -> Decimal:
        """What was seen of usage that began at a time: nothing of what began after the last look.

        A new period, and the subscription of another plan, begin at nothing.
        """
        if self.alert_type == "lifetime_usage_amount":  # it goes on over both
            return self.previous_value
        counted_at = self.counted_at or self.last_processed_at
        is_new = counted_at is not None and began_at > counted_at
        return ZERO if is_new else self.previous_value


class AlertChanges(Struct, kw_only=True):
    """An alert as a caller gives it."""

    code: str | UnsetType = UNSET
    name: str | UnsetType | None = UNSET
    alert_type: str | UnsetType = UNSET
    billable_metric_code: str | UnsetType | None = UNSET
    thresholds: list[Threshold] | UnsetType = UNSET


def crossed(thresholds: Sequence[Threshold], before: Decimal, now: Decimal) -> list[Threshold]:
    """What lies between two values, each with the value that was passed; of very many, the last.

    A recurring threshold is counted from the highest of the others.

    >>> steps = [Threshold(value=Decimal(15)), Threshold(value=Decimal(30))]
    >>> more = [*steps, Threshold(value=Decimal(10), recurring=True)]
    >>> [int(one.value) for one in crossed(more, Decimal(20), Decimal(55))]
    [30, 40, 50]
    """
    once = [one for one in thresholds if not one.recurring]
    passed = [one for one in once if before < one.value <= now]
    last = max((one.value for one in once), default=Decimal(0))
    for one in thresholds:
        if one.recurring and now > last:
            until = _times(EXACT.subtract(now, last), one)
            since = _times(max(EXACT.subtract(before, last), ZERO), one)
            since = max(since, until - _CROSSED_MAX)
            passed += [
                structs.replace(one, value=EXACT.add(last, EXACT.multiply(one.value, times)))
                for times in range(since + 1, until + 1)
            ]
    return sorted(passed, key=lambda one: one.value)


def _times(value: Decimal, threshold: Threshold) -> int:
    """How often a recurring threshold is in a value: more digits than Decimal has by itself."""
    return int(EXACT.divide_int(value, threshold.value))


async def create(
    connection: Connection,
    organization_id: UUID,
    external_subscription_id: str,
    changes: AlertChanges,
    *,
    now: datetime,
) -> SubscriptionAlert:
    """Add an alert to a subscription; raises Invalid."""
    blank = SubscriptionAlert(
        organization_id=organization_id,
        id=new_uuid(now),
        external_subscription_id=external_subscription_id,
        code="",
        alert_type="",
        thresholds=[],
        created_at=now,
        updated_at=now,
    )
    alert = await _changed(connection, blank, changes, now=now)
    there = await _queries.count_alerts(connection, **_place(alert))
    if there >= ALERTS_MAX:
        raise Invalid.field("alert", "invalid_count", f"{ALERTS_MAX} alerts at most")
    if await _queries.insert_alert(connection, **alert.columns()) is None:
        raise Invalid.field("code", "value_already_exist")
    return alert


async def update(
    connection: Connection,
    organization_id: UUID,
    external_subscription_id: str,
    code: str,
    changes: AlertChanges,
    *,
    now: datetime,
) -> SubscriptionAlert:
    """Change an alert; `thresholds` replace all there were. Raises NotFound or Invalid.

    One that is about something else from now on has seen nothing of it yet.
    """
    found = await get(connection, organization_id, external_subscription_id, code)
    before = await lock(connection, organization_id, found.id)
    if before is None:
        raise NotFound("alert")
    alert = await _changed(connection, before, changes, now=now)
    if alert.code != before.code and await _find(connection, alert) is not None:
        raise Invalid.field("code", "value_already_exist")
    is_about = alert.alert_type, alert.billable_metric_id
    if is_about != (before.alert_type, before.billable_metric_id):
        alert = structs.replace(alert, previous_value=Decimal(0))
    await save(connection, structs.replace(alert, sealed_xact_id=None))
    return alert


async def get(
    connection: Connection, organization_id: UUID, external_subscription_id: str, code: str
) -> SubscriptionAlert:
    """The alert of a subscription with this code; raises NotFound."""
    row = await _queries.find_alert(
        connection,
        organization_id=organization_id,
        external_subscription_id=external_subscription_id,
        code=code,
    )
    if row is None:
        raise NotFound("alert")
    return SubscriptionAlert.of(row)


async def find_all(
    connection: Connection,
    organization_id: UUID,
    external_subscription_id: str,
    *,
    window: Window,
) -> Page[SubscriptionAlert]:
    """The alerts of a subscription, newest first."""
    place = {
        "organization_id": organization_id,
        "external_subscription_id": external_subscription_id,
    }
    rows = _queries.list_alerts(connection, **place, limit=window.size, offset=window.offset)
    items = [SubscriptionAlert.of(row) async for row in rows]
    return Page(items, await _queries.count_alerts(connection, **place))


async def delete(
    connection: Connection,
    organization_id: UUID,
    external_subscription_id: str,
    code: str | None = None,
    *,
    now: datetime,
) -> None:
    """Delete an alert of a subscription, or all."""
    await _queries.delete_alerts(
        connection,
        organization_id=organization_id,
        external_subscription_id=external_subscription_id,
        code=code,
        now=now,
    )


async def due(
    connection: Connection, *, before: datetime, long_ago: datetime, limit: int
) -> list[SubscriptionAlert]:
    """Alerts that nobody has looked at since, of all organizations.

    Of active subscriptions that were used since the last look, or were looked at long ago: usage
    also moves without events, with time and with prices.
    """
    rows = _queries.due_alerts(connection, before=before, long_ago=long_ago, limit=limit)
    return [SubscriptionAlert.of(row) async for row in rows]


async def lock(
    connection: Connection, organization_id: UUID, alert_id: UUID
) -> SubscriptionAlert | None:
    """An alert, held until the transaction ends; None where it was deleted."""
    row = await _queries.lock_alert(connection, organization_id=organization_id, id=alert_id)
    return None if row is None else SubscriptionAlert.of(row)


async def save(connection: Connection, alert: SubscriptionAlert) -> None:
    """Store what has become of an alert."""
    await _queries.update_alert(connection, **alert.columns())


async def put_off(
    connection: Connection, organization_id: UUID, alert_ids: Sequence[UUID], *, now: datetime
) -> None:
    """Count alerts as looked at, though nobody could: what they know stays as it is."""
    await _queries.put_off_alerts(
        connection, organization_id=organization_id, ids=list(alert_ids), now=now
    )


async def _find(connection: Connection, alert: SubscriptionAlert) -> Any:
    return await _queries.find_alert(connection, **_place(alert), code=alert.code)


def _place(alert: SubscriptionAlert) -> dict[str, Any]:
    return {
        "organization_id": alert.organization_id,
        "external_subscription_id": alert.external_subscription_id,
    }


async def _changed(
    connection: Connection, alert: SubscriptionAlert, changes: AlertChanges, *, now: datetime
) -> SubscriptionAlert:
    """The alert after the changes, checked; raises Invalid."""
    changed = structs.replace(apply(changes, alert), updated_at=now)
    problems: dict[str, list[str]] = {}
    if not changed.code.strip():
        problems["code"] = ["value_is_mandatory"]
    if changed.alert_type not in TYPES:
        word = "value_is_invalid" if changed.alert_type else "value_is_mandatory"
        problems["alert_type"] = [word]
    problems |= _threshold_problems(changed.thresholds)
    metric_code = changed.billable_metric_code
    if changed.alert_type in OF_METRICS and not metric_code:
        problems["billable_metric_code"] = ["value_is_mandatory"]
    if changed.alert_type not in OF_METRICS and metric_code:
        problems["billable_metric_code"] = ["value_is_invalid"]
    if problems:
        raise Invalid(problems)
    if not metric_code:
        return structs.replace(changed, billable_metric_id=None, billable_metric_code=None)
    metric = await billable_metrics.find(connection, alert.organization_id, metric_code)
    if metric is None:
        raise Invalid.field("billable_metric_code", "billable_metric_not_found")
    return structs.replace(changed, billable_metric_id=metric.id)


def _threshold_problems(thresholds: Sequence[Threshold]) -> dict[str, list[str]]:
    if not thresholds:
        return {"thresholds": ["value_is_mandatory"]}
    if len(thresholds) > THRESHOLDS_MAX:
        return {"thresholds": ["invalid_count"]}
    for position, one in enumerate(thresholds):
        exponent = one.value.as_tuple().exponent
        is_exact = isinstance(exponent, int) and exponent >= -_PLACES_MAX
        if not is_exact or not 0 < one.value <= _VALUE_MAX:
            return {f"thresholds.{position}.value": ["value_is_out_of_range"]}
    once = [one.value for one in thresholds if not one.recurring]
    if len(set(once)) < len(once) or len(thresholds) - len(once) > 1:
        return {"thresholds": ["value_is_duplicated"]}
    return {}
