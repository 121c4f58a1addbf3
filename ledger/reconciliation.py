"""Whether the book agrees with itself.

It is only read. A book that moves while it is read may look wrong for a moment, so whatever seems
wrong is looked at again before it is reported.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from ledger.accounts import Balance
from ledger.engine import PAGE_LIMIT

if TYPE_CHECKING:
    from ledger.accounts import Account
    from ledger.engine import Ledger

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


async def trial_balance(ledger: Ledger, number: int, /) -> TrialBalance:
    """Σ debits and Σ credits of one ledger, by kind of account."""
    result = await _trial_balance(ledger, number)
    for _ in range(LOOKS - 1):
        if result.is_balanced:
            break
        result = await _trial_balance(ledger, number)
    return result


async def _all_accounts(ledger: Ledger, number: int) -> list[Account]:
    """Every account of one ledger, in the order of their opening."""
    accounts: list[Account] = []
    after_id = 0
    while page := await ledger.ledger_accounts(number, after_id=after_id, limit=PAGE_LIMIT):
        accounts += [account for account, _ in page]
        after_id = page[-1][0].id
    return accounts


async def _trial_balance(ledger: Ledger, number: int) -> TrialBalance:
    accounts = await _all_accounts(ledger, number)
    # All balances at one moment, not page by page.
    balances = await ledger.balances([account.id for account in accounts])
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


def _sum(balances: list[Balance]) -> Balance:
    return Balance(
        sum(each.debits_pending for each in balances),
        sum(each.debits_posted for each in balances),
        sum(each.credits_pending for each in balances),
        sum(each.credits_posted for each in balances),
        max((each.timestamp for each in balances), default=0),
    )
