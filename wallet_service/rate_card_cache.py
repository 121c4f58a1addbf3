"""What a worker remembers of customers, agreements and prices, so that requests need not read them.

Plan versions and assets never change, so they are kept. A customer and its agreements are kept as
long as the organization's catalogue has the version that they were read at; a change is heard of
over pub/sub, and noticed after ``recheck_s`` at the latest, since messages may be lost.
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from datetime import datetime
from typing import Generic, TypeVar
from uuid import UUID

from msgspec import Struct

from invoicing import catalogue_versions, customers, plans, subscriptions
from invoicing.subscriptions import Agreement
from rating.rate_cards import RateCard
from wallet_service import assets
from wallet_service.database import Database
from wallet_service.decision import Asset
from wallet_service.decision.commands import Cycle, Pricing
from wallet_service.errors import NotFound

__all__ = ["CustomerCard", "PricedAgreement", "RateCardCache"]

_CUSTOMERS_MAX = 100_000
_CARDS_MAX = 1_000

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class _Bounded(OrderedDict[K, V], Generic[K, V]):
    """Keeps the entries that were used last."""

    def __init__(self, size_max: int) -> None:
        super().__init__()
        self._size_max = size_max

    def use(self, key: K) -> V | None:
        value = self.get(key)
        if value is not None:
            self.move_to_end(key)
        return value

    def keep(self, key: K, value: V) -> None:
        self[key] = value
        if len(self) > self._size_max:
            self.popitem(last=False)


class PricedAgreement(Struct, frozen=True):
    """A subscription and the prices it means now."""

    agreement: Agreement
    card: RateCard
    pricing: Pricing

    def covers(self, at: datetime) -> bool:
        """Whether usage of this time is the subscription's."""
        agreement = self.agreement
        return _to_ms(agreement.started_at) <= _to_ms(at) and (
            agreement.terminated_at is None or _to_ms(at) <= _to_ms(agreement.terminated_at)
        )


class CustomerCard(Struct, frozen=True):
    """A customer, and the agreements that price its usage."""

    organization_id: UUID
    customer_id: UUID
    external_id: str
    currency: str | None
    agreements: tuple[PricedAgreement, ...]


class _Freshness(Struct):
    version: int
    checked_at: float


class RateCardCache:
    """Looks things up once; see the module's docstring for how long that is good for."""

    def __init__(
        self, database: Database, *, recheck_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._database = database
        self._recheck_s = recheck_s
        self._clock = clock
        self._freshness: dict[UUID, _Freshness] = {}
        self._customers: _Bounded[tuple[UUID, str], CustomerCard] = _Bounded(_CUSTOMERS_MAX)
        self._subscriptions: _Bounded[tuple[UUID, str], CustomerCard] = _Bounded(_CUSTOMERS_MAX)
        self._cards: _Bounded[tuple[UUID, UUID], RateCard] = _Bounded(_CARDS_MAX)
        self._assets: _Bounded[tuple[UUID, str], Asset] = _Bounded(_CUSTOMERS_MAX)

    async def customer(
        self, organization_id: UUID, external_id: str, *, now: datetime
    ) -> CustomerCard:
        """A customer by the caller's id. Its first use starts the default plan. Raises NotFound."""
        await self._recheck(organization_id)
        known = self._customers.use((organization_id, external_id))
        if known is not None:
            return known
        async with self._database.tenant(organization_id) as connection:
            customer = await customers.find(connection, organization_id, external_id)
            if customer is None:
                raise NotFound("customer")
            agreements = await subscriptions.find_active(connection, organization_id, customer.id)
            if not agreements:
                started = await subscriptions.start_default(
                    connection, organization_id, customer, now=now
                )
                agreements = [] if started is None else [started]
        card = CustomerCard(
            organization_id,
            customer.id,
            external_id,
            customer.currency,
            tuple([await self._priced(organization_id, one) for one in agreements]),
        )
        self._customers.keep((organization_id, external_id), card)
        return card

    async def subscriber(
        self, organization_id: UUID, external_subscription_id: str, *, at: datetime
    ) -> CustomerCard | None:
        """The customer behind a subscription at a time, with just that agreement.

        None where there is none.
        """
        await self._recheck(organization_id)
        key = organization_id, external_subscription_id
        known = self._subscriptions.use(key)
        if known is not None and known.agreements[0].covers(at):
            return known
        async with self._database.tenant(organization_id) as connection:
            agreement = await subscriptions.find_at(
                connection, organization_id, external_subscription_id, timestamp=at
            )
            if agreement is None:
                return None
            row = await connection.fetchrow(
                "select external_id, currency from invoicing.customers "
                "where organization_id = $1 and id = $2",
                organization_id,
                agreement.customer_id,
            )
        assert row is not None, "a subscription has a customer"
        card = CustomerCard(
            organization_id,
            agreement.customer_id,
            row["external_id"],
            row["currency"],
            (await self._priced(organization_id, agreement),),
        )
        self._subscriptions.keep(key, card)
        return card

    async def card(self, organization_id: UUID, plan_version_id: UUID) -> RateCard:
        """The compiled prices of a plan version. Raises invoicing's NotFound."""
        known = self._cards.use((organization_id, plan_version_id))
        if known is None:
            async with self._database.tenant(organization_id) as connection:
                known = await plans.load_rate_card(connection, organization_id, plan_version_id)
            self._cards.keep((organization_id, plan_version_id), known)
        return known

    async def asset(self, organization_id: UUID, code: str, *, now: datetime) -> Asset:
        """An asset by its code. Raises NotFound."""
        known = self._assets.use((organization_id, code))
        if known is None:
            async with self._database.tenant(organization_id) as connection:
                row = await assets.find(connection, organization_id, code, now=now)
            known = row.asset()
            self._assets.keep((organization_id, code), known)
        return known

    def forget(self, organization_id: UUID) -> None:
        """Something in an organization's catalogue changed: look again from now on."""
        self._freshness.pop(organization_id, None)
        for cache in (self._customers, self._subscriptions):
            for key in [key for key in cache if key[0] == organization_id]:
                del cache[key]

    async def _recheck(self, organization_id: UUID) -> None:
        fresh = self._freshness.get(organization_id)
        now = self._clock()
        if fresh is not None and now - fresh.checked_at < self._recheck_s:
            return
        if fresh is not None:
            fresh.checked_at = now  # others go on with what they have while this one looks
        async with self._database.tenant(organization_id) as connection:
            version = await catalogue_versions.current(connection, organization_id)
        if fresh is not None and fresh.version != version:
            self.forget(organization_id)
        self._freshness[organization_id] = _Freshness(version, now)

    async def _priced(self, organization_id: UUID, agreement: Agreement) -> PricedAgreement:
        return PricedAgreement(
            agreement,
            await self.card(organization_id, agreement.plan_version_id),
            Pricing(
                agreement.id,
                agreement.external_id,
                agreement.plan_version_id,
                Cycle(agreement.interval, agreement.billing_time, agreement.subscription_at),
            ),
        )


def _to_ms(at: datetime) -> int:
    """Lago compares an event's time with a subscription's by the millisecond."""
    return int(at.timestamp() * 1000)
