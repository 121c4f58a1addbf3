"""Invoices of credits that customers bought: documents, paid when the purchase is settled.

Settling a purchase books the money, so such an invoice books nothing. It has no tax and no coupons:
what is bought with the credits is taxed when it is used. Source: Lago, credit invoices.
"""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

import structlog
from msgspec import structs

from invoicing import fees, invoices
from invoicing.billing_facts import Catalogue, Paid, Recipient, load_customers
from invoicing.currencies import CURRENCIES
from invoicing.deductions import TaxBook
from invoicing.derived_ids import derived_id
from invoicing.fees import Fee
from invoicing.invoice_building import BuiltInvoice, dated
from invoicing.invoices import Invoice
from invoicing.records import Connection, load_queries
from ledger.money import Rounding, to_decimal, to_minor
from rating.exact import EXACT, ONE
from wallet_service.invoice_finishing import InvoiceFinisher, Opening
from wallet_service.invoice_news import tell_payment_status
from wallet_service.invoice_writing import total_all

__all__ = ["CreditInvoices"]

log: Final = structlog.get_logger("wallet_service.billing")

_queries: Final[Any] = load_queries(__file__)

_PORTION: Final = 100
_LOOKS_BACK: Final = timedelta(minutes=10)
_LOOKS_BACK_FIRST: Final = timedelta(days=7)


class CreditInvoices:
    """Goes after purchases of credits, remembering until when it has."""

    def __init__(self, *, finisher: InvoiceFinisher) -> None:
        self._finisher = finisher
        self._seen_until: datetime | None = None

    async def run(self, opened: Opening, *, now: datetime) -> int:
        """Bill purchases that have no invoice, and follow those that have; says how many."""
        since = now - _LOOKS_BACK_FIRST if self._seen_until is None else self._seen_until
        done = 0
        while made := await self._bill(opened, since=since - _LOOKS_BACK, now=now):
            done += made
        self._seen_until = now
        return done + await self._follow(opened, now=now)

    async def _bill(self, opened: Opening, *, since: datetime, now: datetime) -> int:
        """Make the invoices of some purchases."""
        catalogue = Catalogue()
        async with opened() as connection:
            rows = [
                row async for row in _queries.purchases(connection, since=since, limit=_PORTION)
            ]
            customers = await load_customers(
                connection, {(row["organization_id"], row["customer_id"]) for row in rows}
            )
            built: list[BuiltInvoice] = []
            for row in rows:
                customer = customers[row["organization_id"], row["customer_id"]]
                entity = await catalogue.entity_of(connection, customer, now=now)
                recipient = Recipient(customer=customer, entity=entity)
                built.append(_built(row, recipient, now=now))
            totalled = await total_all(connection, TaxBook(), built, locks=True, now=now)
        fixed = [one.invoice for one in totalled]
        await self._finisher.finish(opened, fixed, now=now)
        return len(fixed)

    async def _follow(self, opened: Opening, *, now: datetime) -> int:
        """Let invoices know what has become of their purchases."""
        async with opened() as connection:
            rows = [row async for row in _queries.settled(connection, limit=_PORTION)]
            for row in rows:
                await _paid(connection, row, now=now)
        return len(rows)


async def _paid(connection: Connection, row: Any, *, now: datetime) -> None:
    invoice = await invoices.find(connection, row["organization_id"], row["id"], locks=True)
    if invoice is None or invoice.payment_status != "pending":
        return
    has_succeeded = row["status"] == "settled"
    after = structs.replace(
        invoice,
        payment_status="succeeded" if has_succeeded else "failed",
        total_paid_amount_cents=invoice.total_amount_cents if has_succeeded else 0,
        updated_at=now,
    )
    await invoices.save(connection, after)
    lines = await fees.of_invoices(connection, invoice.organization_id, [invoice.id])
    for fee in lines[invoice.id]:
        changed = structs.replace(
            fee,
            payment_status=after.payment_status,
            succeeded_at=now if has_succeeded else None,
            failed_at=None if has_succeeded else now,
            updated_at=now,
        )
        await fees.save(connection, changed)
    await tell_payment_status(connection, before=invoice, after=after, now=now)


def _built(row: Any, recipient: Recipient, *, now: datetime) -> BuiltInvoice:
    """The invoice of a purchase, with an id that is always the same."""
    currency, amount = _price(row)
    transaction_id: UUID = row["id"]
    invoice_id = derived_id(transaction_id, "invoice")
    cents = to_minor(amount, CURRENCIES[currency], Rounding.HALF_AWAY)
    at: datetime = row["created_at"]
    days = dated(at.astimezone(UTC), recipient)
    invoice = Invoice(
        organization_id=row["organization_id"],
        id=invoice_id,
        customer_id=row["customer_id"],
        billing_entity_id=recipient.entity.id,
        invoice_type="credit",
        status="generating",
        currency=currency,
        number=f"{recipient.entity.document_number_prefix}-DRAFT",
        issuing_date=days.issuing_date,
        payment_due_date=days.payment_due_date,
        net_payment_term=recipient.net_payment_term,
        timezone=recipient.zone_name,
        created_at=now,
        updated_at=now,
    )
    fee = Fee(
        organization_id=row["organization_id"],
        id=derived_id(invoice_id, "credit"),
        invoice_id=invoice_id,
        customer_id=row["customer_id"],
        fee_type="credit",
        wallet_transaction_id=transaction_id,
        item_code="credit",
        item_name=row["name"] or row["wallet_name"] or "Prepaid credits",
        units=row["credit_amount"],
        amount_cents=cents,
        precise_amount_cents=Decimal(cents),
        precise_unit_amount=row["rate_amount"] if row["rate_amount"] is not None else ONE,
        amount_currency=currency,
        created_at=now,
        updated_at=now,
    )
    return BuiltInvoice(
        invoice=invoice,
        fees=[fee],
        periods=[],
        recipient=recipient,
        paid=Paid(),
        plan_codes={},
        plan_tax_codes={},
    )


def _price(row: Any) -> tuple[str, Decimal]:
    """In which currency, and for how much, credits were bought."""
    amount = to_decimal(row["amount_minor"], row["scale"])
    if row["asset_code"] in CURRENCIES:
        return row["asset_code"], amount
    return row["cost_basis_currency"], EXACT.multiply(amount, row["cost_basis"])
