"""Invoices: claims on `receivable`, each of their parts a movement there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from ledger.chart import AccountCode, TransferCode
from ledger.ids import low64
from ledger.postings.movements import (
    NO_REFERENCE,
    Between,
    Ids,
    Leg,
    Reference,
    chain,
    either_way,
    house,
    move,
)

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


def invoice_overage(
    *,
    ids: Ids,
    ledger: int,
    overage_id: AccountId,
    amount: int,
    reference: Reference = NO_REFERENCE,
) -> list[Transfer]:
    """Overage goes onto the invoice that bills its usage: debit receivable, credit overage."""
    return [
        move(
            ids("invoice_overage"),
            debit=house(ledger, AccountCode.RECEIVABLE),
            credit=overage_id,
            amount=amount,
            ledger=ledger,
            code=TransferCode.INVOICE_OVERAGE,
            reference=reference,
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


def invoice_prepaid(
    *, ids: Ids, ledger: int, legs: Sequence[Leg], reference: Reference = NO_REFERENCE
) -> list[Transfer]:
    """Grants pay what is left of an invoice: debit each grant, credit receivable."""
    return chain(
        [
            move(
                ids(f"prepaid:{position}"),
                debit=leg.account_id,
                credit=house(ledger, AccountCode.RECEIVABLE),
                amount=leg.amount,
                ledger=ledger,
                code=TransferCode.INVOICE_PREPAID,
                reference=reference,
            )
            for position, leg in enumerate(legs)
        ]
    )


def invoice_refund(
    *, ids: Ids, ledger: int, legs: Sequence[Leg], reference: Reference = NO_REFERENCE
) -> list[Transfer]:
    """More was debited in real time than the invoice comes to: debit receivable, credit grants."""
    return chain(
        [
            move(
                ids(f"refund:{position}"),
                debit=house(ledger, AccountCode.RECEIVABLE),
                credit=leg.account_id,
                amount=leg.amount,
                ledger=ledger,
                code=TransferCode.INVOICE_REFUND,
                reference=reference,
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


def invoice_payment(
    *, ids: Ids, ledger: int, amount: int, provider: str, reference: Reference = NO_REFERENCE
) -> list[Transfer]:
    """An invoice was paid: debit what the provider owes us, credit receivable."""
    return either_way(
        ids("payment"),
        debit=house(ledger, AccountCode.PAYMENTS, provider),
        credit=house(ledger, AccountCode.RECEIVABLE),
        amount=amount,
        ledger=ledger,
        code=TransferCode.INVOICE_PAYMENT,
        reference=reference,
    )


def invoice_voided(
    *, ids: Ids, ledger: int, originals: Sequence[Undone], reference: Reference = NO_REFERENCE
) -> list[Transfer]:
    """Take back what was booked for an invoice: each transfer the other way, named by its id."""
    assert reference.user_data_64 == 0, "this place names the original"
    return chain(
        [
            move(
                ids(f"voided:{position}"),
                debit=undone.credit_account_id,
                credit=undone.debit_account_id,
                amount=undone.amount,
                ledger=ledger,
                code=TransferCode.INVOICE_VOIDED,
                reference=replace(reference, user_data_64=low64(undone.transfer_id)),
            )
            for position, undone in enumerate(originals)
        ]
    )


def invoice_return(
    *,
    ids: Ids,
    ledger: int,
    grant_id: AccountId,
    amount: int,
    original_id: TransferId,
    reference: Reference = NO_REFERENCE,
) -> list[Transfer]:
    """A grant had paid an invoice that is voided, and has ended since: a new one takes its place.

    Debit receivable, credit the new grant.
    """
    assert reference.user_data_64 == 0, "this place names the original"
    return [
        move(
            ids("return"),
            debit=house(ledger, AccountCode.RECEIVABLE),
            credit=grant_id,
            amount=amount,
            ledger=ledger,
            code=TransferCode.INVOICE_RETURN,
            reference=replace(reference, user_data_64=low64(original_id)),
        )
    ]
