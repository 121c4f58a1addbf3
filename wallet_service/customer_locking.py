"""The lock on customers: one row each, which covers all that is theirs.

A transaction that locks customers begins with that, in one round trip: the locks are statements
that every connection has prepared (`prepare_locks`), and their parameters, which are nothing but
ids, are written into the text.
"""

import contextlib
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from typing import Any, Final

from invoicing.records import Connection, load_queries
from wallet_service.decision import CustomerKey

__all__ = ["introduce_customers", "locking", "prepare_locks"]

_queries: Final[Any] = load_queries(__file__)


async def prepare_locks(connection: Connection) -> None:
    """Make a new connection ready for `locking`."""
    for query in (_queries.lock_free_customers, _queries.wait_for_customers):
        await connection.execute(f"prepare {query.__name__} (uuid[], uuid[]) as {query.sql}")


@asynccontextmanager
async def locking(
    connection: Connection, customers: Iterable[CustomerKey | None], *, skip_locked: bool
) -> AsyncGenerator[None]:
    """Open a transaction that begins by locking customers, in the order of their ids.

    With ``skip_locked`` those that are busy are left out; what is read next tells who was locked
    (`customer_reading`).
    """
    wanted = sorted({key for key in customers if key is not None})
    first = "begin"
    if wanted:
        query = _queries.lock_free_customers if skip_locked else _queries.wait_for_customers
        organizations = ",".join([str(organization) for organization, _ in wanted])
        ids = ",".join([str(customer) for _, customer in wanted])
        first = f"begin; execute {query.__name__} ('{{{organizations}}}', '{{{ids}}}')"
    try:
        await connection.execute(first)
        yield
    except BaseException:
        # A connection that died has rolled back by itself.
        with contextlib.suppress(Exception):
            await connection.execute("rollback")
        raise
    if await connection.execute("commit") != "COMMIT":
        raise AssertionError("the transaction had failed, and was rolled back")


async def introduce_customers(
    connection: Connection, unknown: Iterable[CustomerKey | None]
) -> None:
    """Customers that have no version yet get one; the next batch can lock it."""
    keys = sorted({key for key in unknown if key is not None})
    await connection.execute(
        _queries.introduce_customers.sql, [key[0] for key in keys], [key[1] for key in keys]
    )
