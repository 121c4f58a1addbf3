"""Alerts of subscriptions: usage is looked at once a minute, and thresholds it passed are told."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import groupby
from typing import Any, Final
from uuid import UUID

import structlog
from msgspec import structs

from invoicing import lifetime_usages, outbox, subscription_alerts, subscriptions
from invoicing.errors import InvoicingError
from invoicing.subscription_alerts import SubscriptionAlert, Threshold
from invoicing.subscriptions import Subscription
from invoicing.usage import Wanted
from ledger.ids import new_uuid
from wallet_service.api.schemas.usage import CustomerUsageBody, usage_body
from wallet_service.errors import WalletError
from wallet_service.jobs.leader import Deposed, Term
from wallet_service.replies import decimal_text, iso
from wallet_service.services import Services

__all__ = ["tell_alerts"]

log: Final = structlog.get_logger("wallet_service.jobs.subscription_alerts")

EVERY_S: Final = 60
_PORTION: Final = 500
_PORTIONS_MAX: Final = 100
_LIFETIME: Final = "billable_metric_lifetime_usage_units"


async def tell_alerts(
    services: Services, term: Term, *, every_s: float = EVERY_S, portion: int = _PORTION
) -> int:
    """Look at the usage of all who have alerts, and tell of what was crossed; says of how many."""
    told = 0
    before = datetime.now(UTC) - timedelta(seconds=every_s)
    for _ in range(_PORTIONS_MAX):
        async with services.database.worker.acquire() as connection:
            found = await subscription_alerts.due(connection, before=before, limit=portion)
        for (organization_id, external_id), alerts in groupby(found, key=_of_subscription):
            term.check()
            of_one = list(alerts)
            try:
                told += await _look(services, term, organization_id, external_id, of_one)
            except Deposed:
                raise
            except Exception:  # one that is wrong keeps nobody else waiting
                log.exception("alerts_fail", subscription=external_id, alert=str(of_one[0].id))
                await _put_off(services, term, organization_id, of_one)
        if len(found) < portion:
            break
    return told


def _of_subscription(alert: SubscriptionAlert) -> tuple[UUID, str]:
    return alert.organization_id, alert.external_subscription_id


async def _put_off(
    services: Services, term: Term, organization_id: UUID, alerts: list[SubscriptionAlert]
) -> None:
    """Look at these again when all others had their turn."""
    async with services.database.worker.acquire() as connection, connection.transaction():
        await term.guard(connection)
        ids = [alert.id for alert in alerts]
        await subscription_alerts.put_off(connection, organization_id, ids, now=datetime.now(UTC))


async def _look(
    services: Services,
    term: Term,
    organization_id: UUID,
    external_id: str,
    alerts: list[SubscriptionAlert],
) -> int:
    """Look at one subscription; what cannot be counted now is looked at the next time."""
    now = datetime.now(UTC)
    async with services.database.tenant(organization_id) as connection:
        subscription = await subscriptions.find(connection, organization_id, external_id)
    if subscription is None:  # it has just ended
        return 0
    values: dict[UUID, Decimal] = {}
    try:
        values = await _values(services, subscription, alerts, now=now)
    except (InvoicingError, WalletError) as error:
        log.warning("alerts_wait", subscription=str(subscription.id), reason=error.code)
    except Exception:  # one that is wrong keeps nobody else waiting
        log.exception("alerts_wait", subscription=str(subscription.id))
    told = 0
    async with services.database.worker.acquire() as connection, connection.transaction():
        await term.guard(connection)
        for one in sorted(alerts, key=lambda alert: alert.id):
            alert = await subscription_alerts.lock(connection, organization_id, one.id)
            if alert is None:
                continue
            value = values.get(alert.id, alert.previous_value)
            passed = subscription_alerts.crossed(alert.thresholds, alert.previous_value, value)
            if passed:
                await _tell(connection, alert, subscription, passed, value, now=now)
                told += 1
            await subscription_alerts.save(
                connection, structs.replace(alert, previous_value=value, last_processed_at=now)
            )
    return told


async def _values(
    services: Services,
    subscription: Subscription,
    alerts: Iterable[SubscriptionAlert],
    *,
    now: datetime,
) -> dict[UUID, Decimal]:
    """What each alert is about, as it is used now."""
    alerts = list(alerts)
    usage = await _usage(services, subscription, now=now)
    ever = usage
    if any(alert.alert_type == _LIFETIME for alert in alerts):
        ever = await _usage(services, subscription, since_start=True, now=now)
    lifetime_cents = usage.amount_cents
    if any(alert.alert_type == "lifetime_usage_amount" for alert in alerts):
        async with services.database.tenant(subscription.organization_id) as connection:
            found = await lifetime_usages.find(connection, subscription, now=now)
        lifetime_cents += found.historical_cents + found.invoiced_cents
    values: dict[UUID, Decimal] = {}
    for alert in alerts:
        code = alert.billable_metric_code or ""
        if alert.alert_type == "current_usage_amount":
            values[alert.id] = Decimal(usage.amount_cents)
        elif alert.alert_type == "lifetime_usage_amount":
            values[alert.id] = Decimal(lifetime_cents)
        elif alert.alert_type == "billable_metric_current_usage_amount":
            values[alert.id] = Decimal(_cents_of(usage, code))
        else:
            is_ever = alert.alert_type == _LIFETIME
            values[alert.id] = _units_of(ever if is_ever else usage, code)
    return values


async def _usage(
    services: Services, subscription: Subscription, *, since_start: bool = False, now: datetime
) -> CustomerUsageBody:
    report = await services.usage_reports.current(
        subscription.organization_id,
        subscription.external_customer_id,
        subscription.external_id,
        Wanted(),
        since_start=since_start,
        now=now,
    )
    scales: dict[str, int] = {}
    for code in {charge.charge.rated.asset_code for charge in report.usage.charges}:
        asset = await services.rates.asset(subscription.organization_id, code, now=now)
        scales[code] = asset.scale
    return usage_body(report, scales)


def _cents_of(usage: CustomerUsageBody, code: str) -> int:
    """What a metric costs in the plan's currency, over all charges that price it."""
    return sum(
        one.amount_cents
        for one in usage.charges_usage
        if one.billable_metric.code == code and one.amount_currency == usage.currency
    )


