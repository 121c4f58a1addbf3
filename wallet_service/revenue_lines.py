"""What flows between kinds of accounts say to finance: income, what is owed, a trial balance.

Pure. A flow is what moved from one kind of account to another for one reason; whatever is reported
is a sum of flows, so every report is made of the same transfers.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import date
from typing import Any, Final, TypeAlias

from msgspec import Struct

from ledger.chart import AccountCode, TransferCode

__all__ = [
    "AccountName",
    "Flow",
    "IncomeLine",
    "OwedLine",
    "Share",
    "TrialLine",
    "income_of",
    "income_shared",
    "owed_of",
    "trial_balance_of",
]


class AccountName(Struct, frozen=True, order=True):
    """A kind of account, and of a house account which one: `payments`, `manual`."""

    code: int
    detail: str = ""

    @property
    def text(self) -> str:
        """Such as `revenue` or `payments:manual`."""
        name = AccountCode(self.code).name.lower()
        return f"{name}:{self.detail}" if self.detail else name


class Flow(Struct, frozen=True, kw_only=True):
    """So much was moved from one kind of account to another for one reason."""

    month: date | None
    """Its first day; None is before the time that is looked at."""
    asset_code: str
    code: int
    debit: AccountName
    credit: AccountName
    amount_minor: int
    transfers: int


class IncomeLine(Struct, frozen=True, kw_only=True):
    """One line of an income statement; what lowers income is below zero."""

    asset_code: str
    group: str
    """A month, a metric, a plan, a subscription; empty where all is one."""
    section: str
    name: str
    amount_minor: int


class OwedLine(Struct, frozen=True, kw_only=True):
    """What is owed by us (`liabilities`) or to us (`assets`), and how it has changed."""

    asset_code: str
    section: str
    name: str
    opening_minor: int
    increase_minor: int
    decrease_minor: int

    @property
    def closing_minor(self) -> int:
        """What is owed at the end."""
        return self.opening_minor + self.increase_minor - self.decrease_minor


class TrialLine(Struct, frozen=True, kw_only=True):
    """One account of a trial balance. Balances are debits less credits."""

    asset_code: str
    account: AccountName
    opening_minor: int
    debits_minor: int
    credits_minor: int

    @property
    def closing_minor(self) -> int:
        """The balance at the end: debits less credits."""
        return self.opening_minor + self.debits_minor - self.credits_minor


# -- income ----------------------------------------------------------------------------------------

SECTIONS: Final = ("revenue", "breakage", "discounts", "promotions", "taxes")
"""In the order in which they are shown. Taxes are no income: what was asked for, for the state."""

_SECTION_OF: Final = {
    AccountCode.REVENUE: "revenue",
    AccountCode.BREAKAGE: "breakage",
    AccountCode.DISCOUNTS: "discounts",
    AccountCode.PROMOTIONS: "promotions",
    AccountCode.TAX_PAYABLE: "taxes",
}
_USAGE_BY_PAYER: Final = {
    AccountCode.GRANT_PAID: "usage_paid",
    AccountCode.GRANT_PROMOTIONAL: "usage_promotional",
    AccountCode.OVERDRAFT: "usage_overdraft",
    AccountCode.OVERAGE: "usage_overage",
}
_USAGE: Final = frozenset({*_USAGE_BY_PAYER.values(), "usage_other"})
_USAGE_CODES: Final = frozenset(
    {
        TransferCode.HOLD,
        TransferCode.CAPTURE,
        TransferCode.DEBIT,
        TransferCode.OVERAGE,
        TransferCode.REFUND,
        TransferCode.REVERSAL,
    }
)
_CREDIT_NOTES: Final = frozenset(
    {
        TransferCode.CREDIT_NOTE,
        TransferCode.CREDIT_NOTE_REFUND,
        TransferCode.CREDIT_NOTE_OFFSET,
        TransferCode.CREDIT_NOTE_VOIDED,
    }
)
_NAMES: Final = {
    ("revenue", TransferCode.INVOICE): "invoiced",
    ("revenue", TransferCode.INVOICE_ROUNDING): "invoice_rounding",
    ("revenue", TransferCode.INVOICE_VOIDED): "invoices_voided",
    ("revenue", TransferCode.RECOGNISE_REVENUE): "units_used",
    ("breakage", TransferCode.GRANT_EXPIRED): "grants_expired",
    ("breakage", TransferCode.GRANT_VOIDED): "grants_voided",
    ("breakage", TransferCode.UNITS_EXPIRED): "units_expired",
    ("discounts", TransferCode.INVOICE_COUPONS): "coupons",
    ("discounts", TransferCode.INVOICE_VOIDED): "invoices_voided",
    ("promotions", TransferCode.PROMOTION): "credits_granted",
    ("promotions", TransferCode.GRANT_EXPIRED): "grants_expired",
    ("promotions", TransferCode.GRANT_VOIDED): "grants_voided",
    ("taxes", TransferCode.INVOICE_TAXES): "invoiced",
    ("taxes", TransferCode.INVOICE_VOIDED): "invoices_voided",
}

Place: TypeAlias = tuple[str, str, str, str]


def income_of(flows: Iterable[Flow], *, by_month: bool) -> list[IncomeLine]:
    """What was earned, given up and asked for in taxes; flows without a month do not count."""
    sums: defaultdict[Place, int] = defaultdict(int)
    for flow in flows:
        if flow.month is None:
            continue
        group = f"{flow.month:%Y-%m}" if by_month else ""
        for side, other, amount in (
            (flow.credit, flow.debit, flow.amount_minor),
            (flow.debit, flow.credit, -flow.amount_minor),
        ):
            section = _SECTION_OF.get(AccountCode(side.code))
            if section is not None:
                name = _income_name(section, flow.code, AccountCode(other.code))
                sums[flow.asset_code, group, section, name] += amount
    return _lines(sums, lambda place: (place[0], place[1], SECTIONS.index(place[2]), place[3]))


class Share(Struct, frozen=True, kw_only=True):
    """How much of `usage`, or of what was `invoiced`, is of one metric, plan or subscription."""

    asset_code: str
    group: str
    name: str
    amount_minor: int


def income_shared(flows: Iterable[Flow], shares: Iterable[Share]) -> list[IncomeLine]:
    """The same, with usage and what was invoiced by group.

    What belongs to no group has none: what no row accounts for, too, so that all of it is always
    what the book says.
    """
    sums: defaultdict[Place, int] = defaultdict(int)
    for line in income_of(flows, by_month=False):
        name = "usage" if line.name in _USAGE else line.name
        sums[line.asset_code, "", line.section, name] += line.amount_minor
    for share in shares:
        sums[share.asset_code, share.group, "revenue", share.name] += share.amount_minor
        sums[share.asset_code, "", "revenue", share.name] -= share.amount_minor
    return _lines(sums, lambda place: (place[0], SECTIONS.index(place[2]), place[3], place[1]))


def _lines(sums: dict[Place, int], order: Callable[[Place], tuple[Any, ...]]) -> list[IncomeLine]:
    return [
        IncomeLine(
            asset_code=place[0],
            group=place[1],
            section=place[2],
            name=place[3],
            amount_minor=sums[place],
        )
        for place in sorted(sums, key=order)
        if sums[place]
    ]


def _income_name(section: str, code: int, other: AccountCode) -> str:
    if section == "revenue" and code in _USAGE_CODES:
        return _USAGE_BY_PAYER.get(other, "usage_other")
    if code in _CREDIT_NOTES:
        return "credit_notes"
    return _NAMES.get((section, TransferCode(code)), TransferCode(code).name.lower())


# -- what is owed ----------------------------------------------------------------------------------

_OWED: Final = {
    AccountCode.GRANT_PAID: ("liabilities", "paid_credits"),
    AccountCode.GRANT_PROMOTIONAL: ("liabilities", "promotional_credits"),
    AccountCode.CUSTOMER_CREDIT: ("liabilities", "customer_credit"),
    AccountCode.DEFERRED_REVENUE: ("liabilities", "deferred_revenue"),
    AccountCode.TAX_PAYABLE: ("liabilities", "tax_payable"),
    AccountCode.RECEIVABLE: ("assets", "receivable"),
    AccountCode.OVERAGE: ("assets", "overage"),
    AccountCode.OVERDRAFT: ("assets", "overdrafts_used"),
    AccountCode.CREDIT_LINES: ("assets", "overdrafts_used"),
}
_OWED_ORDER: Final = list(dict.fromkeys(_OWED.values()))


def owed_of(flows: Iterable[Flow]) -> list[OwedLine]:
    """What we owe and are owed, with its changes. A line that credits itself has not changed.

    An overdraft's account is the line that is free: what is used of it is what customers owe.
    """
    sums: defaultdict[tuple[str, str, str], list[int]] = defaultdict(lambda: [0, 0, 0])
    for flow in flows:
        debited = _OWED.get(AccountCode(flow.debit.code))
        credited = _OWED.get(AccountCode(flow.credit.code))
        if debited == credited:
            continue
        for line, is_debit in ((debited, True), (credited, False)):
            if line is None:
                continue
            rises = is_debit == (line[0] == "assets")
            parts = sums[flow.asset_code, *line]
            if flow.month is None:
                parts[0] += flow.amount_minor if rises else -flow.amount_minor
            else:
                parts[1 if rises else 2] += flow.amount_minor
    return [
        OwedLine(
            asset_code=asset,
            section=section,
            name=name,
            opening_minor=opening,
            increase_minor=increase,
            decrease_minor=decrease,
        )
        for (asset, section, name), (opening, increase, decrease) in sorted(
            sums.items(), key=lambda item: (item[0][0], _OWED_ORDER.index(item[0][1:]))
        )
        if opening or increase or decrease
    ]


# -- trial balance ---------------------------------------------------------------------------------


def trial_balance_of(flows: Iterable[Flow]) -> list[TrialLine]:
    """Every account with what was debited and credited, by asset, in the order of the chart."""
    sums: defaultdict[tuple[str, AccountName], list[int]] = defaultdict(lambda: [0, 0, 0])
    for flow in flows:
        for account, is_debit in ((flow.debit, True), (flow.credit, False)):
            parts = sums[flow.asset_code, account]
            if flow.month is None:
                parts[0] += flow.amount_minor if is_debit else -flow.amount_minor
            else:
                parts[1 if is_debit else 2] += flow.amount_minor
    return [
        TrialLine(
            asset_code=asset,
            account=account,
            opening_minor=opening,
            debits_minor=debits,
            credits_minor=credits_,
        )
        for (asset, account), (opening, debits, credits_) in sorted(sums.items())
    ]
