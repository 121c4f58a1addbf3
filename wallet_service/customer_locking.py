"""The lock on customers: one row each, which covers all that is theirs."""

from collections.abc import Iterable
from typing import Any, Final

from invoicing.records import Connection, load_queries
from wallet_service.decision import CustomerKey

__all__ = ["introduce_customers", "lock_customers"]

_queries: Final[Any] = load_queries(__file__)


async def lock_customers(
    connection: Connection, customers: Iterable[CustomerKey | None], *, skip_locked: bool
) -> dict[CustomerKey, int]:
    """Lock customers in the order of their ids; their new versions.

    Who is missing from the answer has no row yet or, with ``skip_locked``, is busy.
    """
    wanted = sorted({key for key in customers if key is not None})
    if not wanted:
        return {}
    query = _queries.lock_customers if skip_locked else _queries.wait_for_customers
    rows = await connection.fetch(query.sql, [key[0] for key in wanted], [key[1] for key in wanted])
    return {(row["organization_id"], row["customer_id"]): row["version"] for row in rows}


async def introduce_customers(
    connection: Connection, unknown: Iterable[CustomerKey | None]
) -> None:
    """Customers that have no version yet get one; the next batch can lock it."""
    keys = sorted({key for key in unknown if key is not None})
    await connection.execute(
        _queries.introduce_customers.sql, [key[0] for key in keys], [key[1] for key in keys]
    )
