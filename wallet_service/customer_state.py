"""Reading and writing what is a customer's: rows to and from the state that decisions are made on.

The committer calls this under the customer's lock; loading a cold balance calls the same without
one.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Final
from uuid import UUID

import msgspec

from invoicing import events
from invoicing.records import Connection, load_queries, to_json
from ledger import Ledger
from rating.usage import Total
from wallet_service.decision import Operation
from wallet_service.decision.commands import (
    Asset,
    Authorize,
    Capture,
    Debit,
    Expire,
    Extend,
    Fail,
    Item,
    MoveCredits,
    Pricing,
    Refund,
    Reverse,
    Settle,
    Void,
)
from wallet_service.decision.outcomes import Effect, EventRow
from wallet_service.decision.pricing import total_key
from wallet_service.decision.state import (
    CapturedItem,
    CustomerState,
    EventState,
    GrantState,
    HoldState,
    KnownOperation,
    Leg,
    LockedState,
    Paid,
    TotalKey,
    TransactionState,
    WalletState,
    overage_account,
)

__all__ = ["CustomerKey", "read", "read_wallets", "write"]

CustomerKey = tuple[UUID, UUID]
"""(organization, customer)."""

queries: Final[Any] = load_queries(__file__.replace("customer_state", "committer"))

_pack = msgspec.msgpack.Encoder().encode
_items = msgspec.msgpack.Decoder(list[CapturedItem]).decode
_legs = msgspec.msgpack.Decoder(list[Leg]).decode
_paid = msgspec.msgpack.Decoder(list[Paid]).decode
_json_paid = msgspec.json.Decoder(list[Paid]).decode
_properties = msgspec.json.Decoder(dict[str, Any], float_hook=Decimal).decode
_metadata = msgspec.json.Decoder(list[dict[str, str]]).decode
_total = msgspec.json.Decoder(Total).decode
_pack_json = msgspec.json.Encoder().encode

_OF_A_HOLD = (Capture, Extend, Void, Expire, Refund)
_OF_A_TRANSACTION = (Settle, Fail)


async def read(
    connection: Connection,
    operations: Sequence[Operation],
    versions: dict[CustomerKey, int],
    *,
    ledger: Ledger,
    reads_balances: bool,
    known: Mapping[CustomerKey, CustomerState] = MappingProxyType({}),
) -> LockedState:
    """Everything that judging these operations needs, read after the customers were locked.

    ``known`` are customers whom nobody has moved since they were read: their wallets and balances
    are taken as they are.
    """
    state = await _read_keys(connection, operations)
    unknown = {key: version for key, version in versions.items() if key not in known}
    await _read_customers(connection, state.customers, unknown)
    if reads_balances and unknown:
        assets = assets_of(operations)
        await learn_balances(connection, state.customers.values(), assets, ledger)
    for key, customer in known.items():
        customer.version = versions[key]
        state.customers[key] = customer
    for operation in operations:
        # A customer without a version row holds nothing, but its usage is stored all the same.
        if operation.customer_id is not None:
            key = operation.organization_id, operation.customer_id
            state.customers.setdefault(key, CustomerState(*key, 0))
    await _read_holds(connection, state, operations)
    await _read_events(connection, state, operations)
    await _read_transactions(connection, state, operations)
    await _read_totals(connection, state, operations)
    if not reads_balances:
        await _read_open(connection, state)
    return state


async def read_wallets(
    connection: Connection, customers: Sequence[CustomerKey]
) -> dict[CustomerKey, CustomerState]:
    """Customers with their wallets and open grants, but no balances, in the caller's snapshot."""
    rows = await connection.fetch(
        queries.customer_versions.sql, [key[0] for key in customers], [key[1] for key in customers]
    )
    versions = dict.fromkeys(customers, 0) | {
        (row["organization_id"], row["customer_id"]): row["version"] for row in rows
    }
    found: dict[CustomerKey, CustomerState] = {}
    await _read_customers(connection, found, versions)
    return found


