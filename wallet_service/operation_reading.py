"""Reading what operations are about: their keys, holds, events, purchases and running totals.

A batch calls this after its customers were read, under locks or without (`unlocked_batch`).
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

import msgspec

from invoicing.records import Connection, load_queries
from ledger.postings import Held, pending_of
from ledger.transfers import Transfer
from wallet_service.decision import CustomerState, LockedState, Operation
from wallet_service.decision.budget_state import BudgetPart
from wallet_service.decision.commands import (
    Authorize,
    Capture,
    Debit,
    Expire,
    Extend,
    Fail,
    Item,
    MoveCredits,
    Pricing,
    RecogniseRevenue,
    Refund,
    Reverse,
    Settle,
    Void,
)
from wallet_service.decision.pricing import WantedTotal, wanted_totals
from wallet_service.decision.state import (
    CapturedItem,
    DeferredState,
    EventLine,
    EventState,
    HoldState,
    KnownOperation,
    Leg,
    Paid,
    TotalKey,
    TransactionState,
)
from wallet_service.running_totals import learn_totals

__all__ = ["any_key_is_known", "hold_of", "holds_of", "holds_wanted", "learn_holds", "read"]

_queries: Final[Any] = load_queries(__file__)

_items = msgspec.msgpack.Decoder(list[CapturedItem]).decode
_legs = msgspec.msgpack.Decoder(list[Leg]).decode
_paid = msgspec.msgpack.Decoder(list[Paid]).decode
_json_paid = msgspec.json.Decoder(list[Paid]).decode
_event_lines = msgspec.json.Decoder(list[EventLine]).decode
_budgets = msgspec.msgpack.Decoder(list[BudgetPart]).decode
_json_budgets = msgspec.json.Decoder(list[BudgetPart]).decode
_properties = msgspec.json.Decoder(dict[str, Any], float_hook=Decimal).decode
_metadata = msgspec.json.Decoder(list[dict[str, str]]).decode

_OF_A_HOLD = (Capture, Extend, Void, Expire, Refund)
_OF_A_TRANSACTION = (Settle, Fail)
_OF_NOTHING_BEFORE = frozenset({Authorize, Debit})
"""Most commands by far: all but their prices is new."""


async def read(
    connection: Connection,
    operations: Sequence[Operation],
    state: LockedState,
    *,
    keys: bool,
    intents: bool,
) -> None:
    """Everything else that judging these operations needs, of customers that were read.

    ``keys``: whether they were used before. ``intents``: what a ledger outside Postgres has not
    answered yet, where operations are about what may be under way. Holds came with their customers.
    """
    if keys:
        await _read_keys(connection, state, operations)
    for operation in operations:
        # A customer without a version row holds nothing, but its usage is stored all the same.
        if operation.customer_id is not None:
            key = operation.organization_id, operation.customer_id
            state.customers.setdefault(key, CustomerState(*key, 0))
    others = [op for op in operations if type(op.command) not in _OF_NOTHING_BEFORE]
    if others:
        await _read_events(connection, state, others)
        await _read_transactions(connection, state, others)
        await _read_deferred(connection, state, others)
        if intents:
            await _read_open(connection, state)
    await _read_totals(connection, state, operations)


async def any_key_is_known(connection: Connection, operations: Sequence[Operation]) -> bool:
    """Whether some of these operations' keys were used before."""
    return bool(operations) and bool(await _fetch_keys(connection, operations))


async def _fetch_keys(connection: Connection, operations: Sequence[Operation]) -> list[Any]:
    wanted = list({(op.organization_id, op.kind, op.key): None for op in operations})
    return await connection.fetch(
        _queries.read_keys.sql,
        [key[0] for key in wanted],
        [key[1] for key in wanted],
        [key[2] for key in wanted],
    )


async def _read_keys(
    connection: Connection, state: LockedState, operations: Sequence[Operation]
) -> None:
    for row in await _fetch_keys(connection, operations):
        state.keys[row["organization_id"], row["kind"], row["key"]] = KnownOperation(
            row["id"],
            row["customer_id"],
            row["authorization_id"],
            row["body_hash"],
            row["state"],
            row["attempt"],
            row["reply"],
        )


