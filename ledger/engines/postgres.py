"""The book in Postgres: in the caller's own transaction, or in one of its own.

A batch is one statement that locks and reads, the rules in Python, and one statement that writes.
Customers' accounts are locked in the order of their ids; accounts of the house never are: their
balance is a stored sum plus all transfers that are newer than it (see `fold` in postgres.sql).
"""

from __future__ import annotations

import asyncio
import random
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, cast

import aiosql
import asyncpg

from ledger.account_rules import judge_accounts
from ledger.accounts import Account, AccountFlags, AccountId, AccountResult, AccountStatus, Balance
from ledger.engine import PAGE_LIMIT, BatchRows, JudgedBatch, KnownAccounts
from ledger.engines.postgres_rows import (
    I64_MAX,
    Row,
    account_of,
    moved_balance_of,
    new_transfer_of,
    signed,
    transfer_locked,
    transfer_of,
    uuid_of,
    uuids_of,
)
from ledger.errors import LedgerConflict, LedgerUnavailable, OutcomePending
from ledger.ids import hash128
from ledger.rules import AccountState, Book, Booked, Ending, check_amount, judge
from ledger.statements import expiry_of
from ledger.transfers import (
    BATCH_MAX,
    Phase,
    Transfer,
    TransferId,
    TransferResult,
    TransferStatus,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence
    from collections.abc import Set as AbstractSet

Connection: TypeAlias = Any
"""An asyncpg connection, or one that a pool has lent out."""

T = TypeVar("T")

_STEP = 1_000
"""Transfers of a batch are a microsecond apart; below it stands the number of the batch."""
_TIMED_OUT = 4
_ENDINGS = (None, None, Ending(Phase.POST), Ending(Phase.VOID), Ending(None))
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


class _Statement:
    """One named statement of postgres.sql, called with its parameters by name."""

    __slots__ = ("names", "sql")

    def __init__(self, sql: str, names: tuple[str, ...]) -> None:
        self.sql = sql
        self.names = names

    async def fetch(self, connection: Connection, **parameters: object) -> list[Row]:
        return await connection.fetch(self.sql, *[parameters[name] for name in self.names])


class _Statements:
    """All of postgres.sql."""

    def __init__(self) -> None:
        load: Any = cast("Any", aiosql).from_path
        queries = load(Path(__file__).with_suffix(".sql"), "asyncpg")
        names: dict[str, list[str]] = queries.driver_adapter.var_sorted

        def named(name: str) -> _Statement:
            return _Statement(getattr(queries, name).sql, tuple(names.get(name, ())))

        self.lock_and_read = named("lock_and_read")
        self.write = named("write")
        self.burn = named("burn")
        self.find_accounts = named("find_accounts")
        self.open_accounts = named("open_accounts")
        self.read_clock = named("read_clock")
        self.read_balances = named("read_balances")
        self.read_limited_balances = named("read_limited_balances")
        self.find_transfers = named("find_transfers")
        self.oldest_first = named("account_transfers_oldest_first")
        self.newest_first = named("account_transfers_newest_first")
        self.balance_at = named("balance_at")
        self.ledger_accounts = named("ledger_accounts")
        self.find_due = named("find_due")
        self.mark_released = named("mark_released")
        self.fold = named("fold")
        self.probe = named("probe")


_SQL = _Statements()


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
            return await _create_accounts(connection, accounts)
        return await self._in_transaction(lambda own: _create_accounts(own, accounts))

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
        first = _first_timestamp(known.clock_ns, known.batch, newest=newest)
        verdict = judge(transfers, book, timestamp=first, step=_STEP)
        if not all(result.status is TransferStatus.CREATED for result in verdict.results):
            return None
        return JudgedBatch(verdict.results, _rows_of(verdict.booked, book, claimed=claimed))

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
        return await self._read(lambda own: _balances(own, ids), connection)

    async def accounts(self, ids: Sequence[AccountId], /) -> dict[AccountId, Account]:
        rows = await self._read(lambda own: _SQL.find_accounts.fetch(own, ids=uuids_of(ids)))
        return {account.id: account for account in map(account_of, rows)}

    async def transfers(self, ids: Sequence[TransferId], /) -> dict[TransferId, Transfer]:
        rows = await self._read(lambda own: _SQL.find_transfers.fetch(own, ids=uuids_of(ids)))
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
        statement = _SQL.newest_first if newest_first else _SQL.oldest_first
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
            lambda own: _SQL.balance_at.fetch(own, account_id=uuid_of(account_id), until=timestamp)
        )
        return Balance(int(row[0]), int(row[1]), int(row[2]), int(row[3]), timestamp)

    async def ledger_accounts(
        self, ledger: int, /, *, after_id: AccountId = 0, limit: int = PAGE_LIMIT
    ) -> list[tuple[Account, Balance]]:
        async def page(own: Connection) -> list[tuple[Account, Balance]]:
            rows = await _SQL.ledger_accounts.fetch(
                own, ledger=ledger, after_id=uuid_of(after_id), limit=min(limit, BATCH_MAX)
            )
            accounts = [account_of(row) for row in rows]
            balances = await _balances(own, [account.id for account in accounts])
            return [(account, balances[account.id]) for account in accounts]

        return await self._read(page)

    async def release_expired(self, *, limit: int = PAGE_LIMIT) -> int:
        return await self._in_transaction(lambda own: _release_expired(own, limit))

    async def fold(self) -> int:
        """Move the transfers below the oldest running transaction into the house's sums."""
        rows = await self._in_transaction(_SQL.fold.fetch)
        return rows[0][0]

    async def ready(self) -> None:
        await self._read(_SQL.probe.fetch)

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
        book, timestamp = await _lock_and_read(
            connection,
            account_ids=account_ids,
            transfer_ids=[transfer.id for transfer in transfers],
            pending_ids=pending_ids,
        )
        for state in book.accounts.values():
            if not state.is_limited:
                self._house[state.account_id] = state.ledger
        verdict = judge(transfers, book, timestamp=timestamp, step=_STEP)
        if verdict.booked or verdict.burnt:
            await _write(connection, verdict.booked, book=book, burnt=verdict.burnt)
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


