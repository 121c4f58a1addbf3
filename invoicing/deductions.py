"""What lowers and taxes invoices: coupons, credit notes, and the taxes of each line.

Read for many invoices at once. With `locks` coupons and credit notes are kept from others until
the commit, so that what one invoice takes no other one takes too.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from msgspec import Struct

from invoicing import applied_coupons, taxes
from invoicing.applicable_taxes import effective_customer_codes
from invoicing.billing_facts import Recipient
from invoicing.coupon_shares import CouponCredit, UsableCoupon
from invoicing.fees import Fee
from invoicing.invoice_credits import InvoiceCredit
from invoicing.invoice_totals import Deductions, ProgressiveCredit, UsableCreditNote
from invoicing.records import Connection, load_queries
from invoicing.tax_shares import TaxTerms

__all__ = ["Lowered", "TaxBook", "deductions_of", "give_back", "take", "tax_codes_of"]

_queries: Final[Any] = load_queries(__file__)


class Lowered(Struct, frozen=True, kw_only=True):
    """An invoice, as far as what lowers and taxes it depends on it."""

    recipient: Recipient
    currency: str
    fees: Sequence[Fee]
    plan_codes: Mapping[UUID, str] = {}
    plan_tax_codes: Mapping[UUID, list[str]] = {}
    """Both by subscription."""
    progressive: Sequence[ProgressiveCredit] = ()
    takes_coupons: bool = True
    takes_credit_notes: bool = True
    is_taxed: bool = True
    named_taxes: Mapping[UUID, Sequence[TaxTerms]] | None = None
    """By line, where a tax service says them."""


class TaxBook:
    """The taxes of organizations by code, each read once a run."""

    def __init__(self) -> None:
        self._known: dict[tuple[UUID, str], TaxTerms | None] = {}

    async def of(
        self, connection: Connection, organization_id: UUID, codes: Sequence[str]
    ) -> list[TaxTerms]:
        """The taxes with these codes; those that there are no longer are left out."""
        missing = [code for code in codes if (organization_id, code) not in self._known]
        if missing:
            found = await taxes.of_codes(connection, organization_id, missing)
            for code in missing:
                tax = found.get(code)
                self._known[organization_id, code] = None if tax is None else tax.terms
        named = (self._known[organization_id, code] for code in dict.fromkeys(codes))
        return [tax for tax in named if tax is not None]

    async def first(
        self, connection: Connection, organization_id: UUID, candidates: Sequence[Sequence[str]]
    ) -> list[TaxTerms]:
        """The taxes of the first of these that names any."""
        for codes in candidates:
            if codes and (found := await self.of(connection, organization_id, codes)):
                return found
        return []


def tax_codes_of(fee: Fee, lowered: Lowered) -> list[list[str]]:
    """What may tax a line: its own taxes, else those of the plan, the customer, the billing entity.

    The first of these that names a tax there is. Source: Lago, precedence of taxes.
    """
    if fee.fee_type == "credit":
        return []
    plan = lowered.plan_tax_codes.get(fee.subscription_id, []) if fee.subscription_id else []
    recipient = lowered.recipient
    return [
        fee.tax_codes,
        plan,
        effective_customer_codes(recipient.customer, recipient.entity),
        recipient.entity.tax_codes,
    ]


async def deductions_of(
    connection: Connection, book: TaxBook, invoices: Sequence[Lowered], *, locks: bool
) -> list[Deductions]:
    """What each invoice is lowered and taxed by.

    Of each customer one invoice at most: another is computed when this one has taken its part.
    """
    customers = list(
        dict.fromkeys(
            (one.recipient.customer.organization_id, one.recipient.customer.id) for one in invoices
        )
    )
    coupons = await _coupons(connection, customers, locks=locks)
    notes = await _credit_notes(connection, customers, locks=locks)
    found: list[Deductions] = []
    for one in invoices:
        customer = one.recipient.customer
        place = customer.organization_id, customer.id
        taxes_of_fee: dict[UUID, Sequence[TaxTerms]] = {}
        if one.named_taxes is not None:
            taxes_of_fee.update(one.named_taxes)
        elif one.is_taxed:
            for fee in one.fees:
                taxes_of_fee[fee.id] = await book.first(
                    connection, customer.organization_id, tax_codes_of(fee, one)
                )
        found.append(
            Deductions(
                progressive=one.progressive,
                coupons=coupons.get(place, []) if one.takes_coupons else [],
                plan_codes=one.plan_codes,
                taxes_of_fee=taxes_of_fee,
                credit_notes=[
                    note
                    for currency, note in notes.get(place, [])
                    if one.takes_credit_notes and currency == one.currency
                ],
            )
        )
    return found


async def take(connection: Connection, credits_: Sequence[InvoiceCredit], *, now: datetime) -> None:
    """Take from coupons and credit notes what invoices use, where they were locked."""
    coupons: dict[UUID, list[CouponCredit]] = {}
    notes = [credit for credit in credits_ if credit.kind == "credit_note"]
    for credit in credits_:
        if credit.kind == "coupon":
            used = CouponCredit(
                applied_coupon_id=credit.source_id,
                code=credit.item_code,
                name=credit.item_name,
                amount_cents=credit.amount_cents,
            )
            coupons.setdefault(credit.organization_id, []).append(used)
    for organization_id, used in coupons.items():
        await applied_coupons.take(connection, organization_id, used, now=now)
    if notes:
        await _queries.use_credit_notes(
            connection,
            organization_ids=[note.organization_id for note in notes],
            ids=[note.source_id for note in notes],
            amounts=[note.amount_cents for note in notes],
            now=now,
        )


async def give_back(
    connection: Connection,
    organization_id: UUID,
    invoice_id: UUID,
    credits_: Sequence[InvoiceCredit],
    *,
    now: datetime,
) -> None:
    """Give back what an invoice has used of coupons and credit notes: it is no longer."""
    if any(credit.kind == "coupon" for credit in credits_):
        await applied_coupons.give_back(connection, organization_id, invoice_id, now=now)
    notes = [credit for credit in credits_ if credit.kind == "credit_note"]
    if notes:
        await _queries.keep_credit_notes(
            connection, organization_id=organization_id, ids=[note.source_id for note in notes]
        )
        await _queries.use_credit_notes(
            connection,
            organization_ids=[note.organization_id for note in notes],
            ids=[note.source_id for note in notes],
            amounts=[-note.amount_cents for note in notes],
            now=now,
        )


async def _coupons(
    connection: Connection, customers: Sequence[tuple[UUID, UUID]], *, locks: bool
) -> dict[tuple[UUID, UUID], list[UsableCoupon]]:
    """The coupons of customers that may still take something off; few customers have any."""
    rows = _queries.customers_with_coupons(connection, **_places(customers))
    having = [(row["organization_id"], row["customer_id"]) async for row in rows]
    return {
        place: await applied_coupons.usable(connection, *place, locks=locks) for place in having
    }


async def _credit_notes(
    connection: Connection, customers: Sequence[tuple[UUID, UUID]], *, locks: bool
) -> dict[tuple[UUID, UUID], list[tuple[str, UsableCreditNote]]]:
    """The notes of customers with credit left, the oldest first, with their currencies."""
    query = _queries.lock_credit_notes if locks else _queries.find_credit_notes
    found: dict[tuple[UUID, UUID], list[tuple[str, UsableCreditNote]]] = {}
    async for row in query(connection, **_places(customers)):
        note = UsableCreditNote(
            id=row["id"], number=row["number"], balance_cents=row["balance_amount_cents"]
        )
        place = row["organization_id"], row["customer_id"]
        found.setdefault(place, []).append((row["currency"], note))
    return found


def _places(customers: Sequence[tuple[UUID, UUID]]) -> dict[str, Any]:
    return {
        "organization_ids": [organization for organization, _ in customers],
        "customer_ids": [customer for _, customer in customers],
    }
