"""Invoices that were built, totalled and stored, with the moments that they bill: one transaction.

Whoever comes second with a moment, or finds a subscription other than it was read, stores nothing.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import asyncpg
import msgspec
from msgspec import structs

from invoicing import (
    billed_periods,
    billing_runs,
    fees,
    invoice_credits,
    invoices,
    late_of_ended,
    outbox,
)
from invoicing.billing_facts import Recipient
from invoicing.billing_schedule import DueMoment, schedule_all
from invoicing.deductions import Lowered, TaxBook, deductions_of, take
from invoicing.invoice_building import BuiltInvoice
from invoicing.invoice_conclusion import content_digest, fixed
from invoicing.invoice_totals import (
    TotalledInvoice,
    check_bookable,
    settle_request,
    total_up,
)
from invoicing.progressive_billing import keep_ahead
from invoicing.records import Connection
from wallet_service.invoice_payloads import payload_of
from wallet_service.tax_services import note_failed

__all__ = ["Raced", "as_billed", "fix", "lowered_of", "store", "total_all", "write"]

_NOT_BILLED: Final = frozenset(
    {"organization_id", "tax_codes", "billing_configuration", "updated_at", "email_settings"}
)

_TAKE_COUPONS: Final = frozenset({"subscription", "progressive_billing"})
"""What is bought once has no coupons, and neither have credits. Source: Lago."""


class Raced(Exception):
    """Somebody has changed or billed a subscription meanwhile: it is to be looked at again."""


async def write(
    connection: Connection,
    book: TaxBook,
    due: Sequence[DueMoment],
    built: Sequence[BuiltInvoice],
    *,
    now: datetime,
) -> list[TotalledInvoice]:
    """Store invoices and claim their moments; raises Raced where anything has changed meanwhile."""
    if not await schedule_all(connection, due):
        raise Raced
    await late_of_ended.hold(connection, due)
    try:
        billed = [one for one in built if one.bills]
        totalled = await total_all(connection, book, billed, locks=True, now=now)
        periods = [
            period if one.bills else structs.replace(period, invoice_id=None)
            for one in built
            for period in one.periods
        ]
        claimed = await billed_periods.claim(connection, periods)
    except asyncpg.UniqueViolationError as error:
        raise Raced from error
    if len(claimed) != len(periods):
        raise Raced
    await billing_runs.forget_problems(connection, due)
    return totalled


async def total_all(
    connection: Connection,
    book: TaxBook,
    built: Sequence[BuiltInvoice],
    *,
    locks: bool,
    now: datetime,
) -> list[TotalledInvoice]:
    """Compute invoices and, with `locks`, store them: those of one customer one after the other."""
    done: list[TotalledInvoice] = []
    for wave in _waves(built):
        deductions = await deductions_of(
            connection, book, [lowered_of(one) for one in wave], locks=locks
        )
        totalled = [
            fix(total_up(one.invoice, one.fees, deduction, now=now), one, now=now)
            for one, deduction in zip(wave, deductions, strict=True)
        ]
        if locks:
            await store(connection, totalled, now=now)
        done += totalled
    return done


def lowered_of(built: BuiltInvoice) -> Lowered:
    """What is to be known of an invoice to find what lowers it."""
    return Lowered(
        recipient=built.recipient,
        currency=built.invoice.currency,
        fees=built.fees,
        plan_codes=built.plan_codes,
        plan_tax_codes=built.plan_tax_codes,
        progressive=built.progressive,
        takes_coupons=built.invoice.invoice_type in _TAKE_COUPONS,
        takes_credit_notes=built.invoice.invoice_type != "credit",
        named_taxes=built.named_taxes,
        is_taxed=not built.tax_problems,
    )


def fix(totalled: TotalledInvoice, built: BuiltInvoice, *, now: datetime) -> TotalledInvoice:
    """Fix the amounts of an invoice that has no grace period; a draft is left as it is.

    One whose taxes are not known is `failed`: it takes nothing of coupons and credit notes.
    """
    recipient = built.recipient
    invoice = structs.replace(
        totalled.invoice,
        customer_as_billed=as_billed(recipient)["customer"],
        entity_as_billing=as_billed(recipient)["entity"],
    )
    invoice = structs.replace(invoice, error_details=built.tax_problems)
    if invoice.status == "draft":
        return structs.replace(totalled, invoice=invoice)
    if built.tax_problems:
        failed = structs.replace(invoice, status="failed", updated_at=now)
        return structs.replace(totalled, invoice=failed)
    request = settle_request(
        invoice,
        totalled.fees,
        paid=built.paid.grants,
        overage_minor=built.paid.overage_minor,
    )
    digest = content_digest(invoice, totalled.fees, totalled.credits)
    return structs.replace(totalled, invoice=fixed(invoice, request, digest, now=now))


async def store(
    connection: Connection, totalled: Sequence[TotalledInvoice], *, now: datetime
) -> None:
    """Store new invoices with their lines, and take what lowers those that are fixed.

    Raises Invalid where one comes to more than the book can settle, Raced where what they take off
    is being voided.
    """
    for one in totalled:
        check_bookable(one.invoice)
    credits_ = [credit for one in totalled for credit in one.credits]
    if not await keep_ahead(connection, credits_):
        raise Raced
    await invoices.insert_all(connection, [one.invoice for one in totalled])
    await fees.insert_all(connection, [fee for one in totalled for fee in one.fees])
    await invoice_credits.insert_all(connection, credits_)
    drafts = [one.invoice for one in totalled if one.invoice.status == "draft"]
    await note_failed(connection, [one.invoice for one in totalled], now=now)
    untaken = {one.invoice.id for one in totalled if one.invoice.status in {"draft", "failed"}}
    await take(
        connection, [credit for credit in credits_ if credit.invoice_id not in untaken], now=now
    )
    await outbox.add_all(
        connection,
        [
            outbox.Message(
                organization_id=invoice.organization_id,
                webhook_type="invoice.drafted",
                object_type="invoice",
                object_id=invoice.id,
                payload=payload_of(invoice),
            )
            for invoice in drafts
        ],
        now=now,
    )


def as_billed(recipient: Recipient) -> dict[str, dict[str, Any]]:
    """Customer and billing entity, as the invoice will always show them."""
    return {
        "customer": _shown(msgspec.to_builtins(recipient.customer)),
        "entity": _shown(msgspec.to_builtins(recipient.entity)),
    }


def _shown(known: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in known.items() if name not in _NOT_BILLED}


def _waves(built: Iterable[BuiltInvoice]) -> list[list[BuiltInvoice]]:
    """The first invoice of each customer, then the second of each, and so on."""
    waves: list[list[BuiltInvoice]] = []
    counts: dict[tuple[UUID, UUID], int] = {}
    for one in built:
        place = one.invoice.organization_id, one.invoice.customer_id
        position = counts.get(place, 0)
        counts[place] = position + 1
        if position == len(waves):
            waves.append([])
        waves[position].append(one)
    return waves
