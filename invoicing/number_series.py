"""Series of numbers without a gap: each is taken in the transaction that uses it.

Who takes a number holds the series until the commit; so it is taken last, and a transaction that
fails gives it back.
"""

from typing import Final
from uuid import UUID

from invoicing.records import Connection, load_queries

_queries: Final = load_queries(__file__)


async def take(connection: Connection, organization_id: UUID, series: str) -> int:
    """The next number of a series; the first is 1."""
    return await _queries.take_number(connection, organization_id=organization_id, series=series)
