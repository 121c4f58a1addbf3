"""Figures that show whether the worker keeps up, and whether the book is in balance."""

from typing import Any, Final

import structlog

from invoicing.records import load_queries
from wallet_service.jobs import measures
from wallet_service.jobs.leader import Term
from wallet_service.services import Services

__all__ = ["measure_delays"]

log: Final = structlog.get_logger("wallet_service.worker")

_queries: Final = load_queries(__file__)


async def measure_delays(services: Services, term: Term) -> int:
    """How long the oldest of each kind has been waiting."""
    term.check()
    async with services.database.worker.acquire() as connection:
        row: Any = await connection.fetchrow(_queries.oldest_waiting.sql)
    for kind in ("hold", "intent", "unrated_event"):
        measures.OLDEST.labels(kind).set(float(row[kind] or 0))
    return 0
