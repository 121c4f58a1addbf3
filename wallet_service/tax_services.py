"""Asking a tax service: between transactions, for many invoices at once."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import structlog
from msgspec import structs

from invoicing import failed_invoices, outbox
from invoicing.invoice_building import BuiltInvoice
from invoicing.invoices import Invoice
from invoicing.records import Connection
from invoicing.tax_services import (
    TAX_ERROR,
    UNREACHABLE,
    TaxService,
    TaxServiceFailed,
    error_details,
    is_silent,
    not_asked,
    question_of,
)

__all__ = ["ask", "note_failed", "with_taxes"]

log: Final = structlog.get_logger("wallet_service.tax_services")

_AT_ONCE: Final = 8
_SILENT_MAX: Final = 8
"""So many in a row were not answered: nobody is asked any more, as each would wait in vain."""


async def ask(service: TaxService | None, built: Sequence[BuiltInvoice]) -> list[BuiltInvoice]:
    """The invoices with the taxes that a service names, or why it does not; as they are without."""
    if service is None:
        return list(built)
    limit = asyncio.Semaphore(_AT_ONCE)
    silent = 0

    async def one(invoice: BuiltInvoice) -> BuiltInvoice:
        nonlocal silent
        async with limit:
            if silent >= _SILENT_MAX:
                failure = TaxServiceFailed(UNREACHABLE, "not asked: it did not answer for others")
                return structs.replace(invoice, tax_problems=error_details(failure))
            answered = await _ask_one(service, invoice)
        silent = silent + 1 if is_silent(answered.tax_problems) else 0
        return answered

    return list(await asyncio.gather(*(one(invoice) for invoice in built)))


def with_taxes(
    built: Sequence[BuiltInvoice], answered: Mapping[UUID, BuiltInvoice]
) -> list[BuiltInvoice]:
    """Invoices with what was answered when they were built before, by the first of their lines."""
    found: list[BuiltInvoice] = []
    for one in built:
        said = answered.get(one.fees[0].id)
        taxes = None if said is None else said.named_taxes
        problems = not_asked() if said is None else said.tax_problems
        found.append(structs.replace(one, named_taxes=taxes, tax_problems=problems))
    return found


async def note_failed(
    connection: Connection, invoices: Sequence[Invoice], *, now: datetime
) -> None:
    """Say when invoices that a tax service has failed are tried again, and tell the world.

    Source of the name and the shape of `customer.tax_provider_error`: Lago, webhooks.
    """
    failed = [one for one in invoices if one.status == "failed"]
    await failed_invoices.note(connection, failed, now=now)
    await outbox.add_all(connection, [_word(one) for one in failed], now=now)


def _word(invoice: Invoice) -> outbox.Message:
    details: dict[str, Any] = invoice.error_details[0]["details"]
    payload: dict[str, Any] = {
        "lago_customer_id": str(invoice.customer_id),
        "external_customer_id": (invoice.customer_as_billed or {}).get("external_id"),
        "tax_provider": "tax_service",
        "tax_provider_code": None,
        "provider_error": {"message": details["message"], "error_code": details[TAX_ERROR]},
        "lago_invoice_id": str(invoice.id),
    }
    return outbox.Message(
        organization_id=invoice.organization_id,
        webhook_type="customer.tax_provider_error",
        object_type="tax_provider_customer_error",
        object_id=invoice.customer_id,
        payload=payload,
    )


async def _ask_one(service: TaxService, built: BuiltInvoice) -> BuiltInvoice:
    recipient = built.recipient
    question = question_of(built.invoice, built.fees, recipient.customer, recipient.entity)
    if not question.lines:
        return built
    try:
        return structs.replace(built, named_taxes=await service.taxes(question))
    except TaxServiceFailed as failure:
        log.warning("taxes_not_known", invoice=str(built.invoice.id), reason=failure.reason)
        return structs.replace(built, tax_problems=error_details(failure))
