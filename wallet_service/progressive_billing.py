"""Usage is billed as soon as lifetime usage reaches a threshold, before its period ends.

    look      which subscriptions with thresholds have been used since they were looked at
    read      their usage, in one snapshot and without locks
    write     in one transaction, unless a subscription was changed or billed meanwhile
    finish    settled by the book, and concluded with a number (`invoice_finishing`)

It may stop anywhere: what was not written is still crossed, and what is `finalizing` is finished by
the worker.
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import asyncpg
import structlog
from msgspec import Struct, structs

from invoicing import billed_periods, lifetime_usages, outbox, subscriptions
from invoicing.billing_facts import Recipient
from invoicing.billing_moments import BillingMoment, is_left_over
from invoicing.billing_schedule import DueMoment, ScheduledSubscription, find_scheduled
from invoicing.days import days_of
from invoicing.errors import InvoicingError
from invoicing.invoice_building import Billable, BuiltInvoice, build_invoice
from invoicing.invoices import Invoice
from invoicing.periods import Bounds, period_at
from invoicing.progressive_billing import (
    Watched,
    applied,
    crossed,
    find_to_look_at,
    keep,
    note_looks,
    reached_before,
)
from invoicing.records import Connection
from invoicing.tax_services import TAX_ERROR, UNREACHABLE, TaxService
from invoicing.usage_thresholds import UsageThreshold
from wallet_service.billing import Billing
from wallet_service.billing_rounds import Run
from wallet_service.errors import Unavailable, WalletError
from wallet_service.invoice_finishing import InvoiceFinisher, Opening
from wallet_service.invoice_writing import Raced, total_all
from wallet_service.tax_services import ask

__all__ = ["ProgressiveBilling"]

log: Final = structlog.get_logger("wallet_service.billing")

_PORTION: Final = 200
_NIL: Final = UUID(int=0)
_LOOK_AGAIN: Final = timedelta(hours=1)
"""Lifetime usage also moves without events: with time, with prices, by hand."""
_PROBLEMS: Final = (InvoicingError, WalletError, asyncpg.PostgresError, ArithmeticError)


class _Crossing(Struct, frozen=True, kw_only=True):
    """A subscription that has crossed thresholds, with the invoice for it."""

    subscription: ScheduledSubscription
    built: BuiltInvoice
    reached_before_cents: int


class ProgressiveBilling:
    """Looks at the subscriptions that have thresholds. Made once a process."""

    def __init__(
        self, *, billing: Billing, finisher: InvoiceFinisher, tax_service: TaxService | None = None
    ) -> None:
        self._billing = billing
        self._finisher = finisher
        self._tax_service = tax_service

    async def run(
        self, opened: Opening, *, now: datetime, check: Callable[[], None] = lambda: None
    ) -> int:
        """Bill the usage of whoever has crossed a threshold; says how many invoices that made."""
        run = Run(until=now, now=now, organization_id=None)
        made, after = 0, _NIL
        unheard: set[UUID] = set()
        while True:
            check()
            async with opened() as connection:
                found = await find_to_look_at(
                    connection, now=now, long_ago=now - _LOOK_AGAIN, after=after, limit=_PORTION
                )
            made += await self._bill(opened, run, found, unheard)
            if len(found) < _PORTION:
                return made
            after = found[-1].id

    async def _bill(
        self, opened: Opening, run: Run, watched: Sequence[Watched], unheard: set[UUID]
    ) -> int:
        """Bill these together; where one cannot be read, each by itself.

        `unheard` are the organizations whose taxes nobody has answered for: the run asks no more
        for them, as it would wait in vain each time. What is answered, also by a refusal, says
        nothing of the others.
        """
        if not watched:
            return 0
        try:
            crossings = await self._crossings(opened, run, watched)
        except _PROBLEMS as error:
            if len(watched) == 1:
                _warn(watched[0].id, error)
                return 0
            return sum([await self._bill(opened, run, [one], unheard) for one in watched])
        made = 0
        for crossing in crossings:
            organization_id = crossing.subscription.organization_id
            if organization_id in unheard:
                continue
            try:
                await self._write(opened, run, crossing)
                made += 1
            except (*_PROBLEMS, Raced) as error:
                if isinstance(error, Unavailable) and error.details.get("taxes") == UNREACHABLE:
                    unheard.add(organization_id)
                _warn(crossing.subscription.id, error)
        return made

    async def _crossings(
        self, opened: Opening, run: Run, watched: Sequence[Watched]
    ) -> list[_Crossing]:
        """Which of these have crossed thresholds."""
        async with opened() as connection:
            places = [(one.organization_id, one.id) for one in watched]
            scheduled = await find_scheduled(connection, places, now=run.now)
        due = [
            DueMoment(one, moment, one.next_billing_at)
            for one in scheduled
            if (moment := _moment(one, now=run.now)) is not None
        ]
        if not due:
            return []
        by_id = {one.id: one for one in watched}
        found: list[_Crossing] = []
        seen: list[tuple[Watched, int]] = []
        async with self._billing.read_snapshot(opened, run, due) as snapshot:
            connection, recipients, billables = snapshot
            for billable in billables:
                id_ = billable.subscription.id
                built = _progressive(billable, recipients[id_], now=run.now)
                crossing = await _crossing(connection, billable, built, by_id[id_].thresholds)
                if crossing is not None:
                    found.append(crossing)
                elif billable.sealed_xact_id is not None:
                    seen.append((by_id[id_], billable.sealed_xact_id))
        async with opened() as connection:
            await note_looks(connection, seen, now=run.now)
        return found

    async def _write(self, opened: Opening, run: Run, crossing: _Crossing) -> None:
        """Bill one that has crossed; raises Raced where it was changed or billed meanwhile.

        Where its taxes are not known it is not billed yet (Unavailable): its period's invoice has
        all of it again, so one that had failed would have to be taken back.
        """
        (built,) = await ask(self._tax_service, [crossing.built])
        if built.tax_problems:
            reason = built.tax_problems[0]["details"][TAX_ERROR]
            raise Unavailable("the tax service does not say the taxes", taxes=reason)
        subscription = crossing.subscription
        place = subscription.organization_id, subscription.external_id
        async with opened() as connection:
            if not await keep(connection, subscription, now=run.now):
                raise Raced
            if await reached_before(connection, *place) != crossing.reached_before_cents:
                raise Raced
            (totalled,) = await total_all(connection, run.taxes, [built], locks=True, now=run.now)
            if len(await billed_periods.claim(connection, built.periods)) != len(built.periods):
                raise Raced
            await outbox.add_all(connection, _words(subscription, totalled.invoice), now=run.now)
        if totalled.invoice.status == "finalizing":
            await self._finisher.finish(opened, [totalled.invoice], now=run.now)


async def _crossing(
    connection: Connection,
    billable: Billable,
    built: BuiltInvoice,
    thresholds: Sequence[UsageThreshold],
) -> _Crossing | None:
    """The thresholds that usage has crossed, on the invoice; None where it has crossed none."""
    used = sum(fee.amount_cents for fee in built.fees)
    if not used:
        return None
    place = billable.subscription.organization_id, billable.subscription.external_id
    now = billable.moment.billing_at
    subscription = await subscriptions.get(connection, *place)
    days = billable.moment.charges_period
    assert days is not None, "usage is what is billed"
    lifetime = await lifetime_usages.find(connection, subscription, now=now, since=days.part.start)
    total = lifetime.historical_cents + lifetime.invoiced_cents + used
    before = await reached_before(connection, *place)
    passed = crossed(thresholds, before, total)
    if not passed:
        return None
    invoice = structs.replace(
        built.invoice, applied_usage_thresholds=applied(passed, lifetime_cents=total, now=now)
    )
    return _Crossing(
        subscription=billable.subscription,
        built=structs.replace(built, invoice=invoice),
        reached_before_cents=before,
    )


def _moment(subscription: ScheduledSubscription, *, now: datetime) -> BillingMoment | None:
    """The usage of the running period until now, from where the last invoice ended."""
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
    billed_to = subscription.charges_billed_to
    if billed_to is not None and (billed_to > start or is_left_over(billed_to, start)):
        start = billed_to
    days = days_of(Bounds(start, now), whole, subscription.zone)
    if days is None:
        return None
    return BillingMoment(billing_at=now, reason="progressive_billing", charges_period=days)


def _progressive(billable: Billable, recipient: Recipient, *, now: datetime) -> BuiltInvoice:
    """The invoice of the usage so far alone."""
    only_usage = structs.replace(billable, late=(), terms=None)
    built = build_invoice([only_usage], recipient, now=now)
    invoice: Invoice = structs.replace(
        built.invoice, invoice_type="progressive_billing", status="generating"
    )
    # What is paid in advance is billed by itself, and a minimum is not missing yet.
    fees = [
        fee
        for fee in built.fees
        if (fee.events_count or fee.debited_minor) and not fee.pay_in_advance
    ]
    return structs.replace(built, invoice=invoice, fees=fees)


def _words(subscription: ScheduledSubscription, invoice: Invoice) -> list[outbox.Message]:
    """What the world is told: each threshold that was reached."""
    shown: dict[str, Any] = {
        "lago_id": str(subscription.id),
        "external_id": subscription.external_id,
        "external_customer_id": subscription.external_customer_id,
        "status": subscription.status,
    }
    return [
        outbox.Message(
            organization_id=subscription.organization_id,
            webhook_type="subscription.usage_threshold_reached",
            object_type="subscription",
            object_id=subscription.id,
            payload={**shown, "usage_threshold": threshold, "lago_invoice_id": str(invoice.id)},
        )
        for threshold in invoice.applied_usage_thresholds
    ]


def _warn(subscription_id: UUID, error: Exception) -> None:
    reason = getattr(error, "code", type(error).__name__)
    log.warning("threshold_waits", subscription=str(subscription_id), reason=reason)
