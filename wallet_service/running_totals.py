"""Running totals: what each charge has counted so far in a period, as prices depend on it."""

from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

import msgspec

from invoicing.records import Connection, load_queries
from rating.usage import Total
from wallet_service.decision.state import TotalKey

__all__ = ["read_totals", "write_totals"]

_queries: Final[Any] = load_queries(__file__)

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Total).decode


async def read_totals(
    connection: Connection, keys: Sequence[tuple[UUID, TotalKey]]
) -> dict[tuple[UUID, TotalKey], Total]:
    """Running totals that exist already."""
    rows = await connection.fetch(
        _queries.read_totals.sql,
        [organization_id for organization_id, _ in keys],
        [key.subscription_id for _, key in keys],
        [key.charge_id for _, key in keys],
        [key.filter_id for _, key in keys],
        [key.period_start for _, key in keys],
        [key.group_id for _, key in keys],
    )
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
        _queries.write_totals.sql,
        [organization_id for organization_id, _ in keys],
        [key.subscription_id for _, key in keys],
        [key.charge_id for _, key in keys],
        [key.filter_id for _, key in keys],
        [key.period_start for _, key in keys],
        [key.group_id for _, key in keys],
        [_encode(totals[key]) for key in keys],
    )
