"""Is in the ledger what Postgres says is there? For engines that are no part of Postgres.

By the order of our writes Postgres cannot be ahead of the ledger, unless one of them came back from
a backup. Then nothing may be repaired silently: it is counted and logged, and people decide.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

import structlog
from msgspec import msgpack

from invoicing.records import load_queries
from wallet_service.decision.state import Leg, Paid
from wallet_service.jobs import measures
from wallet_service.jobs.leader import Term
from wallet_service.services import Services

__all__ = ["BookComparer"]

log: Final = structlog.get_logger("wallet_service.worker")

_queries: Final = load_queries(__file__)
_legs: Final = msgpack.Decoder(list[Leg]).decode
_paid: Final = msgpack.Decoder(list[Paid]).decode

_BEGINNING: Final = (datetime(1970, 1, 1, tzinfo=UTC), UUID(int=0))
_PAID_MAX: Final = 100
"""The newest captures of an authorization that are looked up."""


class BookComparer:
    """Looks up what authorizations name: those that moved lately, and a slice of all live holds."""

    def __init__(self, *, slice_size: int = 500, recent_s: float = 10.0) -> None:
        self._slice_size = slice_size
        self._recent_s = recent_s
        self._after = _BEGINNING

    async def run(self, services: Services, term: Term) -> int:
        """One cycle; says how many transfers are missing or are not what Postgres says."""
        if services.ledger.name == "postgres":
            return 0
        term.check()
        async with services.database.worker.acquire() as connection:
            recent: list[Any] = await connection.fetch(
                _queries.recent_authorizations.sql, self._recent_s, self._slice_size
            )
            held: list[Any] = await connection.fetch(
                _queries.held_authorizations.sql, *self._after, self._slice_size
            )
        self._after = (
            (held[-1]["expires_at"], held[-1]["id"])
            if len(held) == self._slice_size
            else _BEGINNING
        )
        return await self._compare(services, [*recent, *held])

    async def _compare(self, services: Services, rows: Iterable[Any]) -> int:
        named: dict[int, tuple[Any, int]] = {}
        for row in rows:
            for transfer_id, amount in _named(row):
                named[transfer_id] = row, amount
        booked = await services.ledger.transfers(list(named)) if named else {}
        differences = 0
        for transfer_id, (row, amount) in named.items():
            transfer = booked.get(transfer_id)
            if transfer is not None and transfer.amount == amount:
                continue
            differences += 1
            measures.BOOK_DIFFERENCES.labels("missing" if transfer is None else "amount").inc()
            log.error(
                "book_differs_from_postgres",
                organization_id=str(row["organization_id"]),
                authorization_id=str(row["id"]),
                transfer_id=str(UUID(int=transfer_id)),
                amount_minor=amount,
                booked_minor=None if transfer is None else transfer.amount,
            )
        return differences


def _named(row: Any) -> list[tuple[int, int]]:
    """The transfers that an authorization says are in the book, with their amounts."""
    found = [(leg.transfer_id.int, leg.amount_minor) for leg in _legs(row["legs"])]
    paid: dict[int, int] = {}
    for entry in _paid(row["paid"])[-_PAID_MAX:]:
        paid[entry.transfer_id.int] = paid.get(entry.transfer_id.int, 0) + entry.amount_minor
    # The first of them may have been cut off in the middle of its items.
    complete = list(paid.items())[1:] if len(_paid(row["paid"])) > _PAID_MAX else paid.items()
    return [*found, *complete]