def _units_of(usage: CustomerUsageBody, code: str) -> Decimal:
    """The units of a metric: charges that price the same metric count the same ones."""
    counted = (one.units for one in usage.charges_usage if one.billable_metric.code == code)
    return max((Decimal(units) for units in counted), default=Decimal(0))


async def _tell(
    connection: Any,
    alert: SubscriptionAlert,
    subscription: Subscription,
    passed: list[Threshold],
    value: Decimal,
    *,
    now: datetime,
) -> None:
    triggered_id = new_uuid(now)
    await outbox.add(
        connection,
        alert.organization_id,
        "alert.triggered",
        object_type="triggered_alert",
        object_id=triggered_id,
        payload={
            "lago_id": str(triggered_id),
            "lago_organization_id": str(alert.organization_id),
            "lago_alert_id": str(alert.id),
            "lago_subscription_id": str(subscription.id),
            "external_subscription_id": subscription.external_id,
            "lago_customer_id": str(subscription.customer_id),
            "external_customer_id": subscription.external_customer_id,
            "billable_metric_code": alert.billable_metric_code,
            "alert_name": alert.name,
            "alert_code": alert.code,
            "alert_type": alert.alert_type,
            "previous_value": decimal_text(alert.previous_value),
            "current_value": decimal_text(value),
            "crossed_thresholds": [
                {
                    "code": one.code,
                    "value": decimal_text(one.value),
                    "recurring": one.recurring,
                }
                for one in passed
            ],
            "triggered_at": iso(now),
        },
        now=now,
    )