def assets_of(operations: Iterable[Operation]) -> set[str]:
    """The assets that operations move.

    Overage is looked up for these and for those of the wallets.
    """
    assets: set[str] = set()
    for operation in operations:
        asset: Asset | None = operation.command.asset
        if asset is not None:
            assets.add(asset.code)
    return assets


def accounts_of(customers: Iterable[CustomerState], assets: set[str]) -> list[int]:
    """The ledger accounts whose balances decide about these customers."""
    ids: list[int] = []
    for customer in customers:
        ids.extend(grant.account_id for grant in customer.grants)
        ids.extend(_overage_accounts(customer, assets).values())
    return ids


def _overage_accounts(customer: CustomerState, assets: set[str]) -> dict[str, int]:
    """What a customer owes is kept per asset: of these assets and of those of the wallets."""
    codes = assets | {wallet.asset_code for wallet in customer.wallets.values()}
    return {
        code: overage_account(customer.organization_id, customer.customer_id, code)
        for code in codes
    }


async def learn_balances(
    connection: Connection,
    customers: Iterable[CustomerState],
    assets: set[str],
    ledger: Ledger,
) -> int:
    """Ask the ledger what the grants hold and what is owed.

    Says when that was true, on the ledger's clock.
    """
    customers = list(customers)
    balances = await ledger.balances(accounts_of(customers, assets), connection=connection)
    apply_balances(customers, assets, balances)
    return max((balance.timestamp for balance in balances.values()), default=0)


def apply_balances(
    customers: Iterable[CustomerState], assets: set[str], balances: dict[int, Any]
) -> None:
    """Put the ledger's word into the state.

    An overage account that does not exist yet stays unknown.
    """
    for customer in customers:
        customer.assets = frozenset(assets)
        for grant in customer.grants:
            balance = balances.get(grant.account_id)
            if balance is not None:
                grant.learn(balance)
        for code, account in _overage_accounts(customer, assets).items():
            balance = balances.get(account)
            if balance is not None:
                customer.overage[code] = balance.debits_posted - balance.credits_posted


# -- reading ---------------------------------------------------------------------------------------


async def _read_keys(connection: Connection, operations: Sequence[Operation]) -> LockedState:
    wanted = list({(op.organization_id, op.kind, op.key): None for op in operations})
    rows = await connection.fetch(
        queries.read_keys.sql,
        [key[0] for key in wanted],
        [key[1] for key in wanted],
        [key[2] for key in wanted],
    )
    state = LockedState(rows[0]["now"])
    for row in rows:
        if row["id"] is not None:
            state.keys[row["organization_id"], row["kind"], row["key"]] = KnownOperation(
                row["id"],
                row["customer_id"],
                row["authorization_id"],
                row["body_hash"],
                row["state"],
                row["attempt"],
                row["reply"],
            )
    return state


