"""Usage is billed as soon as lifetime usage reaches a threshold, before its period ends."""

from collections.abc import Callable
from datetime import datetime
from typing import Final
from uuid import UUID

import structlog
from msgspec import structs

from invoicing import billed_periods, lifetime_usages, subscriptions
from invoicing.billing_facts import Recipient
from invoicing.billing_moments import BillingMoment, stretch
from invoicing.billing_schedule import DueMoment, ScheduledSubscription, find_scheduled
from invoicing.errors import InvoicingError
from invoicing.invoice_building import Billable, BuiltInvoice, build_invoice
from invoicing.invoices import Invoice
from invoicing.periods import Bounds, period_at
from invoicing.progressive_billing import Watched, applied, crossed, find_watched, reached_before
from invoicing.records import Connection
from wallet_service.billing import Billing, Run
from wallet_service.errors import WalletError
from wallet_service.invoice_finishing import InvoiceFinisher, Opening
from wallet_service.invoice_writing import total_all

__all__ = ["ProgressiveBilling"]

log: Final = structlog.get_logger("wallet_service.billing")

_PORTION: Final = 200
_NIL: Final = UUID(int=0)


class ProgressiveBilling:
    """Looks at the subscriptions that have thresholds."""

    def __init__(self, *, billing: Billing, finisher: InvoiceFinisher) -> None:
        self._billing = billing
        self._finisher = finisher

    async def run(
        self, opened: Opening, *, now: datetime, check: Callable[[], None] = lambda: None
    ) -> int:
        """Bill the usage of whoever has crossed a threshold; says how many invoices that made."""
        made, after = 0, _NIL
        while True:
            check()
            async with opened() as connection:
                watched = await find_watched(connection, after=after, limit=_PORTION)
            for one in watched:
                check()
                try:
                    made += await self._look_at(opened, one, now=now)
                except (InvoicingError, WalletError) as error:
                    log.warning("threshold_waits", subscription=str(one.id), reason=error.code)
            if len(watched) < _PORTION:
                return made
            after = watched[-1].id

    async def _look_at(self, opened: Opening, watched: Watched, *, now: datetime) -> int:
        """Bill one subscription, if it has crossed a threshold."""
        run = Run(until=now, now=now, organization_id=watched.organization_id)
        place = watched.organization_id, watched.id
        async with opened() as connection:
            found = await self._built(connection, run, watched)
        if found is None:
            return 0
        before, built = found
        async with opened() as connection:
            if await reached_before(connection, *place, locks=True) != before:
                return 0
            (totalled,) = await total_all(connection, run.taxes, [built], locks=True, now=now)
            await billed_periods.claim(connection, built.periods)
        await self._finisher.finish(opened, [totalled.invoice], now=now)
        return 1

    async def _built(
        self, connection: Connection, run: Run, watched: Watched
    ) -> tuple[int, BuiltInvoice] | None:
        """The invoice, and the lifetime usage of the one before it; None where none is due."""
        place = watched.organization_id, watched.id
        (scheduled,) = await find_scheduled(connection, [place], now=run.now)
        moment = _moment(scheduled, now=run.now)
        if moment is None:
            return None
        due = DueMoment(scheduled, moment, scheduled.next_billing_at)
        recipients, (billable,) = await self._billing.read(connection, run, [due])
        only_usage = structs.replace(billable, late=(), terms=None)
        built = _progressive(only_usage, recipients[watched.id], now=run.now)
        subscription = await subscriptions.get(connection, place[0], watched.external_id)
        lifetime = await lifetime_usages.find(connection, subscription, now=run.now)
        used = sum(fee.amount_cents for fee in built.fees)
        total = lifetime.historical_cents + lifetime.invoiced_cents + used
        before = await reached_before(connection, *place)
        passed = crossed(watched.thresholds, before, total)
        if not passed or not used:
            return None
        invoice = structs.replace(
            built.invoice,
            applied_usage_thresholds=applied(passed, lifetime_cents=total, now=run.now),
        )
        return before, structs.replace(built, invoice=invoice)


def _moment(subscription: ScheduledSubscription, *, now: datetime) -> BillingMoment | None:
    """The usage of the running period until now."""
    is_monthly = subscription.bill_charges_monthly and subscription.interval in {
        "yearly",
        "semiannual",
    }
    whole = period_at(
        now,
        interval="monthly" if is_monthly else subscription.interval,
        billing_time=subscription.billing_time,
        anchor=subscription.subscription_at,
        zone=subscription.zone,
    )
    start = max(whole.start, subscription.started_at)
    days = stretch(Bounds(start, now), whole, subscription.zone)
    if days is None:
        return None
    return BillingMoment(billing_at=now, reason="progressive_billing", charges_period=days)


def _progressive(billable: Billable, recipient: Recipient, *, now: datetime) -> BuiltInvoice:
    built = build_invoice([billable], recipient, now=now)
    invoice: Invoice = structs.replace(
        built.invoice, invoice_type="progressive_billing", status="generating"
    )
    fees = [fee for fee in built.fees if fee.events_count]  # a minimum is not missing yet
    return structs.replace(built, invoice=invoice, fees=fees)
