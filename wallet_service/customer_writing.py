"""Writing what operations came to: effects to the rows that are a customer's, set-wise."""

from collections.abc import Sequence
from datetime import datetime
from operator import attrgetter
from typing import Any, Final
from uuid import UUID

import msgspec

from invoicing import events
from invoicing.records import Connection, load_queries, to_json
from ledger.engine import NO_ROWS, BatchRows
from wallet_service.budget_counters import write_spending
from wallet_service.decision import (
    CustomerKey,
    CustomerState,
    Done,
    Effect,
    LockedState,
    Operation,
    Outcome,
    Refused,
)
from wallet_service.decision.outcomes import EventRow
from wallet_service.decision.state import HoldState
from wallet_service.intents import encode_intent

__all__ = [
    "is_written_at_once",
    "keys_of",
    "write_batch",
    "write_concluded",
    "write_others",
    "write_unmoved",
]

_queries: Final[Any] = load_queries(__file__)

_WRITTEN_AT_ONCE: Final = {
    "operation_id",
    "customer_id",
    "authorization_id",
    "accounts",
    "transfers",
    "holds",
    "events",
}
"""What of an effect is the ledger's, or written by `write_unmoved` or `write_concluded`."""
_rest_of: Final = attrgetter(
    *(one for one in Effect.__struct_fields__ if one not in _WRITTEN_AT_ONCE)
)

_pack = msgspec.msgpack.Encoder().encode


def keys_of(
    operations: Sequence[Operation],
    outcomes: Sequence[Outcome],
    *,
    is_atomic: bool,
    now: datetime,
) -> list[tuple[Any, ...]]:
    """The rows of the keys of what was done, and of what was denied, sorted.

    Of the same key the last word counts.
    """
    rows: dict[tuple[UUID, str, str], tuple[Any, ...]] = {}
    for operation, outcome in zip(operations, outcomes, strict=True):
        if isinstance(outcome, Done):
            state = "posted" if is_atomic else "open"
            intent = None if is_atomic else encode_intent(outcome.effect)
            authorization_id = outcome.effect.authorization_id
            reply: bytes | None = outcome.reply
        elif isinstance(outcome, Refused) and outcome.is_recorded:
            state, intent, authorization_id, reply = "refused", None, None, None
        else:
            continue
        place = operation.organization_id, operation.kind, operation.key
        rows[place] = (
            *place,
            outcome.operation_id,
            operation.customer_id,
            authorization_id,
            operation.body_hash,
            state,
            outcome.attempt,
            intent,
            reply,
            now,
        )
    return [rows[place] for place in sorted(rows)]


async def write_batch(
    connection: Connection,
    keys: Sequence[tuple[Any, ...]],
    effects: Sequence[tuple[UUID, Effect]],
    rows: BatchRows = NO_ROWS,
) -> bool:
    """Write keys (`keys_of`), authorizations, and transfers that were judged, in one statement.

    False if another transaction was first with one of the keys. Raises LedgerConflict where it was
    first with something of the ledger's. Nothing may be kept then.
    """
    holds = _authorizations(effects)
    if not (keys or holds or rows.transfers):
        return True
    (written,) = await connection.fetch(
        _queries.write_batch.sql,
        keys,
        holds,
        rows.transfers,
        rows.balances,
    )
    if written["kept"] != len(keys):
        return False
    rows.check(written["booked"], written["moved"])
    return True


def is_written_at_once(effect: Effect) -> bool:
    """Whether one statement writes all that an operation comes to, but accounts of the ledger."""
    return not any(_rest_of(effect))


async def write_unmoved(
    connection: Connection,
    accepted: Sequence[tuple[Operation, Done]],
    state: LockedState,
    rows: BatchRows,
    *,
    is_atomic: bool,
) -> list[CustomerKey]:
    """Write keys, authorizations, events and transfers, and commit; not inside a transaction.

    With a ledger outside Postgres (not ``is_atomic``) the keys are written with their intents, and
    the rest when these are concluded.

    Returns the customers that have moved since they were read, or are locked: nothing of theirs is
    kept. Raises SerializationError where anything else was not as it was read; nothing at all is
    kept then.
    """
    operations = [operation for operation, _ in accepted]
    outcomes = [outcome for _, outcome in accepted]
    effects = [
        (operation.organization_id, outcome.effect) for operation, outcome in accepted if is_atomic
    ]
    customers = sorted({one.customer for one in operations if one.customer is not None})
    places = {key: place for place, key in enumerate(customers, start=1)}
    (written,) = await connection.fetch(
        _queries.write_unmoved.sql,
        [(*key, state.customers[key].version) for key in customers],
        keys_of(operations, outcomes, is_atomic=is_atomic, now=state.now),
        *_holds_and_events(effects, now=state.now),
        rows.transfers,
        rows.balances,
        [
            places[organization_id, effect.customer_id]
            for organization_id, effect in effects
            if effect.customer_id is not None
            for _ in effect.transfers
        ],
    )
    return [customers[place - 1] for place in written["moved"]]


