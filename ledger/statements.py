"""An account's statement: what moved, in order, and the balance after each step."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from ledger.accounts import Balance
from ledger.book import Booked
from ledger.errors import UnknownAccount
from ledger.transfers import Phase, Transfer

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ledger.accounts import AccountId
    from ledger.engine import Ledger
    from ledger.transfers import TransferId

PAGE = 1_000


class StatementLine(Struct, frozen=True):
    """One transfer, seen from one account."""

    transfer: Transfer
    balance: Balance
    """Right after the transfer."""
    is_debit: bool


class Statement(Struct, frozen=True):
    """One account over a stretch of the ledger's clock, both ends included."""

    account_id: int
    opening: Balance
    lines: tuple[StatementLine, ...]
    closing: Balance
    next_timestamp: int | None
    """Where the next page begins; `None` when this one reached the end."""


def balance_after(
    account_id: AccountId,
    entries: Iterable[Booked],
    *,
    timestamp: int,
    opening: Balance | None = None,
) -> Balance:
    """The sums of one account after its entries up to and including `timestamp`."""
    sums = opening or Balance()
    for entry in entries:
        if entry.transfer.timestamp <= timestamp:
            sums = step(sums, entry, account_id=account_id)
    return Balance(
        sums.debits_pending,
        sums.debits_posted,
        sums.credits_pending,
        sums.credits_posted,
        timestamp,
    )


def step(balance: Balance, entry: Booked, *, account_id: AccountId) -> Balance:
    """The balance of one account after one more entry."""
    transfer = entry.transfer
    pending = transfer.amount if transfer.phase is Phase.PENDING else -entry.released
    posted = transfer.amount if transfer.phase in (Phase.SINGLE, Phase.POST) else 0
    if transfer.debit_account_id == account_id:
        return Balance(
            balance.debits_pending + pending,
            balance.debits_posted + posted,
            balance.credits_pending,
            balance.credits_posted,
            transfer.timestamp,
        )
    assert transfer.credit_account_id == account_id, "an entry of another account"
    return Balance(
        balance.debits_pending,
        balance.debits_posted,
        balance.credits_pending + pending,
        balance.credits_posted + posted,
        transfer.timestamp,
    )


def replay(
    transfers: Sequence[Transfer], *, now: int, known: dict[TransferId, Transfer] | None = None
) -> list[Booked]:
    """The entries that a list of transfers stands for, holds that timed out given back.

    The list shows no expiry, since no transfer books it: a pending transfer without an end whose
    timeout passed before `now` is given back at that moment. `known` are older pending transfers.
    """
    pending: dict[TransferId, Transfer] = dict(known or {})
    ended: set[TransferId] = set()
    entries: list[Booked] = []
    for transfer in transfers:
        if transfer.phase is Phase.PENDING:
            pending[transfer.id] = transfer
        released = pending[transfer.pending_id].amount if transfer.pending_id else 0
        ended.add(transfer.pending_id)
        entries.append(Booked(transfer, released))
    entries += [
        Booked(expiry_of(hold, timestamp=hold.expires_at), hold.amount)
        for hold in pending.values()
        if hold.timeout_s and hold.id not in ended and hold.expires_at <= now
    ]
    entries.sort(key=lambda entry: entry.transfer.timestamp)
    return entries


def expiry_of(pending: Transfer, *, timestamp: int, expiry_id: TransferId = 0) -> Transfer:
    """The entry, shown to nobody, by which a hold that timed out is given back."""
    return Transfer(
        id=expiry_id,
        debit_account_id=pending.debit_account_id,
        credit_account_id=pending.credit_account_id,
        amount=0,
        ledger=pending.ledger,
        code=pending.code,
        phase=Phase.VOID,
        pending_id=pending.id,
        timestamp=timestamp,
    )


async def transfers_of(
    ledger: Ledger,
    account_id: AccountId,
    /,
    *,
    since_timestamp: int = 0,
    until_timestamp: int = 0,
    limit: int = PAGE,
) -> list[Transfer]:
    """So many of an account's transfers, oldest first, if there are: engines give smaller pages.

    Both ends are included, 0 is no end.
    """
    found: list[Transfer] = []
    since = since_timestamp
    while len(found) < limit and (not until_timestamp or since <= until_timestamp):
        page = await ledger.account_transfers(
            account_id,
            since_timestamp=since,
            until_timestamp=until_timestamp,
            limit=limit - len(found),
        )
        if not page:
            break
        found += page
        since = page[-1].timestamp + 1
    return found


async def statement(
    ledger: Ledger,
    account_id: AccountId,
    /,
    *,
    since_timestamp: int = 0,
    until_timestamp: int = 0,
    limit: int = PAGE,
) -> Statement:
    """One page of an account's history, oldest first, with the balance after each line.

    Each line's balance is the ledger's own answer for its moment where a hold may have timed out in
    between, so that line and balance never disagree. Raises UnknownAccount.
    """
    if account_id not in await ledger.accounts([account_id]):
        raise UnknownAccount(account_id)
    transfers = await transfers_of(
        ledger,
        account_id,
        since_timestamp=since_timestamp,
        until_timestamp=until_timestamp,
        limit=limit + 1,
    )
    following = transfers[limit:]
    transfers = transfers[:limit]
    if not transfers:
        balance = (
            await ledger.balance_at(account_id, timestamp=until_timestamp)
            if until_timestamp
            else (await ledger.balances([account_id]))[account_id]
        )
        return Statement(account_id, balance, (), balance, None)
    opening = await ledger.balance_at(account_id, timestamp=transfers[0].timestamp - 1)
    closing = await ledger.balance_at(account_id, timestamp=transfers[-1].timestamp)
    holds = await ledger.transfers([each.pending_id for each in transfers if each.pending_id])
    lines: list[StatementLine] = []
    running = opening
    for transfer in transfers:
        released = holds[transfer.pending_id].amount if transfer.pending_id else 0
        running = step(running, Booked(transfer, released), account_id=account_id)
        lines.append(
            StatementLine(transfer, running, is_debit=transfer.debit_account_id == account_id)
        )
    if not running.same_sums(closing):
        lines = [
            StatementLine(
                line.transfer,
                await ledger.balance_at(account_id, timestamp=line.transfer.timestamp),
                line.is_debit,
            )
            for line in lines
        ]
    return Statement(
        account_id=account_id,
        opening=opening,
        lines=tuple(lines),
        closing=closing,
        next_timestamp=following[0].timestamp if following else None,
    )
