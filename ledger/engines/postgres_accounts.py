"""Accounts in Postgres: opened, and their balances read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ledger.account_rules import judge_accounts
from ledger.accounts import Account, AccountFlags, AccountId, AccountResult, AccountStatus, Balance
from ledger.engines.postgres_batches import STEP
from ledger.engines.postgres_rows import account_of, signed, uuids_of
from ledger.engines.postgres_statements import SQL, Connection
from ledger.errors import LedgerConflict

if TYPE_CHECKING:
    from collections.abc import Sequence


async def create_accounts(
    connection: Connection, accounts: Sequence[Account]
) -> list[AccountResult]:
    """Open accounts that are not there; says which were, and whether they are the same."""
    opened_before: set[AccountId] = set()
    while True:
        rows = await SQL.find_accounts.fetch(connection, ids=uuids_of(each.id for each in accounts))
        existing = {account.id: account for account in map(account_of, rows)}
        (clock,) = await SQL.read_clock.fetch(connection)
        results, opened = judge_accounts(accounts, existing, timestamp=clock[0] * STEP)
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


async def balances_of(connection: Connection, ids: Sequence[AccountId]) -> dict[AccountId, Balance]:
    """Customers' accounts alone need one look at their rows; the house's are summed as well."""
    wanted = uuids_of(ids)
    rows = await SQL.read_limited_balances.fetch(connection, ids=wanted)
    if any(row[1] is None for row in rows):
        rows = await SQL.read_balances.fetch(connection, ids=wanted, house_ids=wanted)
    return {
        row[0].int: Balance(int(row[1]), int(row[2]), int(row[3]), int(row[4]), row[5])
        for row in rows
    }


async def _open(connection: Connection, accounts: list[Account]) -> set[AccountId]:
    """Open these accounts, in the order of their ids; says which nobody else opened first."""
    ordered = sorted(accounts, key=lambda account: account.id)
    rows = await SQL.open_accounts.fetch(
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
