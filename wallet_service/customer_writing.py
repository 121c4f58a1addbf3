"""Writing what operations came to: effects to the rows that are a customer's, set-wise."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec

from invoicing import events
from invoicing.records import Connection, load_queries, to_json
from wallet_service.budget_counters import write_spending
from wallet_service.decision import Done, Effect, Operation, Outcome, Refused
from wallet_service.decision.outcomes import EventRow
from wallet_service.decision.state import HoldState
from wallet_service.intents import encode_intent

__all__ = ["write", "write_keys"]

_queries: Final[Any] = load_queries(__file__)

_pack = msgspec.msgpack.Encoder().encode


async def write_keys(
    connection: Connection,
    operations: Sequence[Operation],
    outcomes: Sequence[Outcome],
    *,
    is_atomic: bool,
    now: datetime,
) -> bool:
    """The keys of what was done, and of what was denied. The last word on a key counts.

    False if another transaction was first with one of them.
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
        rows[operation.organization_id, operation.kind, operation.key] = (
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
    if not rows:
        return True
    places = sorted(rows)
    columns = [list(column) for column in zip(*(rows[place] for place in places), strict=True)]
    written = await connection.fetch(
        _queries.write_keys.sql,
        [place[0] for place in places],
        [place[1] for place in places],
        [place[2] for place in places],
        *columns,
    )
    return len(written) == len(places)


async def write(
    connection: Connection,
    effects: Sequence[tuple[UUID, Effect]],
    *,
    now: datetime,
) -> None:
    """Write what these operations of (organization, effect) came to, set-wise.

    Keys, totals and where budgets stand are written apart.
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


async def _write_holds(connection: Connection, rows: Sequence[tuple[UUID, HoldState]]) -> None:
    holds = [hold for _, hold in rows]
    await connection.execute(
        _queries.write_holds.sql,
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
        [hold.api_key_id for hold in holds],
        [_pack(hold.budgets) if hold.budgets else None for hold in holds],
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
        unrated_reason=next((one.reason for one in effect.unrated if one.event_id == row.id), None),
    )
