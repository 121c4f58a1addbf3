"""Figures that show whether the worker keeps up, and whether the book is in balance."""

import asyncio
from typing import Any, Final

import structlog

from invoicing import usage_rollups
from invoicing.records import load_queries
from ledger.reconciliation import trial_balance
from wallet_service.jobs import measures
from wallet_service.jobs.leader import Term
from wallet_service.services import Services

__all__ = ["BalanceMeasurer", "measure_balance", "measure_delays"]

log: Final = structlog.get_logger("wallet_service.worker")

_queries: Final = load_queries(__file__)

_REST: Final = 99
"""How many times as long as it took it is left alone."""


async def measure_delays(services: Services, term: Term) -> int:
    """How long the oldest of each kind has been waiting."""
    term.check()
    async with services.database.worker.acquire() as connection:
        row: Any = await connection.fetchrow(_queries.oldest_waiting.sql)
        lag = await usage_rollups.measure_lag(connection)
    measures.OLDEST.labels("usage").set(lag.total_seconds())
    for kind in ("hold", "intent", "unrated_event"):
        measures.OLDEST.labels(kind).set(float(row[kind] or 0))
    return 0


class BalanceMeasurer:
    """Measures the balance of the ledgers, for a hundredth of the time: it reads all accounts."""

    def __init__(self) -> None:
        self._rests_until = 0.0

    async def run(self, services: Services, term: Term) -> int:
        """Measure, unless the last time was so long that it is not due yet."""
        began = asyncio.get_running_loop().time()
        if began < self._rests_until:
            return 0
        unbalanced = await measure_balance(services, term)
        ended = asyncio.get_running_loop().time()
        self._rests_until = ended + _REST * (ended - began)
        return unbalanced


async def measure_balance(services: Services, term: Term) -> int:
    """Whether debits are credits in every ledger; says in how many they are not."""
    term.check()
    async with services.database.worker.acquire() as connection:
        if services.ledger.name == "postgres":
            rows: list[Any] = await connection.fetch(_queries.unbalanced_ledgers.sql)
            unbalanced = [row["ledger"] for row in rows]
            ledgers: list[int] = []
        else:
            rows = await connection.fetch(_queries.ledgers.sql)
            ledgers, unbalanced = [row["ledger"] for row in rows], []
    for number in ledgers:
        if not (await trial_balance(services.ledger, number)).is_balanced:
            unbalanced.append(number)
    measures.IMBALANCE.set(len(unbalanced))
    for number in unbalanced:
        log.error("ledger_out_of_balance", ledger=number)
    return len(unbalanced)