async def _read_customers(
    connection: Connection,
    customers: dict[CustomerKey, CustomerState],
    versions: dict[CustomerKey, int],
) -> None:
    if not versions:
        return
    for key, version in versions.items():
        customers[key] = CustomerState(*key, version)
    rows = await connection.fetch(
        queries.read_wallets.sql, [key[0] for key in versions], [key[1] for key in versions]
    )
    for row in rows:
        customer = customers[row["organization_id"], row["customer_id"]]
        wallet = customer.wallets.get(row["wallet_id"])
        if wallet is None:
            wallet = WalletState(
                id=row["wallet_id"],
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
            customer.wallets[wallet.id] = wallet
        if row["grant_id"] is not None:
            customer.grants.append(
                GrantState(
                    id=row["grant_id"],
                    wallet=wallet,
                    kind=row["kind"],
                    priority=row["grant_priority"],
                    expires_at=row["expires_at"],
                    amount_minor=row["amount_minor"],
                    expired_minor=row["expired_minor"],
                    voided_minor=row["voided_minor"],
                )
            )
    for key in versions:
        customers[key].sort()


async def _read_holds(
    connection: Connection, state: LockedState, operations: Sequence[Operation]
) -> None:
    wanted = {
        (op.organization_id, op.command.authorization_id): None
        for op in operations
        if isinstance(op.command, _OF_A_HOLD)
    }
    if not wanted:
        return
    rows = await connection.fetch(
        queries.read_holds.sql, [key[0] for key in wanted], [key[1] for key in wanted]
    )
    for row in rows:
        hold = hold_of(row)
        customer = state.customers.get((row["organization_id"], hold.customer_id))
        if customer is not None:
            customer.holds[hold.id] = hold


def hold_of(row: Any) -> HoldState:
    """An authorization's row."""
    return HoldState(
        id=row["id"],
        customer_id=row["customer_id"],
        external_customer_id=row["external_customer_id"],
        transaction_id=row["transaction_id"],
        status=row["status"],
        asset_code=row["asset_code"],
        amount_minor=row["amount_minor"],
        captured_minor=row["captured_minor"],
        overage_minor=row["overage_minor"],
        refunded_minor=row["refunded_minor"],
        subscription_id=row["subscription_id"],
        plan_version_id=row["plan_version_id"],
        items=_items(row["items"]),
        legs=_legs(row["legs"]),
        paid=_paid(row["paid"]),
        step=row["step"],
        expires_at=row["expires_at"],
        created_at=row["created_at"],
        ended_at=row["ended_at"],
    )


async def _read_open(connection: Connection, state: LockedState) -> None:
    if not state.customers:
        return
    rows = await connection.fetch(
        queries.read_open_operations.sql,
        [key[0] for key in state.customers],
        [key[1] for key in state.customers],
    )
    for row in rows:
        if row["authorization_id"] is not None:
            customer = state.customers[row["organization_id"], row["customer_id"]]
            customer.open_holds.add(row["authorization_id"])


async def _read_events(
    connection: Connection, state: LockedState, operations: Sequence[Operation]
) -> None:
    wanted = [
        (op.organization_id, op.customer_id, op.command.event_id)
        for op in operations
        if isinstance(op.command, Reverse)
    ]
    if not wanted:
        return
    rows = await connection.fetch(
        queries.read_events.sql, [key[0] for key in wanted], [key[2] for key in wanted]
    )
    found = {(row["organization_id"], row["id"]): row for row in rows}
    for organization_id, customer_id, event_id in wanted:
        row = found.get((organization_id, event_id))
        if row is None or customer_id is None:
            continue
        paid = _json_paid(row["paid"])
        left = row["reversed_minor"]
        for entry in reversed(paid):
            entry.refunded_minor = min(left, entry.amount_minor)
            left -= entry.refunded_minor
        state.customers[organization_id, customer_id].events[event_id] = EventState(
            id=row["id"],
            transaction_id=row["transaction_id"],
            code=row["code"],
            properties=_properties(row["properties"]),
            external_subscription_id=row["external_subscription_id"],
            subscription_id=row["subscription_id"],
            plan_version_id=row["plan_version_id"],
            timestamp=row["timestamp"],
            asset_code=row["asset_code"],
            paid=paid,
            rating_status=row["rating_status"],
            external_customer_id=row["external_customer_id"],
        )


async def _read_transactions(
    connection: Connection, state: LockedState, operations: Sequence[Operation]
) -> None:
    wanted: dict[tuple[UUID, UUID], None] = {}
    for op in operations:
        if isinstance(op.command, _OF_A_TRANSACTION):
            wanted[op.organization_id, op.command.wallet_transaction_id] = None
        elif isinstance(op.command, MoveCredits) and op.command.voided_transaction_id is not None:
            wanted[op.organization_id, op.command.voided_transaction_id] = None
    if not wanted:
        return
    rows = await connection.fetch(
        queries.read_transactions.sql, [key[0] for key in wanted], [key[1] for key in wanted]
    )
    for row in rows:
        customer = state.customers.get((row["organization_id"], row["customer_id"]))
        if customer is not None:
            customer.transactions[row["id"]] = TransactionState(
                id=row["id"],
                wallet_id=row["wallet_id"],
                status=row["status"],
                kind=row["kind"],
                amount_minor=row["amount_minor"],
                credit_amount=row["credit_amount"],
                priority=row["priority"],
                name=row["name"],
                expires_at=row["expires_at"],
                cost_basis=row["cost_basis"],
                cost_basis_currency=row["cost_basis_currency"],
                metadata=_metadata(row["metadata"]),
                grant_id=row["grant_id"],
                voided_minor=0,
                created_at=row["created_at"],
                invoice_requires_successful_payment=row["invoice_requires_successful_payment"],
            )


def _totals_wanted(
    operations: Sequence[Operation], now: datetime
) -> dict[tuple[UUID, UUID, TotalKey], None]:
    wanted: dict[tuple[UUID, UUID, TotalKey], None] = {}
    for op in operations:
        command = op.command
        items: Sequence[Item] = ()
        pricing: Pricing | None = None
        at = now
        if isinstance(command, Authorize | Extend | Capture):
            items, pricing = command.items or (), command.pricing
        elif isinstance(command, Debit) and command.item is not None:
            items, pricing = (command.item,), command.pricing
            at = command.timestamp or now
        for item in items:
            for line in item.lines:
                if line.exact is None:
                    assert op.customer_id is not None
                    assert pricing is not None
                    key = total_key(line, pricing, at=at)
                    wanted[op.organization_id, op.customer_id, key] = None
    return wanted


async def _read_totals(
    connection: Connection, state: LockedState, operations: Sequence[Operation]
) -> None:
    wanted = _totals_wanted(operations, state.now)
    if not wanted:
        return
    found = await read_totals(connection, [(org, key) for org, _, key in wanted])
    for organization_id, customer_id, key in wanted:
        total = found.get((organization_id, key))
        if total is not None:
            state.customers[organization_id, customer_id].totals[key] = total


async def read_totals(
    connection: Connection, keys: Sequence[tuple[UUID, TotalKey]]
) -> dict[tuple[UUID, TotalKey], Total]:
    """Running totals that exist already."""
    rows = await connection.fetch(
        queries.read_totals.sql,
        [organization_id for organization_id, _ in keys],
        [key.subscription_id for _, key in keys],
        [key.charge_id for _, key in keys],
        [key.filter_id for _, key in keys],
        [key.period_start for _, key in keys],
    )
    return {
        (
            row["organization_id"],
            TotalKey(
                row["subscription_id"], row["charge_id"], row["filter_id"], row["period_start"]
            ),
        ): _total(row["total"])
        for row in rows
    }


# -- writing ---------------------------------------------------------------------------------------


async def write(
    connection: Connection,
    effects: Sequence[tuple[UUID, Effect]],
    *,
    now: datetime,
) -> None:
    """Write what these operations of (organization, effect) came to, set-wise.

    Keys and totals are written apart.
    """
    await _write_credits(connection, effects, now=now)
    holds = {
        (organization_id, hold.id): hold
        for organization_id, effect in effects
        for hold in effect.holds
    }
    if holds:
        await _write_holds(connection, [(key[0], holds[key]) for key in sorted(holds)])
    await events.insert_many(
        connection,
        [
            _event(organization_id, effect, row, now)
            for organization_id, effect in effects
            for row in effect.events
        ],
    )
    late = [
        _event(organization_id, effect, row, now)
        for organization_id, effect in effects
        for row in effect.rated_events
        if row.rating_status != "unrated"
    ]
    if late:
        await events.rate_late(connection, late)
        await connection.execute(
            queries.delete_unrated.sql,
            [row.organization_id for row in late],
            [row.id for row in late],
        )
    unrated = [(org, row) for org, effect in effects for row in effect.unrated]
    if unrated:
        await connection.execute(
            queries.write_unrated.sql,
            [org for org, _ in unrated],
            [row.event_id for _, row in unrated],
            [row.timestamp for _, row in unrated],
            [row.reason for _, row in unrated],
            [row.detail for _, row in unrated],
            [now for _ in unrated],
        )


async def write_totals(connection: Connection, totals: dict[tuple[UUID, TotalKey], Total]) -> None:
    """Running totals as they are after the batch."""
    if not totals:
        return
    keys = sorted(
        totals, key=lambda key: (key[0], key[1].subscription_id, key[1].charge_id, key[1].filter_id)
    )
    await connection.execute(
        queries.write_totals.sql,
        [organization_id for organization_id, _ in keys],
        [key.subscription_id for _, key in keys],
        [key.charge_id for _, key in keys],
        [key.filter_id for _, key in keys],
        [key.period_start for _, key in keys],
        [_pack_json(totals[key]) for key in keys],
    )


async def _write_holds(connection: Connection, rows: Sequence[tuple[UUID, HoldState]]) -> None:
    holds = [hold for _, hold in rows]
    await connection.execute(
        queries.write_holds.sql,
        [organization_id for organization_id, _ in rows],
        [hold.id for hold in holds],
        [hold.customer_id for hold in holds],
        [hold.external_customer_id for hold in holds],
        [hold.transaction_id for hold in holds],
        [hold.status for hold in holds],
        [hold.asset_code for hold in holds],
        [hold.amount_minor for hold in holds],
        [hold.captured_minor for hold in holds],
        [hold.overage_minor for hold in holds],
        [hold.refunded_minor for hold in holds],
        [hold.subscription_id for hold in holds],
        [hold.plan_version_id for hold in holds],
        [_pack(hold.items) for hold in holds],
        [_pack(hold.legs) for hold in holds],
        [_pack(hold.paid) for hold in holds],
        [hold.step for hold in holds],
        [hold.expires_at for hold in holds],
        [hold.created_at for hold in holds],
        [hold.ended_at for hold in holds],
    )


def _event(organization_id: UUID, effect: Effect, row: EventRow, now: datetime) -> events.Event:
    return events.Event(
        organization_id=organization_id,
        id=row.id,
        transaction_id=row.transaction_id,
        customer_id=effect.customer_id,
        external_customer_id=row.external_customer_id,
        subscription_id=row.subscription_id,
        external_subscription_id=row.external_subscription_id,
        code=row.code,
        timestamp=row.timestamp,
        properties=to_json(row.properties),
        rating_status=row.rating_status,
        plan_version_id=row.plan_version_id,
        lines=to_json(row.lines),
        operation_id=effect.operation_id,
        created_at=now,
        asset_code=row.asset_code,
        paid=to_json(row.paid),
        reverses_event_id=row.reverses_event_id,
        unrated_reason=next((one.reason for one in effect.unrated if one.event_id == row.id), None),
    )


async def _write_credits(
    connection: Connection, effects: Sequence[tuple[UUID, Effect]], *, now: datetime
) -> None:
    """Wallets, grants and their transactions: rare next to usage, so a statement a row."""
    for organization_id, effect in effects:
        ids = {"organization_id": organization_id, "customer_id": effect.customer_id, "now": now}
        place = {"organization_id": organization_id, "now": now}
        for row in effect.wallets:
            values = {**msgspec.structs.asdict(row), "metadata": to_json(row.metadata)}
            await queries.write_wallet(connection, **ids, **values)
        for change in effect.wallet_changes:
            await queries.change_wallet(
                connection, **place, id=change.id, changes=to_json(change.changes)
            )
        for row in effect.grants:
            await queries.write_grant(connection, **ids, **msgspec.structs.asdict(row))
        for change in effect.grant_changes:
            values = msgspec.structs.asdict(change)
            await queries.change_grant(connection, organization_id=organization_id, **values)
        for row in effect.transactions:
            values = {
                **msgspec.structs.asdict(row),
                "metadata": to_json(row.metadata),
                "voided_grants": None if row.voided_grants is None else to_json(row.voided_grants),
            }
            await queries.write_transaction(connection, **ids, **values)
        for change in effect.transaction_changes:
            await queries.change_transaction(connection, **place, **msgspec.structs.asdict(change))