def holds_wanted(operations: Iterable[Operation]) -> list[tuple[UUID, UUID]]:
    """Organization and id of each hold that operations are about, once."""
    wanted = {
        (op.organization_id, op.command.authorization_id): None
        for op in operations
        if isinstance(op.command, _OF_A_HOLD)
    }
    return list(wanted)


def learn_holds(state: LockedState, rows: Iterable[Any]) -> None:
    """Take over authorizations, of customers that were locked and read."""
    for row in rows:
        hold = hold_of(row)
        customer = state.customers.get((row["organization_id"], hold.customer_id))
        if customer is not None:
            customer.holds[hold.id] = hold


def holds_of(operations: Sequence[Operation], state: LockedState) -> dict[int, Transfer]:
    """The pending transfers of the holds that operations may end, as they must be in the book."""
    ledgers = {
        (operation.organization_id, operation.command.asset.code): operation.command.asset.ledger
        for operation in operations
        if operation.command.asset is not None
    }
    pending: dict[int, Transfer] = {}
    for customer in state.customers.values():
        for hold in customer.holds.values():
            ledger = ledgers.get((customer.organization_id, hold.asset_code))
            if ledger is not None:
                for leg in hold.legs:
                    held = Held(leg.transfer_id.int, leg.grant_id.int, leg.amount_minor)
                    pending[held.transfer_id] = pending_of(held, ledger=ledger)
    return pending


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
        api_key_id=row["api_key_id"],
        budgets=[] if row["budgets"] is None else _budgets(row["budgets"]),
    )


async def _read_open(connection: Connection, state: LockedState) -> None:
    if not state.customers:
        return
    rows = await connection.fetch(
        _queries.read_open_operations.sql,
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
        _queries.read_events.sql, [key[0] for key in wanted], [key[2] for key in wanted]
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
            lines=_event_lines(row["lines"]),
            reversals=row["reversals"],
            budgets=[] if row["budgets"] is None else _json_budgets(row["budgets"]),
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
        _queries.read_transactions.sql, [key[0] for key in wanted], [key[1] for key in wanted]
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


async def _read_deferred(
    connection: Connection, state: LockedState, operations: Sequence[Operation]
) -> None:
    wanted = [
        (op.organization_id, op.command.grant_id)
        for op in operations
        if isinstance(op.command, RecogniseRevenue)
    ]
    if not wanted:
        return
    rows = await connection.fetch(
        _queries.read_deferred.sql, [key[0] for key in wanted], [key[1] for key in wanted]
    )
    for row in rows:
        customer = state.customers.get((row["organization_id"], row["customer_id"]))
        if customer is not None:
            customer.deferred[row["id"]] = DeferredState(row["earned_minor"], row["broken_minor"])


async def _read_totals(
    connection: Connection, state: LockedState, operations: Sequence[Operation]
) -> None:
    wanted = _totals_wanted(operations, state.now)
    if not wanted:
        return
    found = await learn_totals(
        connection, {(org, total.key): total for (org, _, _), total in wanted.items()}
    )
    for organization_id, customer_id, key in wanted:
        total = found.get((organization_id, key))
        if total is not None:
            state.customers[organization_id, customer_id].totals[key] = total


def _totals_wanted(
    operations: Sequence[Operation], now: datetime
) -> dict[tuple[UUID, UUID, TotalKey], WantedTotal]:
    wanted: dict[tuple[UUID, UUID, TotalKey], WantedTotal] = {}
    for op in operations:
        command = op.command
        items: Sequence[Item] = ()
        pricing: Pricing | None = None
        at = now
        if type(command) is Debit:
            items = [item for choice in command.choices for item in choice.items]
            pricing = command.pricing
            at = command.timestamp or now
        elif type(command) is Authorize:
            items = [item for choice in command.choices for item in choice.items]
            pricing = command.pricing
        elif isinstance(command, Extend | Capture):
            items, pricing = command.items or (), command.pricing
        for total in wanted_totals(items, pricing, at=at):
            assert op.customer_id is not None, "who has an agreement is a customer"
            wanted[op.organization_id, op.customer_id, total.key] = total
    return wanted
