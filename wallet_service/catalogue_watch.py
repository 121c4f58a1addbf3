"""Which versions of their catalogues a process knows organizations by, and what changed since.

A change is heard of over pub/sub; then the next request looks what it was, before it goes on, and
those that come meanwhile wait with it. Messages may be lost, so the first request after `recheck_s`
looks too; the others go on with what they have.
"""

import math
from collections.abc import Callable, Sequence
from uuid import UUID

from msgspec import Struct

from invoicing import catalogue_changes
from invoicing.catalogue_changes import Concerned
from wallet_service.batched_read import BatchedRead
from wallet_service.database import Database

__all__ = ["CatalogueWatch"]


class _Catalogue(Struct):
    version: int | None = None
    looked_at: float = -math.inf
    heard: int = 0
    """How often it was heard that there is news."""
    seen: int = -1
    """How much of that had been heard when it was looked at last."""


class CatalogueWatch:
    """Tells what is to be forgotten: all of an organization (None), or what changes concerned."""

    def __init__(
        self,
        database: Database,
        *,
        recheck_s: float,
        clock: Callable[[], float],
        forget: Callable[[UUID, Concerned | None], None],
    ) -> None:
        self._database = database
        self._recheck_s = recheck_s
        self._clock = clock
        self._forget = forget
        self._known: dict[UUID, _Catalogue] = {}
        self._looks = BatchedRead(self._look)

    def is_due(self, organization_id: UUID) -> bool:
        """Whether it is to be looked at before anything is used that is remembered of it."""
        known = self._known.get(organization_id)
        return (
            known is None
            or known.seen != known.heard
            or self._clock() - known.looked_at >= self._recheck_s
        )

    def hear(self, organization_id: UUID) -> None:
        """Something changed: whoever asks from now on waits until it is known what."""
        known = self._known.get(organization_id)
        if known is not None:
            known.heard += 1

    async def look(self, organization_id: UUID) -> None:
        """See what has changed, with all who ask at the same time, and have it forgotten."""
        known = self._known.get(organization_id)
        if known is None:
            self._known[organization_id] = _Catalogue()
        elif known.seen == known.heard:
            known.looked_at = self._clock()
        await self._looks.find(organization_id)

    async def _look(self, organization_ids: Sequence[UUID]) -> dict[UUID, int]:
        """Of many at once, so under the committer's role; every row names its organization."""
        now = self._clock()
        heard = {one: self._known[one].heard for one in organization_ids}
        versions = {one: self._known[one].version for one in organization_ids}
        async with self._database.every_tenant() as connection:
            found = await catalogue_changes.find_since(connection, versions)
        for organization_id, standing in found.items():
            known = self._known[organization_id]
            if known.version not in {None, standing.version}:
                self._forget(organization_id, standing.concerned)
            known.version = standing.version
            known.seen = heard[organization_id]
            known.looked_at = now
        return {organization_id: standing.version for organization_id, standing in found.items()}
