"""Reading customers: rows to the wallets, grants and balances that decisions are made on.

A batch calls this under the customers' locks, or without (`unlocked_batch`): then its write tells
whether they have moved since. Loading a cold balance takes no locks either.
"""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from invoicing.records import Connection, load_queries
from ledger import Ledger
from ledger.book import AccountState
from ledger.engine import KnownAccounts
from ledger.ids import uuid_of
from wallet_service.customer_balances import assets_of, learn_balances
from wallet_service.decision import CustomerKey, CustomerState, LockedState, Operation
from wallet_service.decision.state import GrantState, WalletState, overage_account
from wallet_service.operation_reading import holds_wanted, learn_holds

__all__ = ["read_funded", "read_wallets"]

_queries: Final[Any] = load_queries(__file__)

_FUNDED: Final[str] = _queries.read_funded.sql
_PARAMETERS: Final = len(set(re.findall(r"\$\d+", _FUNDED)))
_FUNDED_AND_HOLDS: Final[str] = f"{_FUNDED.rstrip().rstrip(';')}\nunion all\n" + re.sub(
    r"\$(\d+)",
    lambda found: f"${int(found[1]) + _PARAMETERS}",
    _queries.holds_of_funded.sql,
)
"""The same with the holds that operations are about; only then, for it costs something."""
_SUMS: Final = slice(-7, None)
"""The last columns of `read_funded`: ledger, flags, the four sums and the timestamp."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


async def read_funded(
    connection: Connection,
    operations: Sequence[Operation],
    ledger: Ledger | None,
    *,
    only_locked: bool,
) -> tuple[LockedState, KnownAccounts]:
    """Customers of these operations with their balances, for an engine in this database.

    Without one they come without balances, which the caller looks up. Only those that the
    transaction has locked, or all that have a version. The time of the batch comes with them, and
    so do the holds that the operations are about.
    """
    state, book = await _read_funded(connection, operations, only_locked=only_locked)
    if ledger is None:
        return state, book
    assets = assets_of(operations)
    others = [
        customer
        for customer in state.customers.values()
        if any(wallet.asset_code not in assets for wallet in customer.wallets.values())
    ]
    if others:  # what they owe in these is shown with the rest
        await learn_balances(connection, others, assets, ledger)
    return state, book


async def _read_funded(
    connection: Connection, operations: Sequence[Operation], *, only_locked: bool
) -> tuple[LockedState, KnownAccounts]:
    keys = sorted({op.customer for op in operations if op.customer is not None})
    assets = assets_of(operations)
    overage = {
        overage_account(*key, asset_code): (key, asset_code)
        for key in keys
        for asset_code in assets
    }
    wanted = holds_wanted(operations)
    rows = await connection.fetch(
        _FUNDED_AND_HOLDS if wanted else _FUNDED,
        [key[0] for key in keys],
        [key[1] for key in keys],
        only_locked,
        [uuid_of(account_id) for account_id in overage],
        *([[hold[0] for hold in wanted], [hold[1] for hold in wanted]] if wanted else ()),
    )
    clock = next(row for row in rows if row["now"] is not None)
    state = LockedState(clock["now"])
    book = KnownAccounts({}, {}, _nanoseconds(state.now), clock["batch"])
    holds: list[Any] = []
    for row in rows:
        account = None
        if row["account_id"] is not None:
            account = AccountState(row["account_id"].int, *row[_SUMS])
            book.accounts[account.account_id] = account
        if row["customer_id"] is None:
            if row["hold"] is not None:
                holds.append(row["hold"])
            if account is not None:
                key, code = overage[account.account_id]
                customer = state.customers.get(key)
                if customer is not None:
                    customer.overage[code] = account.debits_posted - account.credits_posted
            continue
        key = row["organization_id"], row["customer_id"]
        customer = state.customers.get(key)
        if customer is None:
            customer = state.customers[key] = CustomerState(*key, row["version"])
        grant = _learn_wallet(customer, row)
        if grant is not None and account is not None:
            grant.learn(account.balance(account.timestamp))
    for customer in state.customers.values():
        customer.sort()
    learn_holds(state, holds)
    return state, book


async def read_wallets(
    connection: Connection, customers: Sequence[CustomerKey]
) -> dict[CustomerKey, CustomerState]:
    """Customers with their wallets and open grants, but no balances, in the caller's snapshot."""
    rows = await connection.fetch(
        _queries.customer_versions.sql, [key[0] for key in customers], [key[1] for key in customers]
    )
    versions = dict.fromkeys(customers, 0) | {
        (row["organization_id"], row["customer_id"]): row["version"] for row in rows
    }
    found = {key: CustomerState(*key, version) for key, version in versions.items()}
    rows = await connection.fetch(
        _queries.read_wallets.sql, [key[0] for key in versions], [key[1] for key in versions]
    )
    for row in rows:
        _learn_wallet(found[row["organization_id"], row["customer_id"]], row)
    for customer in found.values():
        customer.sort()
    return found


def _learn_wallet(customer: CustomerState, row: Any) -> GrantState | None:
    """Take over the wallet of a row, and its grant, if it has one that is open."""
    wallet_id, grant_id = row["wallet_id"], row["grant_id"]
    if wallet_id is None or (grant_id is None and row["status"] != "active"):
        return None
    wallet = customer.wallets.get(wallet_id)
    if wallet is None:
        wallet = customer.wallets[wallet_id] = WalletState(
            id=wallet_id,
            asset_code=row["asset_code"],
            code=row["code"],
            name=row["name"],
            rate_amount=row["rate_amount"],
            priority=row["priority"],
            status=row["status"],
            fee_types=tuple(row["fee_types"]),
            billable_metric_codes=frozenset(row["billable_metric_codes"]),
            on_shortfall=row["on_shortfall"],
            frozen=row["frozen"],
            overdraft_limit_minor=row["overdraft_limit_minor"],
            overdraft_grant_id=row["overdraft_grant_id"],
            expiration_at=row["expiration_at"],
        )
    if grant_id is None:
        return None
    grant = GrantState(
        id=grant_id,
        wallet=wallet,
        kind=row["kind"],
        priority=row["grant_priority"],
        expires_at=row["expires_at"],
        amount_minor=row["amount_minor"],
        expired_minor=row["expired_minor"],
        voided_minor=row["voided_minor"],
    )
    customer.grants.append(grant)
    return grant


def _nanoseconds(at: datetime) -> int:
    return (at - _EPOCH) // _MICROSECOND * 1000
