"""Credit notes: what of an invoice is taken back, and who gets it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from ledger.chart import AccountCode, TransferCode
from ledger.postings.movements import NO_REFERENCE, Ids, Reference, chain, either_way, house

if TYPE_CHECKING:
    from ledger.accounts import AccountId
    from ledger.transfers import Transfer


class CreditedParts(Struct, frozen=True, kw_only=True):
    """What a credit note takes back: revenue, less its coupons, and its taxes."""

    revenue: int
    coupons: int
    taxes: int


def credit_note(
    *, ids: Ids, ledger: int, parts: CreditedParts, reference: Reference = NO_REFERENCE
) -> list[Transfer]:
    """The customer may use it on later invoices: it goes to customer credit."""
    return _credit_note(
        ids,
        ledger,
        parts,
        house(ledger, AccountCode.CUSTOMER_CREDIT),
        TransferCode.CREDIT_NOTE,
        reference,
    )


def credit_note_offset(
    *, ids: Ids, ledger: int, parts: CreditedParts, reference: Reference = NO_REFERENCE
) -> list[Transfer]:
    """It lowers what is still to be paid of its own invoice: it goes to receivable."""
    return _credit_note(
        ids,
        ledger,
        parts,
        house(ledger, AccountCode.RECEIVABLE),
        TransferCode.CREDIT_NOTE_OFFSET,
        reference,
    )


def credit_note_refund(
    *,
    ids: Ids,
    ledger: int,
    parts: CreditedParts,
    provider: str,
    reference: Reference = NO_REFERENCE,
) -> list[Transfer]:
    """It was paid out: it goes to what the provider owes us."""
    return _credit_note(
        ids,
        ledger,
        parts,
        house(ledger, AccountCode.PAYMENTS, provider),
        TransferCode.CREDIT_NOTE_REFUND,
        reference,
    )


def credit_note_voided(
    *, ids: Ids, ledger: int, parts: CreditedParts, reference: Reference = NO_REFERENCE
) -> list[Transfer]:
    """What is left of a credit is taken back, to where it came from."""
    return _credit_note(
        ids,
        ledger,
        CreditedParts(revenue=-parts.revenue, coupons=-parts.coupons, taxes=-parts.taxes),
        house(ledger, AccountCode.CUSTOMER_CREDIT),
        TransferCode.CREDIT_NOTE_VOIDED,
        reference,
    )


def _credit_note(
    ids: Ids,
    ledger: int,
    parts: CreditedParts,
    receiver: AccountId,
    code: TransferCode,
    reference: Reference,
) -> list[Transfer]:
    name = code.name.lower()
    revenue = house(ledger, AccountCode.REVENUE)
    taxes = house(ledger, AccountCode.TAX_PAYABLE)
    discounts = house(ledger, AccountCode.DISCOUNTS)
    moved = [
        either_way(
            ids(f"{name}:{part}"),
            debit=debit,
            credit=credit,
            amount=amount,
            ledger=ledger,
            code=code,
            reference=reference,
        )
        for part, debit, credit, amount in (
            ("revenue", revenue, receiver, parts.revenue),
            ("taxes", taxes, receiver, parts.taxes),
            ("coupons", receiver, discounts, parts.coupons),
        )
        if amount
    ]
    return chain(*moved)
