"""Series of numbers without a gap: each is taken in the transaction that uses it.

Who takes a number holds the series until the commit; so it is taken last, and a transaction that
fails gives it back.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Final
from uuid import UUID

from invoicing.records import Connection, load_queries

_queries: Final = load_queries(__file__)


async def take(connection: Connection, organization_id: UUID, series: str) -> int:
    """The next number of a series; the first is 1."""
    return await _queries.take_number(connection, organization_id=organization_id, series=series)


async def take_all(connection: Connection, wanted: Sequence[tuple[UUID, str]]) -> list[int]:
    """The next number for each of (organization, series); several of one series are in order."""
    counts = Counter(wanted)
    ordered = sorted(counts)
    rows = _queries.take_numbers(
        connection,
        organization_ids=[organization for organization, _ in ordered],
        series=[series for _, series in ordered],
        counts=[counts[place] for place in ordered],
    )
    given = {
        (row["organization_id"], row["series"]): row["last"]
        - counts[row["organization_id"], row["series"]]
        async for row in rows
    }
    numbers: list[int] = []
    for place in wanted:
        given[place] += 1
        numbers.append(given[place])
    return numbers
