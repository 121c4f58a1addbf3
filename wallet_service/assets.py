"""Assets: what balances are counted in.

Currencies are there from the start; native units are made.
"""

import re
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from invoicing.currencies import CURRENCIES
from invoicing.pages import Page, Window
from invoicing.records import Connection, Record, load_queries
from ledger.money import SCALE_MAX
from wallet_service.decision import Asset
from wallet_service.errors import Invalid, NotFound

__all__ = ["MONEY_SCALE", "AssetRow", "create", "find", "find_all", "find_by_ledger", "find_units"]

MONEY_SCALE: Final = 9
"""Decimals of an amount of money: list prices of models are as fine as 10^-9, and finer."""

_CODE: Final = re.compile(r"[A-Z][A-Z0-9_]{1,31}", re.ASCII)
_NAME_LENGTH_MAX: Final = 100

_queries: Final = load_queries(__file__)


class AssetRow(Record, frozen=True, kw_only=True):
    """An asset of an organization."""

    organization_id: UUID
    code: str
    name: str
    kind: str
    scale: int
    ledger: int
    created_at: datetime

    def asset(self) -> Asset:
        """The asset as decisions know it."""
        return Asset(self.code, self.scale, self.ledger, self.kind == "unit")


async def find(
    connection: Connection, organization_id: UUID, code: str, *, now: datetime
) -> AssetRow:
    """An asset by its code; raises NotFound. A currency comes into being with its first use."""
    row = await _queries.find_asset(connection, organization_id=organization_id, code=code)
    if row is None and code in CURRENCIES:
        await _insert(connection, organization_id, [(code, code, "money", MONEY_SCALE)], now=now)
        row = await _queries.find_asset(connection, organization_id=organization_id, code=code)
    if row is None:
        raise NotFound("asset")
    return AssetRow.of(row)


async def find_by_ledger(
    connection: Connection, organization_id: UUID, number: int
) -> AssetRow | None:
    """The asset whose ledger has this number; None where the ledger is not the organization's."""
    row = await _queries.find_asset_by_ledger(
        connection, organization_id=organization_id, ledger=number
    )
    return None if row is None else AssetRow.of(row)


async def find_units(
    connection: Connection, organization_id: UUID, codes: Collection[str]
) -> dict[str, int]:
    """The native units among these codes, and how many decimals each has."""
    if not codes:
        return {}
    rows = _queries.find_units(connection, organization_id=organization_id, codes=list(codes))
    return {row["code"]: row["scale"] async for row in rows}


async def create(
    connection: Connection,
    organization_id: UUID,
    *,
    code: str,
    name: str,
    kind: str,
    scale: int,
    now: datetime,
) -> AssetRow:
    """Make a native unit.

    Raises Invalid: a bad field, or the code is taken (also by a currency).
    """
    if not _CODE.fullmatch(code):
        raise Invalid("code", "invalid_format", "capitals, digits and underscores, 2 to 32 of them")
    if code in CURRENCIES:
        raise Invalid("code", "value_already_exist", "this is a currency; it exists from the start")
    if kind != "unit":
        raise Invalid("kind", "value_is_invalid", "native assets are of kind unit")
    if not 0 <= scale <= SCALE_MAX:
        raise Invalid("scale", "value_is_out_of_range")
    if not name.strip() or len(name) > _NAME_LENGTH_MAX:
        raise Invalid("name", "value_is_mandatory" if not name.strip() else "value_is_too_long")
    known = await _queries.find_asset(connection, organization_id=organization_id, code=code)
    if known is not None:
        raise Invalid("code", "value_already_exist")
    await _insert(connection, organization_id, [(code, name.strip(), kind, scale)], now=now)
    return await find(connection, organization_id, code, now=now)


async def find_all(
    connection: Connection, organization_id: UUID, *, window: Window, now: datetime
) -> Page[AssetRow]:
    """A page of assets: native units first, then all currencies."""
    currencies = [(code, code, "money", MONEY_SCALE) for code in sorted(CURRENCIES)]
    await _insert(connection, organization_id, currencies, now=now)
    rows = _queries.list_assets(
        connection, organization_id=organization_id, limit=window.size, offset=window.offset
    )
    items = [AssetRow.of(row) async for row in rows]
    return Page(items, await _queries.count_assets(connection, organization_id=organization_id))


async def _insert(
    connection: Connection,
    organization_id: UUID,
    assets: Sequence[tuple[str, str, str, int]],
    *,
    now: datetime,
) -> None:
    columns: list[list[Any]] = [list(column) for column in zip(*assets, strict=True)]
    await _queries.insert_assets(
        connection,
        organization_id=organization_id,
        now=now,
        codes=columns[0],
        names=columns[1],
        kinds=columns[2],
        scales=columns[3],
    )