async def _lock_and_read(
    connection: Connection,
    *,
    account_ids: Iterable[int],
    transfer_ids: Iterable[int],
    pending_ids: Iterable[int],
) -> tuple[Book, int]:
    """What the batch touches, locked, and its first timestamp: later than all in its accounts."""
    parameters = {
        "account_ids": uuids_of(account_ids),
        "transfer_ids": uuids_of(transfer_ids),
        "pending_ids": uuids_of(pending_ids),
    }
    rows = await _SQL.lock_and_read.fetch(connection, **parameters)
    if any(row[9] for row in rows):
        # Someone else's batch ended while this one waited for its locks; now that it holds them,
        # a second look sees all that the other one did.
        rows = await _SQL.lock_and_read.fetch(connection, **parameters)
    book = Book({}, {}, {}, set())
    timestamp = batch = newest = 0
    for row in rows:
        kind = row[0]
        if kind == 0:
            account_id = row[1].int
            if row[4] is None:
                book.accounts[account_id] = AccountState(account_id, row[2], row[3])
            else:
                newest = max(newest, row[8])
                book.accounts[account_id] = AccountState(
                    account_id, row[2], row[3], row[4], row[5], row[6], row[7], row[8]
                )
        elif kind == 1:
            if row[11] != _TIMED_OUT:
                transfer = transfer_locked(row)
                book.transfers[transfer.id] = transfer
                ending = _ENDINGS[row[12] or 0]
                if ending is not None:
                    book.ended[transfer.id] = ending
        elif kind == 2:  # noqa: PLR2004 - the kinds are explained where they are made
            book.burnt.add(row[1].int)
        else:
            timestamp, batch = row[4] * _STEP, row[5]
    return book, _first_timestamp(timestamp, batch, newest=newest)


