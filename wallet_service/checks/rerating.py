"""I11: what an event costs is a pure function of the event and the price version that it names.

So the whole log can be priced again, from what is stored of each event, and comes to what was
charged, to the unit. The events go through this process in portions; what is priced again stands in
`repricing`.
"""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

import msgspec

from invoicing.records import Connection, load_queries
from invoicing.usage_versions import Versions
from rating.rate_cards import RateCard
from wallet_service.checks.findings import SHOWN_MAX, Finding
from wallet_service.checks.repricing import RatedEvent, difference
from wallet_service.checks.snapshot import Snapshot
from wallet_service.decision.commands import Cycle
from wallet_service.decision.state import EventLine, Paid

__all__ = ["check_rating_is_pure"]

_queries: Final = load_queries(__file__)
_lines: Final = msgspec.json.Decoder(list[EventLine]).decode
_paid: Final = msgspec.json.Decoder(list[Paid]).decode
_properties: Final = msgspec.json.Decoder(dict[str, Any], float_hook=Decimal).decode

_PORTION: Final = 2_000

_Key = tuple[UUID, UUID | str | None]
"""An organization, and what it calls something."""


async def check_rating_is_pure(snapshot: Snapshot) -> Finding:
    """I11. Rating every event again, at the price version it names, gives what the book has."""
    connection = snapshot.connection
    await connection.execute(_queries.in_one_order.sql)
    versions = Versions()
    checked = 0
    breaches: list[str] = []
    cursor = await connection.cursor(_queries.rated_events.sql)
    while len(breaches) < SHOWN_MAX and (rows := await cursor.fetch(_PORTION)):
        checked += len(rows)
        for row, event in zip(rows, await _events(connection, rows, versions), strict=True):
            found = difference(event)
            if found is not None:
                breaches.append(f"event {row['id']}: {found}")
    for query in (
        _queries.charged_otherwise_than_booked,
        _queries.captured_otherwise_than_rated,
        _queries.reversed_more_than_charged,
    ):
        breaches += await snapshot.breaches(query.sql)
    return Finding(invariant="I11", checked=checked, breaches=breaches[:SHOWN_MAX])


async def _cards(
    connection: Connection, rows: Sequence[Any], versions: Versions
) -> dict[_Key, RateCard]:
    """The prices of every version that is named."""
    named: dict[UUID, set[UUID]] = {}
    for row in rows:
        if row["plan_version_id"] is not None:
            named.setdefault(row["organization_id"], set()).add(row["plan_version_id"])
    return {
        (organization_id, version.id): version.card
        for organization_id, ids in named.items()
        for version in (await versions.load(connection, organization_id, ids)).values()
    }


async def _events(
    connection: Connection, rows: Sequence[Any], versions: Versions
) -> list[RatedEvent]:
    """A portion of events, with what each was priced by."""
    known = await _cards(connection, rows, versions)
    cards = [known.get((row["organization_id"], row["plan_version_id"])) for row in rows]
    scales = await _scales(connection, rows)
    reversed_lines = await _reversed_lines(connection, rows)
    cycles = await _cycles(
        connection,
        [row for row, card in zip(rows, cards, strict=True) if card and _has_days(card)],
    )
    return [
        RatedEvent(
            transaction_id=row["transaction_id"],
            code=row["code"],
            timestamp=row["timestamp"],
            properties=_properties(row["properties"]),
            precise_total_amount_cents=row["precise_total_amount_cents"],
            is_prepaid=row["rating_status"] == "rated",
            asset_code=row["asset_code"],
            lines=_lines(row["lines"]),
            paid=_paid(row["paid"]),
            is_reversal=row["reverses_event_id"] is not None,
            reversed_lines=reversed_lines.get((row["organization_id"], row["reverses_event_id"])),
            scale=scales.get((row["organization_id"], row["asset_code"])),
            card=card,
            cycle=cycles.get((row["organization_id"], row["subscription_id"])),
        )
        for row, card in zip(rows, cards, strict=True)
    ]


def _has_days(card: RateCard) -> bool:
    return any(charge.prorated for charge in card.charges)


async def _scales(connection: Connection, rows: Sequence[Any]) -> dict[_Key, int]:
    """How many decimals each asset has that is named."""
    found: list[Any] = await connection.fetch(
        _queries.scales.sql,
        list({row["organization_id"] for row in rows}),
        list({row["asset_code"] for row in rows}),
    )
    return {(row["organization_id"], row["code"]): row["scale"] for row in found}


async def _cycles(connection: Connection, rows: Sequence[Any]) -> dict[_Key, Cycle]:
    """How the periods of each subscription are cut that days are counted of."""
    if not rows:
        return {}
    found: list[Any] = await connection.fetch(
        _queries.cycles.sql,
        list({row["organization_id"] for row in rows}),
        list({row["subscription_id"] for row in rows}),
    )
    return {
        (row["organization_id"], row["id"]): Cycle(
            row["interval"], row["billing_time"], row["subscription_at"], row["timezone"]
        )
        for row in found
    }


async def _reversed_lines(
    connection: Connection, rows: Sequence[Any]
) -> dict[_Key, list[EventLine]]:
    """What the reversals among these events take back."""
    reversals = [row for row in rows if row["reverses_event_id"] is not None]
    if not reversals:
        return {}
    found: list[Any] = await connection.fetch(
        _queries.lines_of.sql,
        list({row["organization_id"] for row in reversals}),
        list({row["reverses_event_id"] for row in reversals}),
    )
    return {(row["organization_id"], row["id"]): _lines(row["lines"]) for row in found}
