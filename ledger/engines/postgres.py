"""The book in Postgres: in the caller's own transaction, or in one of its own.

A batch is one statement that locks and reads, the rules in Python, and one statement that writes.
Customers' accounts are locked in the order of their ids; accounts of the house never are: their
balance is a stored sum plus all transfers that are newer than it (see `fold` in postgres.sql).
"""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Any, TypeVar

import asyncpg

from ledger.accounts import Account, AccountId, AccountResult, Balance
from ledger.book import AccountState, Book
from ledger.engine import PAGE_LIMIT, JudgedBatch, KnownAccounts
from ledger.engines.postgres_accounts import balances_of, create_accounts
from ledger.engines.postgres_batches import (
    STEP,
    first_timestamp,
    lock_and_read,
    release_expired,
    rows_of,
    write,
)
from ledger.engines.postgres_rows import I64_MAX, account_of, transfer_of, uuid_of, uuids_of
from ledger.engines.postgres_statements import SQL, Connection
from ledger.errors import LedgerConflict, LedgerUnavailable, OutcomePending
from ledger.rules import check_amount, judge
from ledger.transfers import BATCH_MAX, Transfer, TransferId, TransferResult, TransferStatus

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

T = TypeVar("T")

_TRIES = 5

_TRY_AGAIN = (
    LedgerConflict,
    asyncpg.SerializationError,
    asyncpg.DeadlockDetectedError,
    asyncpg.LockNotAvailableError,
)
_UNAVAILABLE = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.ReadOnlySQLTransactionError,
)


