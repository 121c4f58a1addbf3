"""Invoices: claims on `receivable`, each of their parts a movement there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from ledger.chart import AccountCode, TransferCode
from ledger.postings.movements import Between, Booking, Leg, chain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ledger.accounts import AccountId
    from ledger.transfers import Transfer, TransferId


class Undone(Struct, frozen=True):
    """A transfer as it was booked, or a part of it, that is to be booked the other way."""

    transfer_id: int
    debit_account_id: int
    credit_account_id: int
    amount: int


invoice_fees = Between(
    leg="fees",
    debit=AccountCode.RECEIVABLE,
    credit=AccountCode.REVENUE,
    code=TransferCode.INVOICE,
)
"""What an invoice earns beyond what was earned when usage happened: fees and the true-up."""


def invoice_overage(at: Booking, *, overage_id: AccountId, amount: int) -> list[Transfer]:
    """Overage goes onto the invoice that bills its usage: debit receivable, credit overage."""
    return [
        at.move(
            "invoice_overage",
            debit=at.house(AccountCode.RECEIVABLE),
            credit=overage_id,
            amount=amount,
            code=TransferCode.INVOICE_OVERAGE,
        )
    ]


invoice_coupons = Between(
    leg="coupons",
    debit=AccountCode.DISCOUNTS,
    credit=AccountCode.RECEIVABLE,
    code=TransferCode.INVOICE_COUPONS,
)
"""Coupons lower what is to be paid."""

invoice_taxes = Between(
    leg="taxes",
    debit=AccountCode.RECEIVABLE,
    credit=AccountCode.TAX_PAYABLE,
    code=TransferCode.INVOICE_TAXES,
)
"""Taxes are asked for and owed to the state."""

invoice_credit_notes = Between(
    leg="credit_notes",
    debit=AccountCode.CUSTOMER_CREDIT,
    credit=AccountCode.RECEIVABLE,
    code=TransferCode.INVOICE_CREDIT_NOTES,
)
"""Credit notes pay a part, out of what we owe the customer for them."""


def invoice_prepaid(at: Booking, *, legs: Sequence[Leg]) -> list[Transfer]:
    """Grants pay what is left of an invoice: debit each grant, credit receivable."""
    return chain(
        [
            at.move(
                f"prepaid:{position}",
                debit=leg.account_id,
                credit=at.house(AccountCode.RECEIVABLE),
                amount=leg.amount,
                code=TransferCode.INVOICE_PREPAID,
            )
            for position, leg in enumerate(legs)
        ]
    )


def invoice_refund(at: Booking, *, legs: Sequence[Leg]) -> list[Transfer]:
    """More was debited in real time than the invoice comes to: debit receivable, credit grants."""
    return chain(
        [
            at.move(
                f"refund:{position}",
                debit=at.house(AccountCode.RECEIVABLE),
                credit=leg.account_id,
                amount=leg.amount,
                code=TransferCode.INVOICE_REFUND,
            )
            for position, leg in enumerate(legs)
        ]
    )


invoice_credit = Between(
    leg="credit",
    debit=AccountCode.RECEIVABLE,
    credit=AccountCode.CUSTOMER_CREDIT,
    code=TransferCode.INVOICE_CREDIT,
)
"""More was debited in real time than the invoice comes to, and the customer has no grant."""

invoice_rounding = Between(
    leg="rounding",
    debit=AccountCode.REVENUE,
    credit=AccountCode.RECEIVABLE,
    code=TransferCode.INVOICE_ROUNDING,
)
"""Less than a cent that nobody can pay; below zero, that nobody can get back."""


def invoice_payment(at: Booking, *, amount: int, provider: str) -> list[Transfer]:
    """An invoice was paid: debit what the provider owes us, credit receivable."""
    return [
        at.either_way(
            "payment",
            debit=at.house(AccountCode.PAYMENTS, provider),
            credit=at.house(AccountCode.RECEIVABLE),
            amount=amount,
            code=TransferCode.INVOICE_PAYMENT,
        )
    ]


def invoice_voided(at: Booking, *, originals: Sequence[Undone]) -> list[Transfer]:
    """Take back what was booked for an invoice: each transfer the other way, named by its id."""
    return chain(
        [
            at.naming(undone.transfer_id).move(
                f"voided:{position}",
                debit=undone.credit_account_id,
                credit=undone.debit_account_id,
                amount=undone.amount,
                code=TransferCode.INVOICE_VOIDED,
            )
            for position, undone in enumerate(originals)
        ]
    )


def invoice_return(
    at: Booking, *, grant_id: AccountId, amount: int, original_id: TransferId
) -> list[Transfer]:
    """A grant had paid an invoice that is voided, and has ended since: a new one takes its place.

    Debit receivable, credit the new grant.
    """
    return [
        at.naming(original_id).move(
            "return",
            debit=at.house(AccountCode.RECEIVABLE),
            credit=grant_id,
            amount=amount,
            code=TransferCode.INVOICE_RETURN,
        )
    ]
