"""Running totals: what each charge has counted so far in a period, as prices depend on it."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

import msgspec

from invoicing.records import Connection, load_queries
from invoicing.usage_rollups import StartKey, start_totals
from rating import quotes
from rating.terms import ADDITIVE
from rating.totals import Total
from wallet_service.decision.pricing import WantedTotal
from wallet_service.decision.state import TotalKey

__all__ = ["learn_totals", "read_totals", "write_totals"]

_queries: Final[Any] = load_queries(__file__)

_BEGINNING: Final = datetime(1970, 1, 1, tzinfo=UTC)

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Total).decode


async def learn_totals(
    connection: Connection, wanted: Mapping[tuple[UUID, TotalKey], WantedTotal]
) -> dict[tuple[UUID, TotalKey], Total]:
    """Running totals as they are, or as they start.

    What is recurring starts from the period before; it was billed, so only more of it is charged.
    Where a price came to depend on a total only now, the total starts from what is stored of the
    period. None where there is nothing to start from.
    """
    known = await read_totals(connection, list(wanted))
    missing = {place: total for place, total in wanted.items() if place not in known}
    if not missing:
        return known
    recurring = [place for place, total in missing.items() if total.line.bucket.recurring]
    if recurring:
        for place, earlier in (await _read_earlier(connection, recurring)).items():
            total = missing.pop(place)
            known[place] = earlier if total.is_member else quotes.carried(total.line, earlier)
    return known | await _start_from_events(connection, missing)


async def _start_from_events(
    connection: Connection, missing: Mapping[tuple[UUID, TotalKey], WantedTotal]
) -> dict[tuple[UUID, TotalKey], Total]:
    """Totals of counts and sums from usage that is stored already, and was charged as it came."""
    places = {
        _start_key(organization_id, total): (organization_id, key)
        for (organization_id, key), total in missing.items()
        if total.line.bucket.aggregation in ADDITIVE
    }
    stored = await start_totals(connection, list(places))
    return {
        places[start]: quotes.started(
            missing[places[start]].line, units=found.units, events=found.events
        )
        for start, found in stored.items()
    }


def _start_key(organization_id: UUID, total: WantedTotal) -> StartKey:
    line, cycle, key = total.line, total.cycle, total.key
    bounds = cycle.period_at(key.period_start)
    return StartKey(
        organization_id=organization_id,
        subscription_id=key.subscription_id,
        charge_id=line.charge_id,
        filter_id=line.filter_id,
        group=line.group,
        period_start=_BEGINNING if line.bucket.recurring else bounds.start,
        period_end=bounds.end,
    )


async def _read_earlier(
    connection: Connection, keys: Sequence[tuple[UUID, TotalKey]]
) -> dict[tuple[UUID, TotalKey], Total]:
    """The last total before each period."""
    return _totals(await connection.fetch(_queries.read_earlier_totals.sql, *_columns(keys)))


async def read_totals(
    connection: Connection, keys: Sequence[tuple[UUID, TotalKey]]
) -> dict[tuple[UUID, TotalKey], Total]:
    """Running totals that exist already."""
    return _totals(await connection.fetch(_queries.read_totals.sql, *_columns(keys)))


async def write_totals(connection: Connection, totals: dict[tuple[UUID, TotalKey], Total]) -> None:
    """Running totals as they are after the batch."""
    if not totals:
        return
    keys = sorted(
        totals,
        key=lambda key: (
            key[0],
            key[1].subscription_id,
            key[1].charge_id,
            key[1].filter_id,
            key[1].group_id,
        ),
    )
    await connection.execute(
        _queries.write_totals.sql, *_columns(keys), [_encode(totals[key]) for key in keys]
    )


def _columns(keys: Sequence[tuple[UUID, TotalKey]]) -> list[list[Any]]:
    return [
        [organization_id for organization_id, _ in keys],
        [key.subscription_id for _, key in keys],
        [key.charge_id for _, key in keys],
        [key.filter_id for _, key in keys],
        [key.period_start for _, key in keys],
        [key.group_id for _, key in keys],
    ]


def _totals(rows: Sequence[Any]) -> dict[tuple[UUID, TotalKey], Total]:
    return {
        (
            row["organization_id"],
            TotalKey(
                row["subscription_id"],
                row["charge_id"],
                row["filter_id"],
                row["period_start"],
                row["group_id"],
            ),
        ): _decode(row["total"])
        for row in rows
    }
