"""What an invoice was made of: the moments that it bills, or its own lines."""

from collections.abc import Sequence
from uuid import UUID

import msgspec

from invoicing import billed_periods, billing_entities, fees
from invoicing.advance_fees import still_used
from invoicing.billed_periods import BilledPeriod
from invoicing.billing_facts import Paid, Recipient, load_customers
from invoicing.billing_moments import BillingMoment
from invoicing.billing_schedule import DueMoment, find_scheduled
from invoicing.fees import Fee
from invoicing.invoice_building import BuiltInvoice
from invoicing.invoices import Invoice
from invoicing.paid_fees import payers
from invoicing.records import Connection
from wallet_service.billing_rounds import Run

__all__ = ["as_stored", "moments_of"]


async def moments_of(
    connection: Connection, run: Run, invoice: Invoice
) -> list[tuple[BilledPeriod, DueMoment]]:
    """The moments that an invoice bills; none of one that bills events by themselves."""
    organization_id = invoice.organization_id
    found = await billed_periods.of_invoices(connection, organization_id, [invoice.id])
    moments = [one for one in found[invoice.id] if one.moment]
    keys = [(organization_id, one.subscription_id) for one in moments]
    scheduled = await find_scheduled(connection, keys, now=run.now)
    by_id = {subscription.id: subscription for subscription in scheduled}
    return [
        (
            one,
            DueMoment(by_id[one.subscription_id], msgspec.convert(one.moment, BillingMoment), None),
        )
        for one in moments
    ]


async def as_stored(connection: Connection, run: Run, invoice: Invoice) -> BuiltInvoice:
    """An invoice with its lines as they are: made by hand, or of events that were not taken back.

    The taxes that a line may have by its plan are those of today.
    """
    organization_id = invoice.organization_id
    place = organization_id, invoice.customer_id
    found = await load_customers(connection, {place})
    entity = await billing_entities.get_by_id(
        connection, organization_id, invoice.billing_entity_id
    )
    stored = (await fees.of_invoices(connection, organization_id, [invoice.id]))[invoice.id]
    lines = await still_used(connection, stored)
    codes, tax_codes = await _plans_of(connection, run, organization_id, lines)
    is_of_events = any(fee.event_transaction_id for fee in lines)
    return BuiltInvoice(
        invoice=invoice,
        fees=lines,
        periods=[],
        recipient=Recipient(customer=found[place], entity=entity, sections=invoice.custom_sections),
        paid=await payers(connection, lines) if is_of_events else Paid(),
        plan_codes=codes,
        plan_tax_codes=tax_codes,
    )


async def _plans_of(
    connection: Connection, run: Run, organization_id: UUID, lines: Sequence[Fee]
) -> tuple[dict[UUID, str], dict[UUID, list[str]]]:
    """The codes and the taxes of plans, by subscription."""
    ids = sorted({fee.subscription_id for fee in lines if fee.subscription_id})
    keys = [(organization_id, id_) for id_ in ids]
    scheduled = await find_scheduled(connection, keys, now=run.now)
    places = {one.id: (organization_id, one.plan_id) for one in scheduled}
    plans = await run.catalogue.plans(connection, places.values())
    return (
        {id_: plans[place].code for id_, place in places.items()},
        {id_: plans[place].tax_codes for id_, place in places.items()},
    )
