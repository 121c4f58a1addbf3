"""The book as a journal that other accounting programs read: beancount and hledger.

    opening     one transaction an asset: every account's balance before the first entry
    entries     one transaction for each transfer, or for each day, reason and pair of accounts
    closing     every account's balance at the end, asserted: the program that reads it checks it

Pure, and streaming: a journal of any length is written entry by entry. Amounts are exact. Debits
are above zero, credits below. Both programs know days alone, so times are in UTC, as metadata.
"""

from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import date, timedelta
from typing import Final, Literal, TypeAlias
from urllib.parse import quote

from msgspec import Struct

from ledger.chart import AccountCode
from ledger.money import format_minor
from wallet_service.revenue_lines import AccountName

__all__ = ["Commodity", "Dialect", "Entry", "Journal", "Stand", "written"]

Dialect: TypeAlias = Literal["beancount", "hledger"]

_ACCOUNTS: Final = {
    AccountCode.GRANT_PAID: "Liabilities:Credits:Paid",
    AccountCode.GRANT_PROMOTIONAL: "Liabilities:Credits:Promotional",
    AccountCode.OVERDRAFT: "Liabilities:Overdrafts",
    AccountCode.OVERAGE: "Assets:Overage",
    AccountCode.PAYMENTS: "Assets:Payments",
    AccountCode.PROMOTIONS: "Expenses:Promotions",
    AccountCode.REVENUE: "Income:Revenue",
    AccountCode.BREAKAGE: "Income:Breakage",
    AccountCode.RECEIVABLE: "Assets:Receivable",
    AccountCode.TAX_PAYABLE: "Liabilities:TaxPayable",
    AccountCode.DISCOUNTS: "Income:Discounts",
    AccountCode.CREDIT_LINES: "Assets:CreditLines",
    AccountCode.ISSUED: "Equity:Issued",
    AccountCode.DEFERRED_REVENUE: "Liabilities:DeferredRevenue",
    AccountCode.EXCHANGE: "Equity:Exchange",
    AccountCode.CUSTOMER_CREDIT: "Liabilities:CustomerCredit",
}
_OF_AN_ASSET: Final = frozenset({AccountCode.ISSUED, AccountCode.EXCHANGE})
"""Named after their asset, which is the commodity already."""

_RESERVED: Final = frozenset({"TRUE", "FALSE", "NULL"})


class Commodity(Struct, frozen=True):
    """An asset: a currency or a native unit."""

    code: str
    name: str
    scale: int


class Entry(Struct, frozen=True, kw_only=True):
    """One transaction: so much from the account that is credited to the one that is debited."""

    day: date
    reason: str
    commodity: Commodity
    debit: AccountName
    credit: AccountName
    amount_minor: int
    details: dict[str, str]
    """What it is about: words of customers among them."""


class Stand(Struct, frozen=True, kw_only=True):
    """An account's balance, debits less credits."""

    account: AccountName
    commodity: Commodity
    balance_minor: int


class Journal(Struct, kw_only=True):
    """What is to be written."""

    title: str
    opened: date
    """The day of accounts and opening balances: not after any entry."""
    closed: date
    """The first day after all entries."""
    accounts: Sequence[tuple[AccountName, Commodity]]
    opening: Sequence[Stand]
    entries: AsyncIterator[Entry]
    closing: Sequence[Stand]


async def written(journal: Journal, dialect: Dialect) -> AsyncIterator[str]:
    """The journal's text, transaction by transaction."""
    words = _Beancount() if dialect == "beancount" else _Hledger()
    for text in words.head(journal):
        yield text
    for text in words.opening(journal):
        yield text
    async for entry in journal.entries:
        yield words.entry(entry)
    for text in words.closing(journal):
        yield text


def account_name(account: AccountName) -> str:
    """An account as both programs take it: `Assets:Payments:Acme-pay`.

    >>> account_name(AccountName(AccountCode.PAYMENTS, "acme_pay"))
    'Assets:Payments:Acme-pay'
    """
    code = AccountCode(account.code)
    name = _ACCOUNTS[code]
    if not account.detail or code in _OF_AN_ASSET:
        return name
    detail = account.detail.replace("_", "-")
    return f"{name}:{detail[0].upper()}{detail[1:]}"


def _amount(minor: int, commodity: Commodity) -> str:
    return format_minor(minor, commodity.scale)


def _by_commodity(stands: Sequence[Stand]) -> Iterator[tuple[Commodity, list[Stand]]]:
    found: dict[Commodity, list[Stand]] = {}
    for stand in stands:
        if stand.balance_minor:
            found.setdefault(stand.commodity, []).append(stand)
    yield from found.items()


