# ruff: noqa: ARG002 - the protocol's parameters, some of which only Postgres needs
"""The book in TigerBeetle: the same protocol, judged by the cluster itself.

Every submission keeps chains whole. `connection` is ignored: what this engine books is a fact of
its own, whatever becomes of a Postgres transaction.
"""

from __future__ import annotations

from struct import Struct as Layout
from typing import TYPE_CHECKING, Any

from tigerbeetle import bindings
from tigerbeetle.client import TooMuchDataError

from ledger.accounts import Account, AccountFlags, AccountId, AccountResult, AccountStatus, Balance
from ledger.engine import PAGE_LIMIT
from ledger.engines.tigerbeetle_dispatcher import Dispatcher, Operation, Reply
from ledger.errors import UnsupportedTransfer
from ledger.rules import check_amount
from ledger.statements import balance_after, replay
from ledger.transfers import (
    BATCH_MAX,
    Phase,
    Transfer,
    TransferId,
    TransferResult,
    TransferStatus,
    chain_bounds,
    chains,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator, Sequence

_EVENT = Layout("<16s16s16s16s16s16sQIIIHHQ")
"""Accounts and transfers alike: six 128-bit numbers, then the small ones, 128 bytes in all.

account   id, debits_pending, debits_posted, credits_pending, credits_posted, user_data_128,
          user_data_64, user_data_32, reserved, ledger, code, flags, timestamp
transfer  id, debit_account_id, credit_account_id, amount, pending_id, user_data_128,
          user_data_64, user_data_32, timeout, ledger, code, flags, timestamp
"""
_RESULT = Layout("<QII")
"""timestamp, status, reserved"""
_ACCOUNT_FILTER = Layout("<16s16sQIH58xQQII")
"""account_id, user_data_128/64/32, code, timestamp_min, timestamp_max, limit, flags"""
_QUERY_FILTER = Layout("<16sQIIH6xQQII")
"""user_data_128/64/32, ledger, code, timestamp_min, timestamp_max, limit, flags"""
_BOTH_SIDES = int(bindings.AccountFilterFlags.DEBITS | bindings.AccountFilterFlags.CREDITS)
_NEWEST_FIRST = int(bindings.AccountFilterFlags.REVERSED)
_ID_SIZE = 16
_PHASES = {0: Phase.SINGLE, 2: Phase.PENDING, 4: Phase.POST, 8: Phase.VOID}
_ZERO = bytes(16)

_TRANSFER_STATUS = {
    int(status): TransferStatus(status.name.lower())
    for status in bindings.CreateTransferStatus
    if status.name.lower() in set(TransferStatus)
}
_ACCOUNT_STATUS = {
    int(status): AccountStatus(status.name.lower())
    for status in bindings.CreateAccountStatus
    if status.name.lower() in set(AccountStatus)
}


class TigerBeetleLedger:
    """See `ledger.engine.Ledger` for what each method promises."""

    name = "tigerbeetle"

    def __init__(self, *, addresses: str, cluster_id: int = 0, deadline_s: float = 5) -> None:
        self._dispatcher = Dispatcher(
            addresses=addresses, cluster_id=cluster_id, deadline_s=deadline_s
        )

    async def create_accounts(
        self, accounts: Sequence[Account], /, *, connection: Any = None
    ) -> list[AccountResult]:
        linked = [bool(each.flags & AccountFlags.LINKED) for each in accounts]
        results: list[AccountResult] = []

        async def send(start: int, end: int) -> None:
            events = b"".join(map(_pack_account, accounts[start:end]))
            reply = await self._dispatcher.call(Operation.CREATE_ACCOUNTS, events)
            results.extend(
                AccountResult(_ACCOUNT_STATUS[status], timestamp)
                for timestamp, status, _ in _RESULT.iter_unpack(reply.body)
            )

        await self._in_batches(chain_bounds(linked), send)
        return results

    async def create_transfers(
        self, transfers: Sequence[Transfer], /, *, connection: Any = None
    ) -> list[TransferResult]:
        for transfer in transfers:
            check_amount(transfer)
        results: list[TransferResult] = []

        async def send(start: int, end: int) -> None:
            events = b"".join(map(_pack_transfer, transfers[start:end]))
            reply = await self._dispatcher.call(Operation.CREATE_TRANSFERS, events)
            results.extend(
                TransferResult(_TRANSFER_STATUS[status], timestamp)
                for timestamp, status, _ in _RESULT.iter_unpack(reply.body)
            )

        await self._in_batches(chains(transfers), send)
        return results

    async def _in_batches(
        self,
        bounds: list[tuple[int, int]],
        send: Callable[[int, int], Coroutine[Any, Any, None]],
    ) -> None:
        """Send as many whole chains at a time as one submission carries.

        Raises UnsupportedTransfer for a chain that no submission carries.
        """
        position = 0
        while position < len(bounds):
            start = bounds[position][0]
            last = position
            while (
                last + 1 < len(bounds) and bounds[last + 1][1] - start <= self._dispatcher.batch_max
            ):
                last += 1
            try:
                await send(start, bounds[last][1])
            except TooMuchDataError:
                # Nothing was sent; the dispatcher has learnt what fits.
                if last == position:
                    size = bounds[last][1] - start
                    raise UnsupportedTransfer(f"no submission carries {size} in a chain") from None
                continue
            position = last + 1

    async def _lookup(self, operation: bindings.Operation, ids: Sequence[int]) -> list[Reply]:
        """Look ids up; more than one reply only where one submission cannot carry them."""
        replies: list[Reply] = []

        async def send(start: int, end: int) -> None:
            events = b"".join(each.to_bytes(_ID_SIZE, "little") for each in unique[start:end])
            replies.append(await self._dispatcher.call(operation, events))

        unique = list(dict.fromkeys(each for each in ids if each))
        await self._in_batches([(each, each + 1) for each in range(len(unique))], send)
        return replies

    async def balances(
        self, ids: Sequence[AccountId], /, *, connection: Any = None
    ) -> dict[AccountId, Balance]:
        wanted = set(ids)
        return {
            account_id: balance
            for reply in await self._lookup(Operation.LOOKUP_ACCOUNTS, ids)
            for account_id, balance in _unpack_balances(reply)
            if account_id in wanted
        }

    async def accounts(self, ids: Sequence[AccountId], /) -> dict[AccountId, Account]:
        wanted = set(ids)
        return {
            account.id: account
            for reply in await self._lookup(Operation.LOOKUP_ACCOUNTS, ids)
            for account in _unpack_accounts(reply)
            if account.id in wanted
        }

    async def transfers(self, ids: Sequence[TransferId], /) -> dict[TransferId, Transfer]:
        wanted = set(ids)
        return {
            transfer.id: transfer
            for reply in await self._lookup(Operation.LOOKUP_TRANSFERS, ids)
            for transfer in _unpack_transfers(reply)
            if transfer.id in wanted
        }

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
        """Pages are as large as one reply of the cluster at most, which may be below `limit`."""
        filtered = _ACCOUNT_FILTER.pack(
            account_id.to_bytes(16, "little"),
            _ZERO,
            0,
            0,
            0,
            since_timestamp,
            until_timestamp,
            min(limit, BATCH_MAX),
            _BOTH_SIDES | (_NEWEST_FIRST if newest_first else 0),
        )
        reply = await self._dispatcher.call(Operation.GET_ACCOUNT_TRANSFERS, filtered)
        return list(_unpack_transfers(reply))

    async def balance_at(self, account_id: AccountId, /, *, timestamp: int) -> Balance:
        """Replayed from the account's transfers; holds that timed out are given back on time."""
        transfers: list[Transfer] = []
        since = 0
        while page := await self.account_transfers(
            account_id, since_timestamp=since, until_timestamp=timestamp, limit=BATCH_MAX
        ):
            transfers += page
            since = page[-1].timestamp + 1
        return balance_after(account_id, replay(transfers, now=timestamp), timestamp=timestamp)

    async def ledger_accounts(
        self, ledger: int, /, *, after_id: AccountId = 0, limit: int = PAGE_LIMIT
    ) -> list[tuple[Account, Balance]]:
        after = (await self.accounts([after_id])).get(after_id)
        since = after.timestamp + 1 if after else 0
        filtered = _QUERY_FILTER.pack(_ZERO, 0, 0, ledger, 0, since, 0, min(limit, BATCH_MAX), 0)
        reply = await self._dispatcher.call(Operation.QUERY_ACCOUNTS, filtered)
        balances = dict(_unpack_balances(reply))
        return [(account, balances[account.id]) for account in _unpack_accounts(reply)]

    async def release_expired(self, *, limit: int = PAGE_LIMIT) -> int:
        return 0

    async def fold(self) -> int:
        return 0

    async def ready(self) -> None:
        await self._dispatcher.call(Operation.LOOKUP_ACCOUNTS, (1).to_bytes(_ID_SIZE, "little"))

    async def close(self) -> None:
        await self._dispatcher.close()


def _pack_account(account: Account) -> bytes:
    return _EVENT.pack(
        account.id.to_bytes(16, "little"),
        _ZERO,
        _ZERO,
        _ZERO,
        _ZERO,
        account.user_data_128.to_bytes(16, "little"),
        account.user_data_64,
        account.user_data_32,
        0,
        account.ledger,
        account.code,
        int(account.flags),
        account.timestamp,
    )


def _pack_transfer(transfer: Transfer) -> bytes:
    return _EVENT.pack(
        transfer.id.to_bytes(16, "little"),
        transfer.debit_account_id.to_bytes(16, "little"),
        transfer.credit_account_id.to_bytes(16, "little"),
        transfer.amount.to_bytes(16, "little"),
        transfer.pending_id.to_bytes(16, "little"),
        transfer.user_data_128.to_bytes(16, "little"),
        transfer.user_data_64,
        transfer.user_data_32,
        transfer.timeout_s,
        transfer.ledger,
        transfer.code,
        transfer.flags,
        transfer.timestamp,
    )


def _unpack_accounts(reply: Reply) -> Iterator[Account]:
    for row in _EVENT.iter_unpack(reply.body):
        yield Account(
            id=_number(row[0]),
            ledger=row[9],
            code=row[10],
            flags=AccountFlags(row[11]),
            user_data_128=_number(row[5]),
            user_data_64=row[6],
            user_data_32=row[7],
            timestamp=row[12],
        )


def _unpack_balances(reply: Reply) -> Iterator[tuple[AccountId, Balance]]:
    """Balances as of the reply's own moment, not of the account's opening."""
    for row in _EVENT.iter_unpack(reply.body):
        yield (
            _number(row[0]),
            Balance(
                _number(row[1]), _number(row[2]), _number(row[3]), _number(row[4]), reply.timestamp
            ),
        )


def _unpack_transfers(reply: Reply) -> Iterator[Transfer]:
    for row in _EVENT.iter_unpack(reply.body):
        flags: int = row[11]
        yield Transfer(
            id=_number(row[0]),
            debit_account_id=_number(row[1]),
            credit_account_id=_number(row[2]),
            amount=_number(row[3]),
            ledger=row[9],
            code=row[10],
            phase=_PHASES[flags & 14],
            pending_id=_number(row[4]),
            user_data_128=_number(row[5]),
            user_data_64=row[6],
            user_data_32=row[7],
            timeout_s=row[8],
            linked=bool(flags & 1),
            balancing_debit=bool(flags & 16),
            balancing_credit=bool(flags & 32),
            timestamp=row[12],
        )


def _number(raw: bytes) -> int:
    return int.from_bytes(raw, "little")
