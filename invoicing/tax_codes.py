"""Codes of taxes: by these, customers, plans, charges and so on say how they are taxed."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final
from uuid import UUID

from invoicing.errors import Invalid
from invoicing.records import Connection, load_queries

_queries: Final = load_queries(__file__)


async def check(
    connection: Connection,
    organization_id: UUID,
    codes: Iterable[str],
    *,
    field: str = "tax_codes",
) -> None:
    """Raise Invalid (`tax_not_found`) unless every code names a tax."""
    problems = await unknown(connection, organization_id, {field: list(codes)})
    if problems:
        raise Invalid(problems)


async def unknown(
    connection: Connection, organization_id: UUID, codes_of: Mapping[str, Sequence[str]]
) -> dict[str, list[str]]:
    """What is wrong with the codes of several fields: `tax_not_found` where not all are taxes."""
    wanted = {code for codes in codes_of.values() for code in codes}
    if not wanted:
        return {}
    rows = _queries.find_tax_codes(
        connection, organization_id=organization_id, codes=sorted(wanted)
    )
    known = {row["code"] async for row in rows}
    return {
        field: ["tax_not_found"] for field, codes in codes_of.items() if not known.issuperset(codes)
    }


def distinct(codes: Iterable[str]) -> list[str]:
    """Each code once, in the order in which they came."""
    return list(dict.fromkeys(codes))
