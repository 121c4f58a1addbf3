"""Whether the book agrees with itself, and with another book.

All checks only read. A book that moves while it is read may look wrong for a moment, so whatever
seems wrong is looked at again before it is reported.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from ledger.accounts import Account, AccountId, Balance
from ledger.engine import PAGE_LIMIT

if TYPE_CHECKING:
    from ledger.engine import Ledger

LATE = 2**62
"""Later than any timestamp."""

LOOKS = 3
"""How often something is looked at before it is called wrong."""


class TrialBalanceLine(Struct, frozen=True):
    """All accounts of one kind together."""

    code: int
    accounts: int
    balance: Balance


class TrialBalance(Struct, frozen=True):
    """The sums of a whole ledger (one organization's one asset)."""

    ledger: int
    lines: tuple[TrialBalanceLine, ...]
    total: Balance

    @property
    def is_balanced(self) -> bool:
        """Every debit has its credit, posted and pending."""
        return (
            self.total.debits_posted == self.total.credits_posted
            and self.total.debits_pending == self.total.credits_pending
        )


class Difference(Struct, frozen=True):
    """An account on which two views disagree; `None` where one of them does not know it."""

    account_id: AccountId
    one: Balance | None
    other: Balance | None


async def trial_balance(ledger: Ledger, number: int, /) -> TrialBalance:
    """Σ debits and Σ credits of one ledger, by kind of account."""
    result = await _trial_balance(ledger, number)
    for _ in range(LOOKS - 1):
        if result.is_balanced:
            break
        result = await _trial_balance(ledger, number)
    return result


async def difference(one: Ledger, other: Ledger, number: int, /) -> list[Difference]:
    """Where two books of the same ledger disagree; empty is as it should be."""
    found = await _difference(one, other, number)
    for _ in range(LOOKS - 1):
        if not found:
            break
        again = await _difference(one, other, number)
        known = {each.account_id for each in found}
        found = [each for each in again if each.account_id in known]
    return found


async def stored_difference(ledger: Ledger, number: int, /) -> list[Difference]:
    """Where the kept balance of an account is not the sum of its transfers."""
    found: list[Difference] = []
    for account in await all_accounts(ledger, number):
        for look in range(LOOKS):
            kept = (await ledger.balances([account.id]))[account.id]
            summed = await ledger.balance_at(account.id, timestamp=LATE)
            if kept.same_sums(summed):
                break
            if look == LOOKS - 1:
                found.append(Difference(account.id, kept, summed))
    return found


async def all_accounts(ledger: Ledger, number: int, /) -> list[Account]:
    """Every account of one ledger, in the order of their opening."""
    accounts: list[Account] = []
    after_id = 0
    while page := await ledger.ledger_accounts(number, after_id=after_id, limit=PAGE_LIMIT):
        accounts += [account for account, _ in page]
        after_id = page[-1][0].id
    return accounts


async def _balances(ledger: Ledger, number: int) -> tuple[list[Account], dict[AccountId, Balance]]:
    """All balances at one moment, not page by page."""
    accounts = await all_accounts(ledger, number)
    return accounts, await ledger.balances([account.id for account in accounts])


async def _trial_balance(ledger: Ledger, number: int) -> TrialBalance:
    accounts, balances = await _balances(ledger, number)
    by_code: dict[int, list[Balance]] = {}
    for account in accounts:
        by_code.setdefault(account.code, []).append(balances[account.id])
    return TrialBalance(
        ledger=number,
        lines=tuple(
            TrialBalanceLine(code, len(of_code), _sum(of_code))
            for code, of_code in sorted(by_code.items())
        ),
        total=_sum(list(balances.values())),
    )


async def _difference(one: Ledger, other: Ledger, number: int) -> list[Difference]:
    _, here = await _balances(one, number)
    _, there = await _balances(other, number)
    found: list[Difference] = []
    for account_id in sorted(here.keys() | there.keys()):
        left, right = here.get(account_id), there.get(account_id)
        if left is None or right is None or not left.same_sums(right):
            found.append(Difference(account_id, left, right))
    return found


def _sum(balances: list[Balance]) -> Balance:
    return Balance(
        sum(each.debits_pending for each in balances),
        sum(each.debits_posted for each in balances),
        sum(each.credits_pending for each in balances),
        sum(each.credits_posted for each in balances),
        max((each.timestamp for each in balances), default=0),
    )
