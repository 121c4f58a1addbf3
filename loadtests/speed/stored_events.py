"""Events that are there already, made in bulk, and waited for until the worker has folded them."""

import asyncio
from typing import Any, Final

import asyncpg

from invoicing.records import load_queries
from loadtests.speed.book import Book
from loadtests.speed.seed import Market
from loadtests.speed.shapes import event
from loadtests.speed.stack import Stack

_PORTION: Final = 20_000
"""Events of a transaction: as many as the worker folds at a time."""
_POLL_S: Final = 5

_queries: Final[Any] = load_queries(__file__)


async def store(stack: Stack, market: Market, *, first: int, last: int) -> None:
    """Store the events numbered so, spread over the customers and the last twenty days."""
    transaction_id = Book(stack.place, market).ask(event(market.api_key, 1))["event"][
        "transaction_id"
    ]
    connection = await asyncpg.connect(stack.dsn)
    try:
        await _queries.make_users(connection)
        await _queries.fill_users(connection, organization_id=market.organization_id)
        template = await _queries.find_event(
            connection, organization_id=market.organization_id, transaction_id=transaction_id
        )
        await connection.execute("analyze users")
        for start in range(first, last, _PORTION):
            await _queries.store_events(
                connection,
                organization_id=market.organization_id,
                event_id=template["id"],
                total=last - first,
                first=start,
                last=min(start + _PORTION, last) - 1,
            )
        while not await _queries.is_folded(connection):
            await asyncio.sleep(_POLL_S)
        await connection.execute("vacuum analyze invoicing.events")
        await connection.execute("checkpoint")
    finally:
        await connection.close()
