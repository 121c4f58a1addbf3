"""What the book itself needs from time to time, and intents whose process died."""

from typing import Final

from ledger import Ledger
from ledger.engines import open_ledger
from wallet_service.jobs.leader import Term
from wallet_service.services import Services

__all__ = ["BookKeeper", "sweep"]

_RELEASE_MAX: Final = 1_000
_SWEEP_MAX: Final = 500
"""Intents that one call of the committer takes."""


class BookKeeper:
    """Folds the house's newest transfers into its stored sums, and lets go of holds that timed out.

    Only the Postgres engine has such work, and only the role of the worker may do it.
    """

    def __init__(self) -> None:
        self._ledger: Ledger | None = None

    async def fold(self, services: Services, term: Term) -> int:
        """Says how many transfers were folded."""
        term.check()
        return await self._book(services).fold()

    async def release_expired(self, services: Services, term: Term) -> int:
        """The ledger's own timeout, an hour behind ours: says how many holds it ended."""
        released = 0
        while True:
            term.check()
            count = await self._book(services).release_expired(limit=_RELEASE_MAX)
            released += count
            if count < _RELEASE_MAX:
                return released

    def _book(self, services: Services) -> Ledger:
        if services.ledger.name != "postgres":
            return services.ledger
        if self._ledger is None:
            self._ledger = open_ledger("postgres", pool=services.database.worker)
        return self._ledger


async def sweep(services: Services, term: Term) -> int:
    """Submit again what was intended and never concluded, with the same ids; says how many."""
    swept = 0
    while True:
        term.check()
        count = await services.committer.sweep()
        swept += count
        if count < _SWEEP_MAX:
            return swept
