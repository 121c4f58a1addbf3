"""Credit notes: what of an invoice is taken back, and who gets it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from ledger.chart import AccountCode, TransferCode
from ledger.postings.movements import Booking, chain

if TYPE_CHECKING:
    from ledger.accounts import AccountId
    from ledger.transfers import Transfer


class CreditedParts(Struct, frozen=True, kw_only=True):
    """What a credit note takes back: revenue, less its coupons, and its taxes."""

    revenue: int
    coupons: int
    taxes: int


def credit_note(at: Booking, *, parts: CreditedParts) -> list[Transfer]:
    """The customer may use it on later invoices: it goes to customer credit."""
    return _credit_note(at, parts, at.house(AccountCode.CUSTOMER_CREDIT), TransferCode.CREDIT_NOTE)


def credit_note_offset(at: Booking, *, parts: CreditedParts) -> list[Transfer]:
    """It lowers what is still to be paid of its own invoice: it goes to receivable."""
    return _credit_note(
        at, parts, at.house(AccountCode.RECEIVABLE), TransferCode.CREDIT_NOTE_OFFSET
    )


def credit_note_refund(at: Booking, *, parts: CreditedParts, provider: str) -> list[Transfer]:
    """It was paid out: it goes to what the provider owes us."""
    return _credit_note(
        at, parts, at.house(AccountCode.PAYMENTS, provider), TransferCode.CREDIT_NOTE_REFUND
    )


def credit_note_voided(at: Booking, *, parts: CreditedParts) -> list[Transfer]:
    """What is left of a credit is taken back, to where it came from."""
    return _credit_note(
        at,
        CreditedParts(revenue=-parts.revenue, coupons=-parts.coupons, taxes=-parts.taxes),
        at.house(AccountCode.CUSTOMER_CREDIT),
        TransferCode.CREDIT_NOTE_VOIDED,
    )


def _credit_note(
    at: Booking, parts: CreditedParts, receiver: AccountId, code: TransferCode
) -> list[Transfer]:
    name = code.name.lower()
    revenue = at.house(AccountCode.REVENUE)
    taxes = at.house(AccountCode.TAX_PAYABLE)
    discounts = at.house(AccountCode.DISCOUNTS)
    return chain(
        [
            at.either_way(f"{name}:{part}", debit=debit, credit=credit, amount=amount, code=code)
            for part, debit, credit, amount in (
                ("revenue", revenue, receiver, parts.revenue),
                ("taxes", taxes, receiver, parts.taxes),
                ("coupons", receiver, discounts, parts.coupons),
            )
            if amount
        ]
    )
