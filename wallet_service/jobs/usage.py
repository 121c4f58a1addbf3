"""Usage is folded into rollups, so that reading it stays fast. Never in the way of a request."""

import asyncio
from typing import Final

from invoicing import usage_rollups
from wallet_service.jobs.leader import Term
from wallet_service.services import Services

__all__ = ["Folder"]

_PORTION: Final = 20_000
"""Events of one transaction: a second of work or less."""
_NEWER_MAX: Final = 300
"""What reading one subscription adds up beside its rollups: some ten milliseconds."""
_REST_S_MAX: Final = 20.0


class Folder:
    """Folds when there is something to be gained: much of one subscription, or a while ago.

    A fold costs three rows for each price of each subscription that was used, whether once or a
    hundred times. So where many use a little it waits, as long as nobody comes to more than reading
    takes in its stride; usage is exact either way.
    """

    def __init__(self) -> None:
        self._folded_at = 0.0
        self._rest_s = 0.0

    async def run(self, services: Services, term: Term) -> int:
        """Fold, if it is time to."""
        loop = asyncio.get_running_loop()
        since_s = loop.time() - self._folded_at
        if since_s < self._rest_s:
            return 0
        done = await _fold(services, term)
        self._folded_at = loop.time()
        self._rest_s = _rest_s(done.lines_of_one, since_s=since_s)
        return done.lines


def _rest_s(lines_of_one: int, *, since_s: float) -> float:
    """How long until one subscription has too much that is newer, if all goes on like this."""
    if not lines_of_one:
        return 0.0
    return min(_REST_S_MAX, _NEWER_MAX * min(since_s, _REST_S_MAX) / lines_of_one)


async def _fold(services: Services, term: Term) -> usage_rollups.Fold:
    lines = lines_of_one = 0
    while True:
        term.check()
        async with services.database.worker.acquire() as connection, connection.transaction():
            done = await usage_rollups.fold(connection, events_max=_PORTION)
        lines += done.lines
        lines_of_one += done.lines_of_one
        if not done.has_more:
            return usage_rollups.Fold(lines, has_more=False, lines_of_one=lines_of_one)