async def write_concluded(
    connection: Connection,
    concluded: Sequence[tuple[UUID, str, str, int, str]],
    effects: Sequence[tuple[UUID, Effect]],
    customers: Sequence[CustomerState],
    *,
    now: datetime,
) -> list[CustomerKey]:
    """Conclude intents (organization, kind, key, attempt, state), and commit; not in a transaction.

    ``effects`` are what those that are posted have come to: authorizations and events.

    Returns the customers that somebody else has moved since these intents were written, or is about
    to move. Raises SerializationError where one of them is not open any more; nothing at all is
    kept then.
    """
    rows = sorted(concluded)
    (written,) = await connection.fetch(
        _queries.conclude_intents.sql,
        [(one.organization_id, one.customer_id, one.version) for one in customers],
        *([row[place] for row in rows] for place in range(5)),
        *_holds_and_events(effects, now=now),
    )
    moved: list[int] = written["moved"]
    return [
        (customers[place - 1].organization_id, customers[place - 1].customer_id) for place in moved
    ]


def _holds_and_events(
    effects: Sequence[tuple[UUID, Effect]], *, now: datetime
) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
    """Rows of what operations of (organization, effect) came to."""
    return _authorizations(effects), events.rows_of(_events(effects, now=now))


def _events(effects: Sequence[tuple[UUID, Effect]], *, now: datetime) -> list[events.Event]:
    return [
        _event(organization_id, effect, row, now)
        for organization_id, effect in effects
        for row in effect.events
    ]


async def write_others(
    connection: Connection,
    effects: Sequence[tuple[UUID, Effect]],
    *,
    now: datetime,
) -> None:
    """Write what else these operations of (organization, effect) came to, set-wise.

    That is, all but `write_batch`, totals and where budgets stand.
    """
    await _write_credits(connection, effects, now=now)
    await events.insert_many(connection, _events(effects, now=now))
    late = [
        _event(organization_id, effect, row, now)
        for organization_id, effect in effects
        for row in effect.rated_events
        if row.rating_status != "unrated"
    ]
    if late:
        await events.rate_late(connection, late)
        await connection.execute(
            _queries.delete_unrated.sql,
            [row.organization_id for row in late],
            [row.id for row in late],
        )
    await write_spending(connection, effects)
    unrated = [(org, row) for org, effect in effects for row in effect.unrated]
    if unrated:
        await connection.execute(
            _queries.write_unrated.sql,
            [org for org, _ in unrated],
            [row.event_id for _, row in unrated],
            [row.timestamp for _, row in unrated],
            [row.reason for _, row in unrated],
            [row.detail for _, row in unrated],
            [now for _ in unrated],
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
            await _queries.write_wallet(connection, **ids, **values)
        for change in effect.wallet_changes:
            await _queries.change_wallet(
                connection, **place, id=change.id, changes=to_json(change.changes)
            )
        for row in effect.grants:
            await _queries.write_grant(connection, **ids, **msgspec.structs.asdict(row))
        for change in effect.grant_changes:
            values = msgspec.structs.asdict(change)
            await _queries.change_grant(connection, organization_id=organization_id, **values)
        for row in effect.transactions:
            values = {
                **msgspec.structs.asdict(row),
                "metadata": to_json(row.metadata),
                "voided_grants": None if row.voided_grants is None else to_json(row.voided_grants),
            }
            await _queries.write_transaction(connection, **ids, **values)
        for change in effect.transaction_changes:
            await _queries.change_transaction(connection, **place, **msgspec.structs.asdict(change))


def _authorizations(effects: Sequence[tuple[UUID, Effect]]) -> list[tuple[Any, ...]]:
    """The rows of holds as these operations of (organization, effect) left them, by their ids."""
    # By number: a UUID is hashed and compared in Python.
    holds = {
        (organization_id.int, hold.id.int): (organization_id, hold)
        for organization_id, effect in effects
        for hold in effect.holds
    }
    return [_authorization(*holds[place]) for place in sorted(holds)]


def _authorization(organization_id: UUID, hold: HoldState) -> tuple[Any, ...]:
    return (
        organization_id,
        hold.id,
        hold.customer_id,
        hold.external_customer_id,
        hold.transaction_id,
        hold.status,
        hold.asset_code,
        hold.amount_minor,
        hold.captured_minor,
        hold.overage_minor,
        hold.refunded_minor,
        hold.subscription_id,
        hold.plan_version_id,
        _pack(hold.items),
        _pack(hold.legs),
        _pack(hold.paid),
        hold.step,
        hold.expires_at,
        hold.created_at,
        hold.ended_at,
        hold.api_key_id,
        _pack(hold.budgets) if hold.budgets else None,
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
        precise_total_amount_cents=row.precise_total_amount_cents,
        rating_status=row.rating_status,
        plan_version_id=row.plan_version_id,
        lines=to_json(row.lines),
        operation_id=effect.operation_id,
        created_at=now,
        asset_code=row.asset_code,
        paid=to_json(row.paid),
        reverses_event_id=row.reverses_event_id,
        unrated_reason=_unrated_reason(effect, row) if effect.unrated else None,
    )


def _unrated_reason(effect: Effect, row: EventRow) -> str | None:
    return next((one.reason for one in effect.unrated if one.event_id == row.id), None)
