# ruff: noqa: ARG002 - the protocol's parameters, some of which only Postgres needs
"""The readable reference: the whole book in dictionaries, for tests and for reading.

It keeps nothing and locks nothing: one event loop, one batch at a time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ledger.account_rules import judge_accounts
from ledger.accounts import Account, AccountId, AccountResult, Balance
from ledger.book import AccountState, Book, Booked, Ending
from ledger.engine import PAGE_LIMIT
from ledger.rules import check_amount, judge
from ledger.statements import balance_after, expiry_of
from ledger.transfers import BATCH_MAX, Transfer, TransferId, TransferResult

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class MemoryLedger:
    """See `ledger.engine.Ledger` for what each method promises."""

    name = "memory"

    def __init__(self, *, clock: Callable[[], int]) -> None:
        self._clock = clock
        self._last_timestamp = 0
        self._accounts: dict[AccountId, Account] = {}
        self._book = Book({}, {}, {}, set())
        self._history: dict[AccountId, list[Booked]] = {}
        self._waiting: dict[TransferId, Transfer] = {}
        """Pending transfers that will be given back when their timeout passes."""

    async def create_accounts(
        self, accounts: Sequence[Account], /, *, connection: Any = None
    ) -> list[AccountResult]:
        results, opened = judge_accounts(
            accounts, self._accounts, timestamp=self._reserve(len(accounts))
        )
        for account in opened:
            self._book.accounts[account.id] = AccountState(
                account.id, account.ledger, int(account.flags), timestamp=account.timestamp
            )
            self._history[account.id] = []
        return results

    async def create_transfers(
        self, transfers: Sequence[Transfer], /, *, connection: Any = None
    ) -> list[TransferResult]:
        for transfer in transfers:
            check_amount(transfer)
        verdict = judge(transfers, self._book, timestamp=self._reserve(len(transfers)))
        for booked in verdict.booked:
            self._record(booked)
        return verdict.results

    def _record(self, booked: Booked) -> None:
        transfer = booked.transfer
        self._history[transfer.debit_account_id].append(booked)
        self._history[transfer.credit_account_id].append(booked)
        if transfer.timeout_s:
            self._waiting[transfer.id] = transfer
        self._waiting.pop(transfer.pending_id, None)

    def _reserve(self, count: int) -> int:
        """The first of `count` timestamps, later than all before, whatever the clock does."""
        first = max(self._clock(), self._last_timestamp + 1)
        self._last_timestamp = first + max(count, 1) - 1
        return first

    async def balances(
        self, ids: Sequence[AccountId], /, *, connection: Any = None
    ) -> dict[AccountId, Balance]:
        now = self._reserve(1)
        states = self._book.accounts
        return {
            account_id: states[account_id].balance(now)
            for account_id in ids
            if account_id in states
        }

    async def accounts(self, ids: Sequence[AccountId], /) -> dict[AccountId, Account]:
        return {
            account_id: self._accounts[account_id]
            for account_id in ids
            if account_id in self._accounts
        }

    async def transfers(self, ids: Sequence[TransferId], /) -> dict[TransferId, Transfer]:
        known = self._book.transfers
        return {transfer_id: known[transfer_id] for transfer_id in ids if transfer_id in known}

    async def account_transfers(
        self,
        account_id: AccountId,
        /,
        *,
        since_timestamp: int = 0,
        until_timestamp: int = 0,
        limit: int = PAGE_LIMIT,
        newest_first: bool = False,
    ) -> list[Transfer]:
        found = [
            booked.transfer
            for booked in self._history.get(account_id, ())
            if booked.transfer.id in self._book.transfers
            and booked.transfer.timestamp >= since_timestamp
            and (not until_timestamp or booked.transfer.timestamp <= until_timestamp)
        ]
        if newest_first:
            found.reverse()
        return found[: min(limit, BATCH_MAX)]

    async def balance_at(self, account_id: AccountId, /, *, timestamp: int) -> Balance:
        return balance_after(account_id, self._history.get(account_id, ()), timestamp=timestamp)

    async def ledger_accounts(
        self, ledger: int, /, *, after_id: AccountId = 0, limit: int = PAGE_LIMIT
    ) -> list[tuple[Account, Balance]]:
        after = self._accounts[after_id].timestamp if after_id in self._accounts else 0
        now = self._reserve(1)
        return [
            (account, self._book.accounts[account.id].balance(now))
            for account in self._accounts.values()
            if account.ledger == ledger and account.timestamp > after
        ][: min(limit, BATCH_MAX)]

    async def release_expired(self, *, limit: int = PAGE_LIMIT) -> int:
        now = self._clock()
        due = [pending for pending in self._waiting.values() if pending.expires_at <= now][:limit]
        for pending in due:
            at = self._reserve(1)
            for account_id in (pending.debit_account_id, pending.credit_account_id):
                self._book.accounts[account_id].timestamp = at
            self._book.accounts[pending.debit_account_id].debits_pending -= pending.amount
            self._book.accounts[pending.credit_account_id].credits_pending -= pending.amount
            self._book.ended[pending.id] = Ending(None)
            self._record(Booked(expiry_of(pending, timestamp=at), pending.amount))
        return len(due)

    async def fold(self) -> int:
        return 0

    async def ready(self) -> None:
        return None

    async def close(self) -> None:
        return None
