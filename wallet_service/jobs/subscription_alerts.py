"""Alerts of subscriptions: those that were used are looked at, and told what that has passed."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import groupby
from typing import Final
from uuid import UUID

import asyncpg
import structlog
from msgspec import Struct, structs

from invoicing import billing_runs, lifetime_usages, outbox, subscription_alerts, subscriptions
from invoicing.errors import InvoicingError
from invoicing.records import Connection
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
_LOOK_AGAIN: Final = timedelta(hours=1)
"""Usage also moves without events: with time, and with prices."""
_PROBLEMS: Final = (InvoicingError, WalletError, asyncpg.PostgresError, ArithmeticError)
_LIFETIME: Final = "billable_metric_lifetime_usage_units"


async def tell_alerts(
    services: Services, term: Term, *, every_s: float = EVERY_S, portion: int = _PORTION
) -> int:
    """Look at the usage of whoever has alerts and was used, and tell of what was crossed.

    Says how many alerts that were.
    """
    told = 0
    now = datetime.now(UTC)
    before, long_ago = now - timedelta(seconds=every_s), now - _LOOK_AGAIN
    for _ in range(_PORTIONS_MAX):
        async with services.database.worker.acquire() as connection:
            found = await subscription_alerts.due(
                connection, before=before, long_ago=long_ago, limit=portion
            )
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
    """Look at one subscription; an alert that cannot be looked at now keeps no other waiting."""
    now = datetime.now(UTC)
    async with services.database.tenant(organization_id) as connection:
        subscription = await subscriptions.find(connection, organization_id, external_id)
        sealed = await billing_runs.snapshot(connection)  # before usage is read: nothing is missed
    if subscription is None:  # it has just ended
        return 0
    usage = _Usage(services, subscription, now=now)
    told, failed = 0, list[SubscriptionAlert]()
    for alert in sorted(alerts, key=lambda one: one.id):
        try:
            seen = await usage.of(alert)
            async with services.database.worker.acquire() as connection, connection.transaction():
                await term.guard(connection)
                told += await _note(connection, alert, subscription, seen, sealed, now=now)
        except Deposed:
            raise
        except (InvoicingError, WalletError) as error:
            log.warning("alert_waits", alert=str(alert.id), reason=error.code)
            failed.append(alert)
        except Exception:  # whatever is wrong with one is no reason to leave the others
            log.exception("alert_waits", alert=str(alert.id))
            failed.append(alert)
    if failed:
        await _put_off(services, term, organization_id, failed)
    return told


async def _note(
    connection: Connection,
    alert: SubscriptionAlert,
    subscription: Subscription,
    seen: "_Seen",
    sealed_xact_id: int,
    *,
    now: datetime,
) -> bool:
    """Note what was seen for an alert, and tell what that has crossed; says whether it did."""
    locked = await subscription_alerts.lock(connection, alert.organization_id, alert.id)
    if locked is None or locked.updated_at != alert.updated_at:  # it is looked at the next time
        return False
    before = structs.replace(locked, previous_value=locked.seen_of(seen.began_at))
    passed = subscription_alerts.crossed(before.thresholds, before.previous_value, seen.value)
    if passed:
        await _tell(connection, before, subscription, passed, seen.value, now=now)
    after = structs.replace(
        locked,
        previous_value=seen.value,
        counted_at=now,
        sealed_xact_id=sealed_xact_id,
        last_processed_at=now,
    )
    await subscription_alerts.save(connection, after)
    return bool(passed)


class _Seen(Struct, frozen=True, kw_only=True):
    """What an alert is about, as it is used now."""

    value: Decimal
    began_at: datetime


class _Usage:
    """The usage of a subscription, read where an alert is about it."""

    def __init__(self, services: Services, subscription: Subscription, *, now: datetime) -> None:
        self._services = services
        self._subscription = subscription
        self._now = now
        self._read: dict[bool, tuple[CustomerUsageBody, datetime] | Exception] = {}

    async def of(self, alert: SubscriptionAlert) -> _Seen:
        """What one alert is about; raises what keeps that from being counted."""
        code = alert.billable_metric_code or ""
        usage, began_at = await self._body(since_start=alert.alert_type == _LIFETIME)
        if alert.alert_type == "current_usage_amount":
            value = Decimal(usage.amount_cents)
        elif alert.alert_type == "lifetime_usage_amount":
            value = Decimal(usage.amount_cents + await self._cents_before())
        elif alert.alert_type == "billable_metric_current_usage_amount":
            value = Decimal(_cents_of(usage, code))
        else:
            value = _units_of(usage, code)
        return _Seen(value=value, began_at=began_at)

    async def _cents_before(self) -> int:
        """Lifetime usage, but for the running period."""
        subscription = self._subscription
        async with self._services.database.tenant(subscription.organization_id) as connection:
            found = await lifetime_usages.find(connection, subscription, now=self._now)
        return found.historical_cents + found.invoiced_cents

    async def _body(self, *, since_start: bool) -> tuple[CustomerUsageBody, datetime]:
        """The usage of the running period, or all there ever was, and when it began. Read once."""
        if since_start not in self._read:
            try:
                self._read[since_start] = await self._report(since_start=since_start)
            except _PROBLEMS as error:
                self._read[since_start] = error
        read = self._read[since_start]
        if isinstance(read, Exception):
            raise read
        return read

    async def _report(self, *, since_start: bool) -> tuple[CustomerUsageBody, datetime]:
        subscription = self._subscription
        report = await self._services.usage_reports.current(
            subscription.organization_id,
            subscription.external_customer_id,
            subscription.external_id,
            Wanted(),
            since_start=since_start,
            now=self._now,
        )
        scales: dict[str, int] = {}
        for code in {charge.charge.rated.asset_code for charge in report.usage.charges}:
            asset = await self._services.rates.asset(
                subscription.organization_id, code, now=self._now
            )
            scales[code] = asset.scale
        return usage_body(report, scales), report.start


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
    connection: Connection,
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