class _Beancount:
    """As beancount 3 reads it."""

    def head(self, journal: Journal) -> Iterator[str]:
        yield f'option "title" "{_quoted(journal.title)}"\n\n'
        for commodity in dict.fromkeys(commodity for _, commodity in journal.accounts):
            yield f"{journal.opened} commodity {self.commodity(commodity)}\n"
            yield f'  name: "{_quoted(commodity.name)}"\n'
        yield "\n"
        names: dict[str, list[str]] = {}
        for account, commodity in journal.accounts:
            names.setdefault(account_name(account), []).append(self.commodity(commodity))
        for name, commodities in names.items():
            yield f"{journal.opened} open {name} {','.join(dict.fromkeys(commodities))}\n"

    def opening(self, journal: Journal) -> Iterator[str]:
        for commodity, stands in _by_commodity(journal.opening):
            yield f'\n{journal.opened} * "opening balances"\n'
            for stand in stands:
                yield self._posting(stand.account, stand.balance_minor, commodity)

    def entry(self, entry: Entry) -> str:
        details = "".join(f'  {key}: "{_quoted(text)}"\n' for key, text in entry.details.items())
        return (
            f'\n{entry.day} * "{entry.reason}"\n{details}'
            f"{self._posting(entry.debit, entry.amount_minor, entry.commodity)}"
            f"{self._posting(entry.credit, -entry.amount_minor, entry.commodity)}"
        )

    def closing(self, journal: Journal) -> Iterator[str]:
        """Asserted at the beginning of the day after, exactly: the default is to be lenient."""
        yield "\n"
        for stand in journal.closing:
            yield (
                f"{journal.closed} balance {account_name(stand.account)} "
                f"{_amount(stand.balance_minor, stand.commodity)} ~ 0 "
                f"{self.commodity(stand.commodity)}\n"
            )

    def commodity(self, commodity: Commodity) -> str:
        """Codes may not end in an underscore here, nor be a word of the language.

        Codes have no dashes, so that no two get the same name.
        """
        code = commodity.code.rstrip("_")
        underscores = len(commodity.code) - len(code)
        if underscores or code in _RESERVED:
            return f"{code}-U{underscores}"
        return code

    def _posting(self, account: AccountName, minor: int, commodity: Commodity) -> str:
        return (
            f"  {account_name(account)}  {_amount(minor, commodity)} {self.commodity(commodity)}\n"
        )


class _Hledger:
    """As hledger 1.25 and later read it."""

    def head(self, journal: Journal) -> Iterator[str]:
        yield f"; {_plain(journal.title)}\n\ndecimal-mark .\n\n"
        for commodity in dict.fromkeys(commodity for _, commodity in journal.accounts):
            yield f"commodity 1000.{'0' * commodity.scale} {self.commodity(commodity)}\n"
        yield "\n"
        for name in dict.fromkeys(account_name(account) for account, _ in journal.accounts):
            yield f"account {name}\n"

    def opening(self, journal: Journal) -> Iterator[str]:
        for commodity, stands in _by_commodity(journal.opening):
            yield f"\n{journal.opened} * opening balances\n"
            for stand in stands:
                yield self._posting(stand.account, stand.balance_minor, commodity)

    def entry(self, entry: Entry) -> str:
        details = "".join(
            f"    ; {key}: {text if key == 'time' else _plain(text)}\n"
            for key, text in entry.details.items()
        )
        return (
            f"\n{entry.day} * {entry.reason}\n{details}"
            f"{self._posting(entry.debit, entry.amount_minor, entry.commodity)}"
            f"{self._posting(entry.credit, -entry.amount_minor, entry.commodity)}"
        )

    def closing(self, journal: Journal) -> Iterator[str]:
        """Asserted by a transaction of nothing, on the last day."""
        if not journal.closing:
            return
        yield f"\n{journal.closed - timedelta(days=1)} * closing balances, asserted\n"
        for stand in journal.closing:
            commodity = self.commodity(stand.commodity)
            yield (
                f"    {account_name(stand.account)}  0 {commodity} = "
                f"{_amount(stand.balance_minor, stand.commodity)} {commodity}\n"
            )

    def commodity(self, commodity: Commodity) -> str:
        """Quoted: only letters may stand without."""
        return f'"{commodity.code}"'

    def _posting(self, account: AccountName, minor: int, commodity: Commodity) -> str:
        return (
            f"    {account_name(account)}  {_amount(minor, commodity)} "
            f"{self.commodity(commodity)}\n"
        )


def _quoted(text: str) -> str:
    """Inside of double quotes, on one line."""
    return _one_line(text).replace("\\", "\\\\").replace('"', '\\"')


def _plain(text: str) -> str:
    """In a comment, where `date:2026-01-01`, `[2026-01-01]` and commas would mean something.

    >>> _plain("acme, date:x [1]")
    'acme%2C date%3Ax %5B1%5D'
    """
    return quote(_one_line(text), safe=" @+-._/()#&'!*", encoding="utf-8", errors="replace")


def _one_line(text: str) -> str:
    return "".join(letter if letter.isprintable() else " " for letter in text)
