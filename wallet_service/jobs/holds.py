"""Holds that nobody captured in time give back what they hold. Postgres' clock decides."""

from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from invoicing.records import load_queries
from wallet_service.decision.commands import Asset, Expire
from wallet_service.jobs.commits import commit, job_operation
from wallet_service.jobs.leader import Term
from wallet_service.services import Services

__all__ = ["expire_holds"]

_queries: Final = load_queries(__file__)

_BATCH: Final = 200
_BEGINNING: Final = (datetime(1970, 1, 1, tzinfo=UTC), UUID(int=0))


async def expire_holds(services: Services, term: Term) -> int:
    """Expire all holds that are due, in the order of their expiry; says how many.

    Each is tried once a run, so one that cannot be expired keeps nobody waiting.
    """
    expired = 0
    after = _BEGINNING
    while True:
        term.check()
        async with services.database.worker.acquire() as connection:
            rows: list[Any] = await connection.fetch(_queries.due_holds.sql, *after, _BATCH)
        if rows:
            operations = [
                job_operation(
                    row["organization_id"],
                    "expire",
                    f"{row['id']}:{row['expires_at'].isoformat()}",
                    Expire(row["id"], asset_of(row)),
                    customer_id=row["customer_id"],
                )
                for row in rows
            ]
            expired += await commit(services, operations)
        if len(rows) < _BATCH:
            return expired
        after = rows[-1]["expires_at"], rows[-1]["id"]


def asset_of(row: Any) -> Asset:
    """The asset that a query of jobs has joined."""
    return Asset(row["asset_code"], row["scale"], row["ledger"], row["is_unit"])