def _first_timestamp(clock: int, batch: int, *, newest: int) -> int:
    """A batch's first timestamp: later than all in its accounts, and not another batch's."""
    return (clock if clock > newest else (newest // _STEP + 1) * _STEP) + batch


async def _write(
    connection: Connection,
    booked: list[Booked],
    *,
    book: Book,
    burnt: list[TransferId],
    timed_out: bool = False,
) -> None:
    """Keep a judged batch. Raises LedgerConflict if someone else's transaction was first."""
    rows = _rows_of(booked, book, timed_out=timed_out)
    ((kept, moved),) = await _SQL.write.fetch(
        connection, transfers=rows.transfers, balances=rows.balances
    )
    rows.check(kept, moved)
    if burnt:
        await _SQL.burn.fetch(connection, ids=uuids_of(burnt))


def _rows_of(
    booked: list[Booked],
    book: Book,
    *,
    timed_out: bool = False,
    claimed: AbstractSet[TransferId] = frozenset(),
) -> BatchRows:
    return BatchRows(
        [
            new_transfer_of(
                each.transfer,
                released=each.released,
                phase=_TIMED_OUT if timed_out else int(each.transfer.phase),
                claims_hold=each.transfer.pending_id in claimed,
            )
            for each in booked
        ],
        [
            moved_balance_of(book.accounts[account_id])
            for account_id in sorted(book.accounts)  # all lock them in this order
            if book.accounts[account_id].touched and book.accounts[account_id].is_limited
        ],
    )


async def _release_expired(connection: Connection, limit: int) -> int:
    due = await _SQL.find_due.fetch(connection, limit=limit)
    book, timestamp = await _lock_and_read(
        connection,
        account_ids={row[side].int for row in due for side in (1, 2)},
        transfer_ids=(),
        pending_ids=[row[0].int for row in due],
    )
    booked: list[Booked] = []
    for pending in book.transfers.values():
        if pending.id in book.ended or pending.expires_at > timestamp:
            continue
        at = timestamp + len(booked) * _STEP
        debit = book.accounts[pending.debit_account_id]
        credit = book.accounts[pending.credit_account_id]
        debit.debits_pending -= pending.amount
        credit.credits_pending -= pending.amount
        debit.touched = credit.touched = True
        debit.timestamp = credit.timestamp = at
        expiry = expiry_of(pending, expiry_id=hash128("timed out", pending.id), timestamp=at)
        booked.append(Booked(expiry, pending.amount))
    if booked:
        await _write(connection, booked, book=book, burnt=[], timed_out=True)
    if len(due) < limit:
        await _SQL.mark_released.fetch(connection, until=timestamp)
    return len(booked)


async def _create_accounts(
    connection: Connection, accounts: Sequence[Account]
) -> list[AccountResult]:
    opened_before: set[AccountId] = set()
    while True:
        rows = await _SQL.find_accounts.fetch(
            connection, ids=uuids_of(each.id for each in accounts)
        )
        existing = {account.id: account for account in map(account_of, rows)}
        (clock,) = await _SQL.read_clock.fetch(connection)
        results, opened = judge_accounts(accounts, existing, timestamp=clock[0] * _STEP)
        opened_now = await _open(connection, opened) if opened else set[AccountId]()
        if len(opened_now) == len(opened):
            return [
                _created_here(account, result, opened_before)
                for account, result in zip(accounts, results, strict=True)
            ]
        # Someone else opened some of them meanwhile: what they opened is now there to be compared.
        if any(each.flags & AccountFlags.LINKED for each in accounts):
            raise LedgerConflict("another transaction opened an account of this chain first")
        opened_before |= opened_now


async def _open(connection: Connection, accounts: list[Account]) -> set[AccountId]:
    """Open these accounts, in the order of their ids; says which nobody else opened first."""
    ordered = sorted(accounts, key=lambda account: account.id)
    rows = await _SQL.open_accounts.fetch(
        connection,
        ids=uuids_of(each.id for each in ordered),
        ledgers=[each.ledger for each in ordered],
        codes=[each.code for each in ordered],
        flags=[int(each.flags) for each in ordered],
        user_data_128=uuids_of(each.user_data_128 for each in ordered),
        user_data_64=[signed(each.user_data_64) for each in ordered],
        user_data_32=[each.user_data_32 for each in ordered],
        timestamps=[each.timestamp for each in ordered],
    )
    return {row[0].int for row in rows}


def _created_here(
    account: Account, result: AccountResult, opened_before: set[AccountId]
) -> AccountResult:
    """What an earlier round of the same call opened was created by it, at its first mention."""
    if result.status is AccountStatus.EXISTS and account.id in opened_before:
        opened_before.remove(account.id)
        return AccountResult(AccountStatus.CREATED, result.timestamp)
    return result


async def _balances(connection: Connection, ids: Sequence[AccountId]) -> dict[AccountId, Balance]:
    """Customers' accounts alone need one look at their rows; the house's are summed as well."""
    wanted = uuids_of(ids)
    rows = await _SQL.read_limited_balances.fetch(connection, ids=wanted)
    if any(row[1] is None for row in rows):
        rows = await _SQL.read_balances.fetch(connection, ids=wanted, house_ids=wanted)
    return {
        row[0].int: Balance(int(row[1]), int(row[2]), int(row[3]), int(row[4]), row[5])
        for row in rows
    }
