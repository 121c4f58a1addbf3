"""Fees without an invoice that were paid are gathered on one invoice when their period is over."""

import itertools
from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

import structlog
from msgspec import structs

from invoicing import fees, invoices
from invoicing.billing_moments import BillingMoment
from invoicing.billing_schedule import DueMoment, find_scheduled
from invoicing.deductions import Lowered, deductions_of
from invoicing.derived_ids import timed_id
from invoicing.errors import InvoicingError
from invoicing.fees import Fee
from invoicing.invoice_building import BuiltInvoice, dated
from invoicing.invoice_totals import total_up
from invoicing.invoices import Invoice
from invoicing.paid_fees import lock_paid_fees, payers, unpaid_regrouped
from invoicing.records import Connection
from invoicing.tax_shares import taxes_of
from wallet_service.billing import recipients_of
from wallet_service.billing_rounds import Run
from wallet_service.errors import WalletError
from wallet_service.invoice_finishing import InvoiceFinisher, Opening
from wallet_service.invoice_writing import fix
from wallet_service.payments import Payments

__all__ = ["pay_regrouped", "regroup_paid_fees"]

log: Final = structlog.get_logger("wallet_service.billing")

_PORTION: Final = 1000
"""Fees that are gathered in one transaction."""


async def regroup_paid_fees(
    opened: Opening,
    finisher: InvoiceFinisher,
    *,
    now: datetime,
    organization_id: UUID | None = None,
) -> int:
    """Gather what was paid, customer by customer; says how many invoices that made."""
    run = Run(until=now, now=now, organization_id=organization_id)
    async with opened() as connection:
        found = await lock_paid_fees(
            connection, organization_id=organization_id, now=now, limit=_PORTION
        )
        found.sort(key=_whose)
        made = [
            await _gather(connection, run, list(own))
            for _, own in itertools.groupby(found, key=_whose)
        ]
    await finisher.finish(opened, made, now=now)
    return len(made)


async def pay_regrouped(opened: Opening, payments: Payments, *, now: datetime) -> int:
    """Count the payments of the fees as those of their invoices; says of how many."""
    async with opened() as connection:
        unpaid = await unpaid_regrouped(connection, limit=_PORTION)
    for organization_id, invoice_id in unpaid:
        try:
            await payments.pay_rest(organization_id, invoice_id, reference="paid fees", now=now)
        except (InvoicingError, WalletError) as error:  # the next run tries again
            log.warning("paid_fees_wait", invoice=str(invoice_id), reason=error.code)
    return len(unpaid)


def _whose(fee: Fee) -> tuple[UUID, UUID, str]:
    return fee.organization_id, fee.customer_id, fee.amount_currency


async def _gather(connection: Connection, run: Run, own: Sequence[Fee]) -> Invoice:
    """One customer's fees, as lines of an invoice that is fixed."""
    first = own[0]
    places = sorted(
        {(fee.organization_id, fee.subscription_id) for fee in own if fee.subscription_id}
    )
    scheduled = await find_scheduled(connection, places, now=run.now)
    moment = BillingMoment(billing_at=run.now, reason="in_advance_charge")
    due = [DueMoment(one, moment, None) for one in scheduled]
    recipient = (await recipients_of(connection, run, due))[scheduled[0].id]
    plans = await run.catalogue.plans(
        connection, {(one.organization_id, one.plan_id) for one in scheduled}
    )
    dates = dated(run.now, recipient)
    invoice = Invoice(
        organization_id=first.organization_id,
        id=timed_id(run.now, "advance_charges", first.organization_id, *[fee.id for fee in own]),
        customer_id=first.customer_id,
        billing_entity_id=recipient.entity.id,
        invoice_type="advance_charges",
        status="generating",
        currency=first.amount_currency,
        issuing_date=dates.issuing_date,
        expected_finalization_date=dates.finalization_date,
        payment_due_date=dates.payment_due_date,
        net_payment_term=recipient.net_payment_term,
        timezone=recipient.zone_name,
        number=f"{recipient.entity.document_number_prefix}-DRAFT",
        custom_sections=recipient.sections,
        created_at=run.now,
        updated_at=run.now,
    )
    built = BuiltInvoice(
        invoice=invoice,
        fees=[structs.replace(fee, invoice_id=invoice.id) for fee in own],
        periods=[],
        recipient=recipient,
        paid=await payers(connection, own),
        plan_codes={one.id: plans[one.organization_id, one.plan_id].code for one in scheduled},
        plan_tax_codes={
            one.id: plans[one.organization_id, one.plan_id].tax_codes for one in scheduled
        },
    )
    lowered = Lowered(
        recipient=recipient,
        currency=invoice.currency,
        fees=built.fees,
        plan_codes=built.plan_codes,
        plan_tax_codes=built.plan_tax_codes,
        takes_coupons=False,
        takes_credit_notes=False,
        named_taxes={fee.id: taxes_of(fee) for fee in own},
    )
    (deductions,) = await deductions_of(connection, run.taxes, [lowered], locks=False)
    totalled = fix(total_up(invoice, built.fees, deductions, now=run.now), built, now=run.now)
    await invoices.insert_all(connection, [totalled.invoice])
    for fee in totalled.fees:
        await fees.save(connection, fee)
    return totalled.invoice
