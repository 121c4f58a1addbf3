"""The chart of accounts: which kinds there are, on which side each grows, who may go below zero.

Accounts with a limit belong to a customer; the others belong to the house. One house account of
each kind exists per ledger (that is: per organization and asset), `payments` one per provider.
"""

from __future__ import annotations

from enum import Enum, IntEnum
from functools import lru_cache

from ledger.accounts import Account, AccountFlags
from ledger.ids import house_account


class Side(Enum):
    """The side on which an account grows."""

    DEBIT = "debit"
    CREDIT = "credit"


class AccountCode(IntEnum):
    """What an account is."""

    GRANT_PAID = 1
    GRANT_PROMOTIONAL = 2
    OVERDRAFT = 3
    OVERAGE = 4
    PAYMENTS = 10
    PROMOTIONS = 11
    REVENUE = 12
    BREAKAGE = 13
    RECEIVABLE = 14
    TAX_PAYABLE = 15
    DISCOUNTS = 16
    CREDIT_LINES = 17
    ISSUED = 18
    DEFERRED_REVENUE = 19
    EXCHANGE = 20
    CUSTOMER_CREDIT = 21


class TransferCode(IntEnum):
    """Why money moved. A POST or VOID keeps the code of the hold that it ends.

    Each number means one thing for ever; 5, 6, 16 and 20 were never used.
    """

    TOP_UP = 1
    PROMOTION = 2
    HOLD = 3
    CAPTURE = 4
    DEBIT = 7
    OVERAGE = 8
    REPAY_OVERAGE = 9
    REFUND = 10
    REVERSAL = 11
    GRANT_EXPIRED = 12
    GRANT_VOIDED = 13
    CREDIT_LINE = 14
    REPAY_OVERDRAFT = 15
    ISSUE = 17
    RECOGNISE_REVENUE = 18
    INVOICE_OVERAGE = 19
    INVOICE = 21
    INVOICE_COUPONS = 22
    INVOICE_TAXES = 23
    INVOICE_CREDIT_NOTES = 24
    INVOICE_PREPAID = 25
    INVOICE_REFUND = 26
    INVOICE_CREDIT = 27
    INVOICE_ROUNDING = 28
    INVOICE_PAYMENT = 29
    INVOICE_VOIDED = 30
    INVOICE_RETURN = 31
    CREDIT_NOTE = 32
    CREDIT_NOTE_REFUND = 33
    CREDIT_NOTE_OFFSET = 34
    CREDIT_NOTE_VOIDED = 35
    UNITS_EXPIRED = 36


NATURE: dict[AccountCode, Side] = {
    AccountCode.GRANT_PAID: Side.CREDIT,
    AccountCode.GRANT_PROMOTIONAL: Side.CREDIT,
    AccountCode.OVERDRAFT: Side.CREDIT,
    AccountCode.OVERAGE: Side.DEBIT,
    AccountCode.PAYMENTS: Side.DEBIT,
    AccountCode.PROMOTIONS: Side.DEBIT,
    AccountCode.REVENUE: Side.CREDIT,
    AccountCode.BREAKAGE: Side.CREDIT,
    AccountCode.RECEIVABLE: Side.DEBIT,
    AccountCode.TAX_PAYABLE: Side.CREDIT,
    AccountCode.DISCOUNTS: Side.DEBIT,
    AccountCode.CREDIT_LINES: Side.DEBIT,
    AccountCode.ISSUED: Side.DEBIT,
    AccountCode.DEFERRED_REVENUE: Side.CREDIT,
    AccountCode.EXCHANGE: Side.DEBIT,
    AccountCode.CUSTOMER_CREDIT: Side.CREDIT,
}

FLAGS: dict[AccountCode, AccountFlags] = {
    AccountCode.GRANT_PAID: AccountFlags.DEBITS_MUST_NOT_EXCEED_CREDITS,
    AccountCode.GRANT_PROMOTIONAL: AccountFlags.DEBITS_MUST_NOT_EXCEED_CREDITS,
    AccountCode.OVERDRAFT: AccountFlags.DEBITS_MUST_NOT_EXCEED_CREDITS,
    AccountCode.OVERAGE: AccountFlags.CREDITS_MUST_NOT_EXCEED_DEBITS,
}
"""Customers' accounts and what the book enforces for them. Every other kind is the house's."""

HOUSE_CODES = tuple(code for code in AccountCode if code not in FLAGS)


def customer_account(
    *, account_id: int, ledger: int, code: AccountCode, user_data_128: int = 0
) -> Account:
    """A grant, an overdraft or a customer's overage, with the limit that its kind demands."""
    return Account(
        id=account_id,
        ledger=ledger,
        code=code,
        flags=FLAGS[code],
        user_data_128=user_data_128,
    )


def house_name(code: AccountCode, detail: str = "") -> str:
    """How an account of the house is called: `revenue`, `payments:stripe`, `issued:TOKEN`."""
    assert code in HOUSE_CODES, code
    return f"{code.name.lower()}:{detail}" if detail else code.name.lower()


@lru_cache(maxsize=4096)
def house_account_id(*, ledger: int, code: AccountCode, detail: str = "") -> int:
    """The id of an account of the house: the same in every process, without a look-up."""
    return house_account(ledger, house_name(code, detail))


def house(*, ledger: int, code: AccountCode, detail: str = "") -> Account:
    """An account of the house, to be opened before its first use."""
    return Account(
        id=house_account_id(ledger=ledger, code=code, detail=detail),
        ledger=ledger,
        code=code,
    )


def house_accounts(
    *, ledger: int, asset_code: str, providers: tuple[str, ...] = ("manual",)
) -> list[Account]:
    """Every account of the house that a new ledger begins with.

    `issued` and `exchange` are named after the asset, `payments` after the provider.
    """
    accounts: list[Account] = []
    for code in HOUSE_CODES:
        if code is AccountCode.PAYMENTS:
            details = providers
        elif code in (AccountCode.ISSUED, AccountCode.EXCHANGE):
            details = (asset_code,)
        else:
            details = ("",)
        accounts += [house(ledger=ledger, code=code, detail=detail) for detail in details]
    return accounts
