"""Grants, overdrafts and overage: funded, repaid, voided, expired."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ledger.chart import AccountCode, TransferCode
from ledger.postings.movements import NO_REFERENCE, Ids, Reference, house, move

if TYPE_CHECKING:
    from ledger.accounts import AccountId
    from ledger.transfers import Transfer


def top_up(
    *,
    ids: Ids,
    ledger: int,
    grant_id: AccountId,
    amount: int,
    provider: str,
    reference: Reference = NO_REFERENCE,
) -> list[Transfer]:
    """A payment was confirmed: debit what the provider owes us, credit what we owe the customer."""
    return [
        move(
            ids("top_up"),
            debit=house(ledger, AccountCode.PAYMENTS, provider),
            credit=grant_id,
            amount=amount,
            ledger=ledger,
            code=TransferCode.TOP_UP,
            reference=reference,
        )
    ]


def promotion(
    *, ids: Ids, ledger: int, grant_id: AccountId, amount: int, reference: Reference = NO_REFERENCE
) -> list[Transfer]:
    """We give credits away: debit the expense, credit what we owe the customer."""
    return [
        move(
            ids("promotion"),
            debit=house(ledger, AccountCode.PROMOTIONS),
            credit=grant_id,
            amount=amount,
            ledger=ledger,
            code=TransferCode.PROMOTION,
            reference=reference,
        )
    ]


def repay_overage(
    *,
    ids: Ids,
    ledger: int,
    grant_id: AccountId,
    overage_id: AccountId,
    amount: int,
    reference: Reference = NO_REFERENCE,
) -> list[Transfer]:
    """The next top-up first pays what is owed: debit the new grant, credit the overage."""
    return [
        move(
            ids("repay_overage"),
            debit=grant_id,
            credit=overage_id,
            amount=amount,
            ledger=ledger,
            code=TransferCode.REPAY_OVERAGE,
            reference=reference,
        )
    ]


def repay_overdraft(
    *,
    ids: Ids,
    ledger: int,
    grant_id: AccountId,
    overdraft_id: AccountId,
    amount: int,
    reference: Reference = NO_REFERENCE,
) -> list[Transfer]:
    """Fill a used overdraft up again: debit the new grant, credit the overdraft."""
    return [
        move(
            ids("repay_overdraft"),
            debit=grant_id,
            credit=overdraft_id,
            amount=amount,
            ledger=ledger,
            code=TransferCode.REPAY_OVERDRAFT,
            reference=reference,
        )
    ]


def credit_line_up(
    *,
    ids: Ids,
    ledger: int,
    overdraft_id: AccountId,
    amount: int,
    reference: Reference = NO_REFERENCE,
) -> list[Transfer]:
    """Grant an overdraft, or a higher one: debit the lines we gave, credit the overdraft."""
    return [
        move(
            ids("credit_line_up"),
            debit=house(ledger, AccountCode.CREDIT_LINES),
            credit=overdraft_id,
            amount=amount,
            ledger=ledger,
            code=TransferCode.CREDIT_LINE,
            reference=reference,
        )
    ]


def credit_line_down(
    *,
    ids: Ids,
    ledger: int,
    overdraft_id: AccountId,
    amount: int,
    reference: Reference = NO_REFERENCE,
) -> list[Transfer]:
    """Take back what is unused of an overdraft: debit the overdraft, credit the lines we gave."""
    return [
        move(
            ids("credit_line_down"),
            debit=overdraft_id,
            credit=house(ledger, AccountCode.CREDIT_LINES),
            amount=amount,
            ledger=ledger,
            code=TransferCode.CREDIT_LINE,
            reference=reference,
        )
    ]


def grant_expired(
    *,
    ids: Ids,
    ledger: int,
    grant_id: AccountId,
    amount: int,
    is_promotional: bool,
    reference: Reference = NO_REFERENCE,
) -> list[Transfer]:
    """Take what is free of a grant whose time is over: what is held stays held until its hold ends.

    A paid grant's rest is our income (breakage); a promotional one's lowers what promotions cost.
    """
    return [
        move(
            ids("grant_expired"),
            debit=grant_id,
            credit=_rest_of(ledger, is_promotional=is_promotional),
            amount=amount,
            ledger=ledger,
            code=TransferCode.GRANT_EXPIRED,
            reference=reference,
        )
    ]


def grant_voided(
    *,
    ids: Ids,
    ledger: int,
    grant_id: AccountId,
    amount: int,
    is_promotional: bool,
    reference: Reference = NO_REFERENCE,
) -> list[Transfer]:
    """Take so much of a grant back before its time, to where its rest would go on expiry."""
    return [
        move(
            ids("grant_voided"),
            debit=grant_id,
            credit=_rest_of(ledger, is_promotional=is_promotional),
            amount=amount,
            ledger=ledger,
            code=TransferCode.GRANT_VOIDED,
            reference=reference,
        )
    ]


def _rest_of(ledger: int, *, is_promotional: bool) -> AccountId:
    return house(ledger, AccountCode.PROMOTIONS if is_promotional else AccountCode.BREAKAGE)
