"""Grants, overdrafts and overage: funded, repaid, voided, expired."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ledger.chart import AccountCode, TransferCode
from ledger.postings.movements import Booking

if TYPE_CHECKING:
    from ledger.accounts import AccountId
    from ledger.transfers import Transfer


def top_up(at: Booking, *, grant_id: AccountId, amount: int, provider: str) -> list[Transfer]:
    """A payment was confirmed: debit what the provider owes us, credit what we owe the customer."""
    return [
        at.move(
            "top_up",
            debit=at.house(AccountCode.PAYMENTS, provider),
            credit=grant_id,
            amount=amount,
            code=TransferCode.TOP_UP,
        )
    ]


def promotion(at: Booking, *, grant_id: AccountId, amount: int) -> list[Transfer]:
    """We give credits away: debit the expense, credit what we owe the customer."""
    return [
        at.move(
            "promotion",
            debit=at.house(AccountCode.PROMOTIONS),
            credit=grant_id,
            amount=amount,
            code=TransferCode.PROMOTION,
        )
    ]


def repay_overage(
    at: Booking, *, grant_id: AccountId, overage_id: AccountId, amount: int
) -> list[Transfer]:
    """The next top-up first pays what is owed: debit the new grant, credit the overage."""
    return [
        at.move(
            "repay_overage",
            debit=grant_id,
            credit=overage_id,
            amount=amount,
            code=TransferCode.REPAY_OVERAGE,
        )
    ]


def repay_overdraft(
    at: Booking, *, grant_id: AccountId, overdraft_id: AccountId, amount: int
) -> list[Transfer]:
    """Fill a used overdraft up again: debit the new grant, credit the overdraft."""
    return [
        at.move(
            "repay_overdraft",
            debit=grant_id,
            credit=overdraft_id,
            amount=amount,
            code=TransferCode.REPAY_OVERDRAFT,
        )
    ]


def credit_line_up(at: Booking, *, overdraft_id: AccountId, amount: int) -> list[Transfer]:
    """Grant an overdraft, or a higher one: debit the lines we gave, credit the overdraft."""
    return [
        at.move(
            "credit_line_up",
            debit=at.house(AccountCode.CREDIT_LINES),
            credit=overdraft_id,
            amount=amount,
            code=TransferCode.CREDIT_LINE,
        )
    ]


def credit_line_down(at: Booking, *, overdraft_id: AccountId, amount: int) -> list[Transfer]:
    """Take back what is unused of an overdraft: debit the overdraft, credit the lines we gave."""
    return [
        at.move(
            "credit_line_down",
            debit=overdraft_id,
            credit=at.house(AccountCode.CREDIT_LINES),
            amount=amount,
            code=TransferCode.CREDIT_LINE,
        )
    ]


def grant_expired(
    at: Booking, *, grant_id: AccountId, amount: int, is_promotional: bool
) -> list[Transfer]:
    """Take what is free of a grant whose time is over: what is held stays held until its hold ends.

    A paid grant's rest is our income (breakage); a promotional one's lowers what promotions cost.
    """
    return [
        at.move(
            "grant_expired",
            debit=grant_id,
            credit=_rest_of(at, is_promotional=is_promotional),
            amount=amount,
            code=TransferCode.GRANT_EXPIRED,
        )
    ]


def grant_voided(
    at: Booking, *, grant_id: AccountId, amount: int, is_promotional: bool
) -> list[Transfer]:
    """Take so much of a grant back before its time, to where its rest would go on expiry."""
    return [
        at.move(
            "grant_voided",
            debit=grant_id,
            credit=_rest_of(at, is_promotional=is_promotional),
            amount=amount,
            code=TransferCode.GRANT_VOIDED,
        )
    ]


def _rest_of(at: Booking, *, is_promotional: bool) -> AccountId:
    return at.house(AccountCode.PROMOTIONS if is_promotional else AccountCode.BREAKAGE)
