"""What a worker remembers of entitlements; good until a change concerns them.

An organization without features costs one query a change of its catalogue, and none a request.
"""

from collections.abc import Iterable
from typing import Final
from uuid import UUID

from msgspec import Struct, field

from invoicing import features, subscription_entitlements
from invoicing.access import Access
from invoicing.features import Feature
from wallet_service.database import Database
from wallet_service.kept_entries import KeptEntries

__all__ = ["AccessCache"]

_SUBSCRIPTIONS_MAX: Final = 20_000


class _Organization(Struct):
    features: tuple[Feature, ...] | None = None
    accesses: KeptEntries[UUID | None, Access] = field(
        default_factory=lambda: KeptEntries[UUID | None, Access](_SUBSCRIPTIONS_MAX)
    )


class AccessCache:
    """What subscriptions may use, looked up once."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._organizations: dict[UUID, _Organization] = {}

    async def find(self, organization_id: UUID, subscription_id: UUID | None) -> Access | None:
        """What a subscription may use; None if the organization has no features.

        Without a subscription: what one may use who has none.
        """
        # What is read while the catalogue changes lands in what was forgotten, so it is not kept.
        known = self._organizations.setdefault(organization_id, _Organization())
        if known.features is None:
            async with self._database.tenant(organization_id) as connection:
                known.features = await features.find_every(connection, organization_id)
        if not known.features:
            return None
        access = known.accesses.use(subscription_id)
        if access is None:
            with known.accesses.reading(subscription_id) as keep:
                async with self._database.tenant(organization_id) as connection:
                    access = await subscription_entitlements.load_access(
                        connection, organization_id, subscription_id, known.features
                    )
                keep(access)
        return access

    def forget_subscriptions(self, organization_id: UUID, ids: Iterable[UUID]) -> None:
        """Something changed that concerns these subscriptions alone."""
        known = self._organizations.get(organization_id)
        if known is not None:
            for one in ids:
                known.accesses.forget(one)

    def forget(self, organization_id: UUID) -> None:
        """Something in an organization's catalogue changed: look again from now on."""
        self._organizations.pop(organization_id, None)
