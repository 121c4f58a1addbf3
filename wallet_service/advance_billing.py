"""Charges paid in advance: each event has its invoice, or its fee, as soon as it was rated.

Events are looked at once, in the order of their transactions, in the transaction that bills them.
Whatever is not billed so (its period was billed, its price cannot be told) is billed with its
period. Stand-alone fees that were paid are gathered on one invoice when their period is over.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Final, TypeAlias
from uuid import UUID

import asyncpg
import structlog
from msgspec import structs, to_builtins

from invoicing import billed_periods, fees, outbox
from invoicing.advance_fees import (
    AdvanceEvent,
    Portion,
    advance_fees,
    advance_lines,
    charges_period,
    drop_billed,
    events_in_advance,
    move_mark,
    take_again,
    take_portion,
)
from invoicing.billed_periods import BilledPeriod
from invoicing.billing_facts import Paid, Recipient
from invoicing.billing_moments import BillingMoment
from invoicing.billing_schedule import DueMoment, ScheduledSubscription, find_scheduled
from invoicing.currencies import CURRENCIES
from invoicing.deductions import Lowered, deductions_of
from invoicing.derived_ids import timed_id
from invoicing.errors import InvoicingError
from invoicing.fees import Fee
from invoicing.invoice_building import BuiltInvoice, dated
from invoicing.invoice_totals import total_up
from invoicing.invoices import Invoice
from invoicing.records import Connection
from invoicing.tax_services import TaxService
from invoicing.usage_fees import FeePlace
from invoicing.usage_rollups import NIL
from invoicing.usage_versions import Versions
from rating.exact import EXACT
from wallet_service.assets import MONEY_SCALE
from wallet_service.billing import recipients_of
from wallet_service.billing_rounds import Run
from wallet_service.errors import WalletError
from wallet_service.fee_bodies import show_fees
from wallet_service.invoice_finishing import InvoiceFinisher, Opening
from wallet_service.invoice_writing import total_all
from wallet_service.tax_services import ask, with_taxes

__all__ = ["AdvanceBilling"]

log: Final = structlog.get_logger("wallet_service.billing")

_PORTION: Final = 500
"""Events that are looked at together."""
_PROBLEMS: Final = (InvoicingError, WalletError, asyncpg.PostgresError, ArithmeticError)

_Answered: TypeAlias = Mapping[UUID, BuiltInvoice] | None
"""What a tax service has said, by the first line of an invoice; None where none is asked."""


class AdvanceBilling:
    """Bills events whose charges are paid in advance."""

    def __init__(self, *, finisher: InvoiceFinisher, tax_service: TaxService | None = None) -> None:
        self._finisher = finisher
        self._tax_service = tax_service
        self._versions = Versions()

    async def run(
        self, opened: Opening, *, now: datetime, check: Callable[[], None] = lambda: None
    ) -> int:
        """Bill all events that were rated until now; says how many fees that made."""
        made = 0
        while True:
            check()
            done = await self._next(opened, now=now)
            if done is None:
                return made
            some, waiting, has_more = done
            made += some
            await self._finisher.finish(opened, waiting, now=now)
            if not has_more:
                return made

    async def _next(
        self, opened: Opening, *, now: datetime
    ) -> tuple[int, list[Invoice], bool] | None:
        """Bill the next portion; says whether more follows. None where somebody else is at it."""
        async with opened() as connection:
            portion = await take_portion(connection, limit=_PORTION)
            if portion is None:
                return None
            if self._tax_service is None:
                some, waiting = await self._bill_portion(connection, portion, None, now=now)
                return some, waiting, portion.has_more
            events = await events_in_advance(connection, portion)
            built = await self._each_built(connection, events, now=now)
        asked = await ask(self._tax_service, built)  # no transaction waits for what others say
        answered = {one.fees[0].id: one for one in asked}
        async with opened() as connection:
            if not await take_again(connection, portion):
                return None
            some, waiting = await self._bill_portion(connection, portion, answered, now=now)
        return some, waiting, portion.has_more

    async def _bill_portion(
        self, connection: Connection, portion: Portion, answered: _Answered, *, now: datetime
    ) -> tuple[int, list[Invoice]]:
        events = await events_in_advance(connection, portion)
        done = await self._bill(connection, events, answered, now=now)
        await move_mark(connection, portion.end)
        return done

    async def _bill(
        self,
        connection: Connection,
        events: Sequence[AdvanceEvent],
        answered: _Answered,
        *,
        now: datetime,
    ) -> tuple[int, list[Invoice]]:
        """Bill together; where one event cannot be, each by itself."""
        if not events:
            return 0, []
        try:
            async with connection.transaction():
                return await self._bill_together(connection, events, answered, now=now)
        except _PROBLEMS as error:
            if len(events) == 1:
                log.warning("event_billed_with_its_period", event=str(events[0].id), exc_info=error)
                return 0, []
        made, waiting = 0, list[Invoice]()
        for event in events:
            some, more = await self._bill(connection, [event], answered, now=now)
            made, waiting = made + some, waiting + more
        return made, waiting

    async def _bill_together(
        self,
        connection: Connection,
        events: Sequence[AdvanceEvent],
        answered: _Answered,
        *,
        now: datetime,
    ) -> tuple[int, list[Invoice]]:
        events = await drop_billed(connection, events)
        run = Run(until=now, now=now, organization_id=None)
        built = await self._all_built(connection, run, events)
        if answered is not None:
            built = with_taxes(built, answered)
        invoiced = [one for one in built if one.fees[0].invoiceable]
        totalled = await total_all(connection, run.taxes, invoiced, locks=True, now=now)
        await billed_periods.claim(connection, [one for each in invoiced for one in each.periods])
        # A fee cannot wait for its taxes: its event is billed with its period.
        alone = [one for one in built if not one.fees[0].invoiceable and not one.tax_problems]
        await self._stand_alone(connection, run, alone)
        waiting = [one.invoice for one in totalled if one.invoice.status == "finalizing"]
        return sum(len(one.fees) for one in [*invoiced, *alone]), waiting

    async def _each_built(
        self, connection: Connection, events: Sequence[AdvanceEvent], *, now: datetime
    ) -> list[BuiltInvoice]:
        """What events would be billed, without those that cannot be."""
        run = Run(until=now, now=now, organization_id=None)
        try:
            async with connection.transaction():
                return await self._all_built(connection, run, events)
        except _PROBLEMS:
            if len(events) <= 1:
                return []
        return [
            one for event in events for one in await self._each_built(connection, [event], now=now)
        ]

    async def _all_built(
        self, connection: Connection, run: Run, events: Sequence[AdvanceEvent]
    ) -> list[BuiltInvoice]:
        places = sorted({(one.organization_id, one.subscription_id) for one in events})
        scheduled = await find_scheduled(connection, places, now=run.now)
        subscriptions = {one.id: one for one in scheduled}
        due = [
            DueMoment(one, BillingMoment(billing_at=run.now, reason="in_advance_charge"), None)
            for one in scheduled
        ]
        recipients = await recipients_of(connection, run, due)
        built: list[BuiltInvoice] = []
        for event in events:
            subscription = subscriptions.get(event.subscription_id)
            if subscription is not None:
                recipient = recipients[subscription.id]
                built += await self._built(connection, run, event, subscription, recipient)
        return built

    async def _built(
        self,
        connection: Connection,
        run: Run,
        event: AdvanceEvent,
        subscription: ScheduledSubscription,
        recipient: Recipient,
    ) -> list[BuiltInvoice]:
        """The invoice of an event; one more, that is not to be, has what stands alone."""
        organization_id = event.organization_id
        found = await self._versions.load(connection, organization_id, [event.plan_version_id])
        version = found[event.plan_version_id]
        currency = subscription.amount_currency
        lines = advance_lines(event, version, currency)
        place = organization_id, subscription.plan_id
        plan = (await run.catalogue.plans(connection, [place]))[place]
        names = await run.catalogue.metric_names(
            connection,
            organization_id,
            {one.charge.listed.billable_metric_id for one in lines},
        )
        built: list[BuiltInvoice] = []
        for is_invoiced in (True, False):
            own = [one for one in lines if one.charge.listed.invoiceable == is_invoiced]
            if not own:
                continue
            invoice = _invoice(event, subscription, recipient, now=run.now)
            place_of_fees = FeePlace(
                organization_id=organization_id,
                parent_id=invoice.id,
                invoice_id=invoice.id if is_invoiced else None,
                customer_id=event.customer_id,
                subscription_id=subscription.id,
                currency=currency,
                now=run.now,
            )
            bounds = charges_period(subscription, event.timestamp)
            built.append(
                BuiltInvoice(
                    invoice=invoice,
                    fees=advance_fees(place_of_fees, event, own, bounds, names),
                    periods=[_period(event, subscription, invoice, now=run.now)],
                    recipient=recipient,
                    paid=_paid(event),
                    plan_codes={subscription.id: plan.code},
                    plan_tax_codes={subscription.id: plan.tax_codes},
                )
            )
        return built

    async def _stand_alone(
        self, connection: Connection, run: Run, built: Sequence[BuiltInvoice]
    ) -> None:
        """Store fees that have no invoice, with their taxes, and tell the world of each."""
        if not built:
            return
        made: dict[UUID, list[Fee]] = {}
        for one in built:
            lowered = Lowered(
                recipient=one.recipient,
                currency=one.invoice.currency,
                fees=one.fees,
                plan_codes=one.plan_codes,
                plan_tax_codes=one.plan_tax_codes,
                takes_coupons=False,
                takes_credit_notes=False,
                named_taxes=one.named_taxes,
            )
            (deductions,) = await deductions_of(connection, run.taxes, [lowered], locks=False)
            totalled = total_up(one.invoice, one.fees, deductions, now=run.now)
            made.setdefault(one.invoice.organization_id, []).extend(
                _settled(fee, one.paid, now=run.now) for fee in totalled.fees
            )
        for organization_id, own in made.items():
            await fees.insert_all(connection, own)
            shown = await show_fees(connection, organization_id, own)
            await outbox.add_all(
                connection,
                [
                    outbox.Message(
                        organization_id=organization_id,
                        webhook_type="fee.created",
                        object_type="fee",
                        object_id=fee.id,
                        payload=to_builtins(body),
                    )
                    for fee, body in zip(own, shown, strict=True)
                ],
                now=run.now,
            )


def _settled(fee: Fee, paid: Paid, *, now: datetime) -> Fee:
    """A fee that wallets have paid, to the last part of a cent, is paid."""
    gross = EXACT.add(fee.precise_amount_cents, fee.taxes_precise_amount_cents)
    minor = EXACT.scaleb(gross, MONEY_SCALE - CURRENCIES[fee.amount_currency])
    is_paid = not paid.overage_minor and EXACT.subtract(minor, fee.debited_minor) < 1
    if not is_paid:
        return fee
    return structs.replace(fee, payment_status="succeeded", succeeded_at=now)


def _paid(event: AdvanceEvent) -> Paid:
    grants: dict[UUID, int] = {}
    for entry in event.paid:
        grant = UUID(entry[1])
        grants[grant] = grants.get(grant, 0) + int(entry[2])
    overage = grants.pop(NIL, 0)
    return Paid(
        grants={grant: amount for grant, amount in grants.items() if amount}, overage_minor=overage
    )


def _invoice(
    event: AdvanceEvent,
    subscription: ScheduledSubscription,
    recipient: Recipient,
    *,
    now: datetime,
) -> Invoice:
    dates = dated(now, recipient)
    return Invoice(
        organization_id=event.organization_id,
        id=timed_id(now, "in_advance", event.organization_id, event.id),
        customer_id=event.customer_id,
        billing_entity_id=recipient.entity.id,
        invoice_type="subscription",
        status="generating",
        currency=subscription.amount_currency,
        issuing_date=dates.issuing_date,
        expected_finalization_date=dates.finalization_date,
        payment_due_date=dates.payment_due_date,
        net_payment_term=recipient.net_payment_term,
        timezone=recipient.zone_name,
        number=f"{recipient.entity.document_number_prefix}-DRAFT",
        custom_sections=recipient.sections,
        purchase_order_number=subscription.purchase_order_number,
        created_at=now,
        updated_at=now,
    )


def _period(
    event: AdvanceEvent,
    subscription: ScheduledSubscription,
    invoice: Invoice,
    *,
    now: datetime,
) -> BilledPeriod:
    """What the invoice is for: it names the subscription, and bills no period as a whole."""
    bounds = charges_period(subscription, event.timestamp)
    return BilledPeriod(
        organization_id=event.organization_id,
        subscription_id=subscription.id,
        billing_at=event.timestamp,
        reason="in_advance_charge",
        invoice_id=invoice.id,
        plan_id=subscription.plan_id,
        charges_from_at=bounds.start,
        charges_to_at=bounds.end,
        created_at=now,
    )
