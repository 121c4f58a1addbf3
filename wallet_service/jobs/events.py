"""Usage that could not be rated when it came is driven again when the cause may be gone."""

import asyncio
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

import structlog
from msgspec import Struct

from invoicing import catalogue_versions
from invoicing.events import Event
from invoicing.records import load_queries
from wallet_service.errors import Unavailable, WalletError
from wallet_service.jobs.leader import Term
from wallet_service.services import Services

__all__ = ["Redriver"]

log: Final = structlog.get_logger("wallet_service.worker")

_queries: Final = load_queries(__file__)

_NIL: Final = UUID(int=0)
_AT_ONCE: Final = 16


class _Round(Struct):
    """One organization's way through its unrated events, oldest first."""

    version: int
    """Of the catalogue, when the round began."""
    began_at: float
    after: UUID | None = _NIL
    """The last event tried; None when the round is over."""


class Redriver:
    """Goes through an organization's unrated events once for every version of its catalogue.

    The cause may lie elsewhere too (a wallet that refuses a shortfall was funded), so every
    `again_s` it does so anyway. A run takes `batch` events of each organization at most.
    """

    def __init__(self, *, batch: int = 200, again_s: float = 300.0) -> None:
        self._batch = batch
        self._again_s = again_s
        self._rounds: dict[UUID, _Round] = {}

    async def run(self, services: Services, term: Term) -> int:
        """Drive what may be rated by now; says how many events could be."""
        async with services.database.worker.acquire() as connection:
            rows: list[Any] = await connection.fetch(_queries.organizations_with_unrated.sql)
            waiting = {row["organization_id"] for row in rows}
            versions = await catalogue_versions.all_current(connection) if waiting else {}
        for organization_id in self._rounds.keys() - waiting:
            del self._rounds[organization_id]
        rated = 0
        for organization_id in sorted(waiting):
            one = self._round(organization_id, versions.get(organization_id, 0))
            if one.after is not None:
                term.check()
                rated += await self._continue(services, organization_id, one)
        return rated

    def _round(self, organization_id: UUID, version: int) -> _Round:
        now = asyncio.get_running_loop().time()
        one = self._rounds.get(organization_id)
        if (
            one is None
            or one.version != version
            or (one.after is None and now - one.began_at >= self._again_s)
        ):
            one = self._rounds[organization_id] = _Round(version, now)
        return one

    async def _continue(self, services: Services, organization_id: UUID, one: _Round) -> int:
        async with services.database.worker.acquire() as connection:
            rows: list[Any] = await connection.fetch(
                _queries.unrated_events.sql, organization_id, one.after, self._batch
            )
        # This process remembers prices too, and may have missed the news.
        services.rates.look_again(organization_id)
        events = [Event.of(row) for row in rows]
        rated = 0
        for start in range(0, len(events), _AT_ONCE):
            group = events[start : start + _AT_ONCE]
            tries = await asyncio.gather(*(_redrive(services, event) for event in group))
            rated += sum(tries)
        one.after = events[-1].id if len(events) == self._batch else None
        return rated


async def _redrive(services: Services, event: Event) -> bool:
    try:
        return await services.usage.redrive(event, now=datetime.now(UTC))
    except Unavailable as error:
        log.info("redrive_waits", event_id=str(event.id), reason=error.code)
    except WalletError as error:
        # The cause is still there, or it is another one now: a wallet that rejects a
        # shortfall, say.
        log.info("redrive_refused", event_id=str(event.id), reason=error.code)
    except Exception:
        log.exception("redrive_failed", event_id=str(event.id))
    return False