class PostgresLedger:
    """See `ledger.engine.Ledger` for what each method promises.

    The pool stays its owner's: `close` leaves it open. Roles: `fold` and `release_expired` need a
    pool of the worker, everything else one of the committer or the worker.
    """

    name = "postgres"

    def __init__(self, pool: Any) -> None:
        self._pool = pool
        self._house: dict[AccountId, int] = {}
        """Accounts of the house that were seen, and their ledgers: they never change."""

    async def create_accounts(
        self, accounts: Sequence[Account], /, *, connection: Connection = None
    ) -> list[AccountResult]:
        if not accounts:
            return []
        if connection is not None:
            return await create_accounts(connection, accounts)
        return await self._in_transaction(lambda own: create_accounts(own, accounts))

    async def create_transfers(
        self, transfers: Sequence[Transfer], /, *, connection: Connection = None
    ) -> list[TransferResult]:
        if not transfers:
            return []
        if connection is not None:
            return await self._create_transfers(connection, transfers)
        return await self._in_transaction(lambda own: self._create_transfers(own, transfers))

    def judge_known(
        self, transfers: Sequence[Transfer], known: KnownAccounts, /
    ) -> JudgedBatch | None:
        """Judge transfers with new ids against accounts as the caller has read them.

        What is to be kept is left for the caller to write, with `ledger.book` in a statement of its
        own, which tells whether it was (`BatchRows.check`). None where something must be looked up
        first, or is refused for now: `create_transfers` does that.
        """
        book = Book(known.accounts, {}, {}, set())
        claimed: set[TransferId] = set()
        for transfer in transfers:
            check_amount(transfer)
            if transfer.pending_id:
                hold = known.holds.get(transfer.pending_id)
                if hold is not None:
                    book.transfers[hold.id] = hold
                    claimed.add(hold.id)
                continue
            for account_id in (transfer.debit_account_id, transfer.credit_account_id):
                if not self._find_house(account_id, book):
                    return None
        for hold_id in claimed:
            hold = book.transfers[hold_id]
            if not (
                self._find_house(hold.debit_account_id, book)
                and self._find_house(hold.credit_account_id, book)
            ):
                return None
        newest = max((state.timestamp for state in known.accounts.values()), default=0)
        first = first_timestamp(known.clock_ns, known.batch, newest=newest)
        verdict = judge(transfers, book, timestamp=first, step=STEP)
        if not all(result.status is TransferStatus.CREATED for result in verdict.results):
            return None
        return JudgedBatch(verdict.results, rows_of(verdict.booked, book, claimed=claimed))

    def _find_house(self, account_id: AccountId, book: Book) -> bool:
        """Whether the account is at hand: read by the caller, or of the house and seen before."""
        if account_id in book.accounts:
            return True
        house = self._house.get(account_id)
        if house is None:
            return False
        book.accounts[account_id] = AccountState(account_id, house, 0)
        return True

    async def balances(
        self, ids: Sequence[AccountId], /, *, connection: Connection = None
    ) -> dict[AccountId, Balance]:
        return await self._read(lambda own: balances_of(own, ids), connection)

    async def accounts(self, ids: Sequence[AccountId], /) -> dict[AccountId, Account]:
        rows = await self._read(lambda own: SQL.find_accounts.fetch(own, ids=uuids_of(ids)))
        return {account.id: account for account in map(account_of, rows)}

    async def transfers(self, ids: Sequence[TransferId], /) -> dict[TransferId, Transfer]:
        rows = await self._read(lambda own: SQL.find_transfers.fetch(own, ids=uuids_of(ids)))
        return {transfer.id: transfer for transfer in map(transfer_of, rows)}

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
        statement = SQL.newest_first if newest_first else SQL.oldest_first
        rows = await self._read(
            lambda own: statement.fetch(
                own,
                account_id=uuid_of(account_id),
                since=since_timestamp,
                until=until_timestamp or I64_MAX,
                limit=min(limit, BATCH_MAX),
            )
        )
        return [transfer_of(row) for row in rows]

    async def balance_at(self, account_id: AccountId, /, *, timestamp: int) -> Balance:
        (row,) = await self._read(
            lambda own: SQL.balance_at.fetch(own, account_id=uuid_of(account_id), until=timestamp)
        )
        return Balance(int(row[0]), int(row[1]), int(row[2]), int(row[3]), timestamp)

    async def ledger_accounts(
        self, ledger: int, /, *, after_id: AccountId = 0, limit: int = PAGE_LIMIT
    ) -> list[tuple[Account, Balance]]:
        async def page(own: Connection) -> list[tuple[Account, Balance]]:
            rows = await SQL.ledger_accounts.fetch(
                own, ledger=ledger, after_id=uuid_of(after_id), limit=min(limit, BATCH_MAX)
            )
            accounts = [account_of(row) for row in rows]
            balances = await balances_of(own, [account.id for account in accounts])
            return [(account, balances[account.id]) for account in accounts]

        return await self._read(page)

    async def release_expired(self, *, limit: int = PAGE_LIMIT) -> int:
        return await self._in_transaction(lambda own: release_expired(own, limit))

    async def fold(self) -> int:
        """Move the transfers below the oldest running transaction into the house's sums."""
        rows = await self._in_transaction(SQL.fold.fetch)
        return rows[0][0]

    async def ready(self) -> None:
        await self._read(SQL.probe.fetch)

    async def close(self) -> None:
        return None

    async def _create_transfers(
        self, connection: Connection, transfers: Sequence[Transfer]
    ) -> list[TransferResult]:
        account_ids: set[int] = set()
        pending_ids: set[int] = set()
        for transfer in transfers:
            check_amount(transfer)
            account_ids.add(transfer.debit_account_id)
            account_ids.add(transfer.credit_account_id)
            if transfer.pending_id:
                pending_ids.add(transfer.pending_id)
        book, timestamp = await lock_and_read(
            connection,
            account_ids=account_ids,
            transfer_ids=[transfer.id for transfer in transfers],
            pending_ids=pending_ids,
        )
        for state in book.accounts.values():
            if not state.is_limited:
                self._house[state.account_id] = state.ledger
        verdict = judge(transfers, book, timestamp=timestamp, step=STEP)
        if verdict.booked or verdict.burnt:
            await write(connection, verdict.booked, book=book, burnt=verdict.burnt)
        return verdict.results

    async def _read(
        self,
        work: Callable[[Connection], Awaitable[T]],
        connection: Connection = None,
    ) -> T:
        if connection is not None:
            return await work(connection)
        try:
            async with self._pool.acquire() as own:
                return await work(own)
        except _UNAVAILABLE as error:
            raise _unavailable(error) from error

    async def _in_transaction(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        """Run `work` in a transaction of its own, again when someone else was first."""
        for attempt in range(1, _TRIES + 1):
            try:
                return await self._once(work)
            except _TRY_AGAIN as error:
                if attempt == _TRIES:
                    if isinstance(error, LedgerConflict):
                        raise
                    raise _unavailable(error) from error
                await asyncio.sleep(random.uniform(0.5, 1.5) * 0.002 * 2**attempt)  # noqa: S311
            except _UNAVAILABLE as error:
                raise _unavailable(error) from error
        raise AssertionError

    async def _once(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        async with self._pool.acquire() as own:
            transaction = own.transaction()
            await transaction.start()
            try:
                result = await work(own)
            except BaseException:
                # A connection that died has rolled back by itself.
                if not own.is_closed():
                    await transaction.rollback()
                raise
            try:
                await transaction.commit()
            except _TRY_AGAIN:
                raise
            except _UNAVAILABLE as error:
                raise OutcomePending("the commit was sent, its answer got lost") from error
            return result


def _unavailable(error: BaseException) -> LedgerUnavailable:
    return LedgerUnavailable(f"Postgres does not take the batch: {type(error).__name__}")
