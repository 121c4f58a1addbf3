"""Asking a tax service: between transactions, for many invoices at once."""

import asyncio
from collections.abc import Sequence
from typing import Final

import structlog
from msgspec import structs

from invoicing.invoice_building import BuiltInvoice
from invoicing.tax_services import TaxService, TaxServiceFailed, error_details, question_of

__all__ = ["ask"]

log: Final = structlog.get_logger("wallet_service.tax_services")

_AT_ONCE: Final = 8


async def ask(service: TaxService | None, built: Sequence[BuiltInvoice]) -> list[BuiltInvoice]:
    """The invoices with the taxes that a service names, or why it does not; as they are without."""
    if service is None:
        return list(built)
    limit = asyncio.Semaphore(_AT_ONCE)

    async def one(invoice: BuiltInvoice) -> BuiltInvoice:
        async with limit:
            return await _ask_one(service, invoice)

    return list(await asyncio.gather(*(one(invoice) for invoice in built)))


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
