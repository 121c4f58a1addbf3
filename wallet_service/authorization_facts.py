"""What never changes of an authorization, remembered: a capture needs no look at its row."""

from collections import OrderedDict
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from msgspec import Struct

from invoicing.records import load_queries
from wallet_service.batched_read import BatchedRead
from wallet_service.budget_scopes import Spender
from wallet_service.database import Database
from wallet_service.decision import Asset
from wallet_service.decision.commands import Cycle, Pricing
from wallet_service.errors import NotFound
from wallet_service.rate_card_cache import RateCardCache

__all__ = ["AuthorizationFacts", "Facts", "spender_of"]

_FACTS_MAX: Final = 50_000

_queries: Final[Any] = load_queries(__file__)


class Facts(Struct, frozen=True):
    """What never changes of an authorization."""

    id: UUID
    customer_id: UUID
    asset: Asset
    pricing: Pricing | None
    api_key_id: UUID | None

    @property
    def spender(self) -> Spender:
        """On whose behalf, and through which key, it was asked for."""
        return spender_of(self.customer_id, self.pricing, self.api_key_id)


def spender_of(customer_id: UUID, pricing: Pricing | None, api_key_id: UUID | None) -> Spender:
    """Who spends. An amount that is priced already belongs to no subscription."""
    return Spender(customer_id, pricing.external_subscription_id if pricing else None, api_key_id)


class AuthorizationFacts:
    """Finds the facts of authorizations, each of them once."""

    def __init__(self, *, database: Database, rates: RateCardCache) -> None:
        self._database = database
        self._rates = rates
        self._known: OrderedDict[tuple[UUID, UUID], Facts] = OrderedDict()
        self._reader = BatchedRead(self._read)

    async def find(self, organization_id: UUID, authorization_id: UUID, *, now: datetime) -> Facts:
        """Those of one authorization. Raises NotFound."""
        key = organization_id, authorization_id
        known = self._known.get(key)
        if known is not None:
            return known
        row = await self._reader.find(key)
        if row is None:
            raise NotFound("authorization")
        facts = Facts(
            row["id"],
            row["customer_id"],
            await self._rates.asset(organization_id, row["asset_code"], now=now),
            None
            if row["subscription_id"] is None
            else Pricing(
                row["subscription_id"],
                row["external_subscription_id"],
                row["plan_version_id"],
                Cycle(
                    row["interval"],
                    row["billing_time"],
                    row["subscription_at"],
                    row["timezone"],
                ),
            ),
            row["api_key_id"],
        )
        self.keep(organization_id, facts)
        return facts

    def keep(self, organization_id: UUID, facts: Facts) -> None:
        """Remember what is known without a look."""
        self._known[organization_id, facts.id] = facts
        if len(self._known) > _FACTS_MAX:
            self._known.popitem(last=False)

    async def _read(self, keys: Sequence[tuple[UUID, UUID]]) -> dict[tuple[UUID, UUID], Any]:
        """Of many organizations at once, so under the committer's role; every key names its own."""
        rows = await self._database.committer.fetch(
            _queries.find_facts.sql, [key[0] for key in keys], [key[1] for key in keys]
        )
        return {(row["organization_id"], row["id"]): row for row in rows}
