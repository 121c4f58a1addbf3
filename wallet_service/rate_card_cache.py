"""What a worker remembers of customers, agreements and prices, so that requests need not read them.

Plan versions and assets never change, so they are kept. A customer and its agreements are kept
until a change of the organization's catalogue concerns them: a change of one subscription those of
its customer alone, any other those of everybody (`catalogue_watch.py`).
"""

import asyncio
import time
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

from msgspec import Struct

from invoicing import customers, plan_versions, subscribers
from invoicing.access import Access
from invoicing.catalogue_changes import Concerned
from invoicing.plan_versions import PlanVersion
from invoicing.subscribers import Agreement, Subscriber
from rating.rate_cards import RateCard
from wallet_service import assets, budgets
from wallet_service.access_cache import AccessCache
from wallet_service.batched_read import BatchedRead
from wallet_service.budget_scopes import BudgetScopes
from wallet_service.catalogue_watch import CatalogueWatch
from wallet_service.database import Database
from wallet_service.decision import Asset
from wallet_service.decision.commands import Cycle, Pricing
from wallet_service.errors import NotFound
from wallet_service.kept_entries import KeptEntries

__all__ = ["CustomerCard", "PricedAgreement", "RateCardCache"]

_CUSTOMERS_MAX = 100_000
_CARDS_MAX = 1_000
_MEETING_MAX = 100
"""So many are looked up together; whoever has no subscription starts one, in a transaction."""


class PricedAgreement(Struct, frozen=True):
    """A subscription and the prices that are in force in a stretch of time."""

    organization_id: UUID
    agreement: Agreement
    card: RateCard
    pricing: Pricing
    since: datetime | None = None
    """None: these prices are the first that the plan has had."""
    until: datetime | None = None
    access: Access | None = None

    def is_priced_at(self, at: datetime) -> bool:
        """Whether these prices are in force at a time; a whole second stands for all of it."""
        if self.since is None and self.until is None:
            return True
        last = _end_of_second(at)
        return (self.since is None or self.since <= last) and (
            self.until is None or last < self.until
        )

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
    agreements: tuple[PricedAgreement, ...]

    def is_priced_at(self, at: datetime) -> bool:
        """Whether the prices of all agreements are in force at a time."""
        for agreement in self.agreements:  # noqa: SIM110 -- of every request: no generator
            if not agreement.is_priced_at(at):
                return False
        return True


class RateCardCache:
    """Looks things up once; see the module's docstring for how long that is good for."""

    def __init__(
        self, database: Database, *, recheck_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._database = database
        self._watch = CatalogueWatch(
            database, recheck_s=recheck_s, clock=clock, forget=self._forget
        )
        self._accesses = AccessCache(database)
        self._epochs: dict[UUID, int] = {}
        """How often all of an organization was forgotten. What is of an earlier epoch is not used
        any more; what is being read while that happens is used once, but never again."""
        self._subscribers = BatchedRead(self._read_subscribers)
        self._subscribers_at = BatchedRead(self._read_subscribers_at)
        self._customers: KeptEntries[tuple[UUID, str], CustomerCard] = KeptEntries(_CUSTOMERS_MAX)
        self._subscriptions: KeptEntries[tuple[UUID, str], CustomerCard] = KeptEntries(
            _CUSTOMERS_MAX
        )
        self._versions: KeptEntries[tuple[UUID, UUID], tuple[PlanVersion, ...]] = KeptEntries(
            _CARDS_MAX
        )
        self._cards: KeptEntries[tuple[UUID, UUID], RateCard] = KeptEntries(_CARDS_MAX)
        self._assets: KeptEntries[tuple[UUID, str], Asset] = KeptEntries(_CUSTOMERS_MAX)
        self._budgets: KeptEntries[UUID, BudgetScopes] = KeptEntries(_CARDS_MAX)

    async def customer(
        self, organization_id: UUID, external_id: str, *, now: datetime
    ) -> CustomerCard:
        """A customer by the caller's id. Its first use starts the default plan. Raises NotFound."""
        if self._watch.is_due(organization_id):
            await self._watch.look(organization_id)
        key = organization_id, external_id
        epoch = self._epochs.get(organization_id, 0)
        known = self._customers.use(key, epoch)
        if known is not None and known.is_priced_at(now):
            return known
        with self._customers.reading(key, epoch) as keep:
            subscriber = await self._subscribers.find(key)
            if subscriber is None:
                raise NotFound("customer")
            agreements = subscriber.agreements or await self._start_default(
                organization_id, external_id, now=now
            )
            card = CustomerCard(
                organization_id,
                subscriber.customer_id,
                external_id,
                tuple([await self._priced(organization_id, one, at=now) for one in agreements]),
            )
            keep(card)
        return card

    async def subscriber(
        self, organization_id: UUID, external_subscription_id: str, *, at: datetime
    ) -> CustomerCard | None:
        """The customer behind a subscription at a time, with just that agreement.

        None where there is none.
        """
        if self._watch.is_due(organization_id):
            await self._watch.look(organization_id)
        key = organization_id, external_subscription_id
        epoch = self._epochs.get(organization_id, 0)
        known = self._subscriptions.use(key, epoch)
        if known is not None and known.agreements[0].covers(at):
            return known
        with self._subscriptions.reading(key, epoch) as keep:
            subscriber = await self._subscribers_at.find((*key, at))
            if subscriber is None:
                return None
            (agreement,) = subscriber.agreements
            card = CustomerCard(
                organization_id,
                subscriber.customer_id,
                subscriber.external_id,
                (await self._priced(organization_id, agreement, at=at),),
            )
            keep(card)
        return card

    async def meet(
        self,
        organization_id: UUID,
        *,
        subscriptions: Iterable[str] = (),
        customers: Iterable[str] = (),
        now: datetime,
    ) -> None:
        """Look up together who will be asked for one after the other, by the callers' ids."""
        epoch = self._epochs.get(organization_id, 0)
        for known, find, external_ids in (
            (self._subscriptions, partial(self.subscriber, at=now), subscriptions),
            (self._customers, partial(self.customer, now=now), customers),
        ):
            strangers = [
                external_id
                for external_id in dict.fromkeys(external_ids)
                if known.use((organization_id, external_id), epoch) is None
            ]
            if len(strangers) < 2:  # noqa: PLR2004 (one alone is found when it is asked for)
                continue
            # The first one brings the prices along, which the others then find.
            for start in (0, *range(1, len(strangers), _MEETING_MAX)):
                chunk = strangers[start : start + _MEETING_MAX] if start else strangers[:1]
                found = await asyncio.gather(
                    *[find(organization_id, one) for one in chunk], return_exceptions=True
                )
                for one in found:
                    if isinstance(one, BaseException) and not isinstance(one, NotFound):
                        raise one

    async def at(self, agreement: PricedAgreement, at: datetime) -> PricedAgreement:
        """The same agreement with the prices that were in force when something was used."""
        if agreement.is_priced_at(at):
            return agreement
        return await self._priced(agreement.organization_id, agreement.agreement, at=at)

    async def card(self, organization_id: UUID, plan_version_id: UUID) -> RateCard:
        """The compiled prices of a plan version. Raises invoicing's NotFound."""
        known = self._cards.use((organization_id, plan_version_id))
        if known is None:
            with self._cards.reading((organization_id, plan_version_id)) as keep:
                async with self._database.tenant(organization_id) as connection:
                    known = await plan_versions.load_rate_card(
                        connection, organization_id, plan_version_id
                    )
                keep(known)
        return known

    async def asset(self, organization_id: UUID, code: str, *, now: datetime) -> Asset:
        """An asset by its code. Raises NotFound."""
        known = self._assets.use((organization_id, code))
        if known is None:
            with self._assets.reading((organization_id, code)) as keep:
                async with self._database.tenant(organization_id) as connection:
                    row = await assets.find(connection, organization_id, code, now=now)
                known = row.asset()
                keep(known)
        return known

    async def access(self, organization_id: UUID, subscription_id: UUID | None) -> Access | None:
        """What a subscription may use, or who has none; None if there are no features at all."""
        if self._watch.is_due(organization_id):
            await self._watch.look(organization_id)
        return await self._accesses.find(organization_id, subscription_id)

    async def budgets(self, organization_id: UUID) -> BudgetScopes:
        """What usage of an organization may be counted in."""
        if self._watch.is_due(organization_id):
            await self._watch.look(organization_id)
        epoch = self._epochs.get(organization_id, 0)
        known = self._budgets.use(organization_id, epoch)
        if known is None:
            with self._budgets.reading(organization_id, epoch) as keep:
                async with self._database.tenant(organization_id) as connection:
                    known = await budgets.load_scopes(connection, organization_id)
                keep(known)
        return known

    def look_again(self, organization_id: UUID) -> None:
        """Something in an organization's catalogue changed: see what, before the next answer."""
        self._watch.hear(organization_id)

    def _forget(self, organization_id: UUID, concerned: Concerned | None) -> None:
        """What changes concerned, or all of an organization (None), is looked up again."""
        if concerned is None:
            self._epochs[organization_id] = self._epochs.get(organization_id, 0) + 1
            self._accesses.forget(organization_id)
            return
        for one in concerned.external_customer_ids:
            self._customers.forget((organization_id, one))
        for one in concerned.external_subscription_ids:
            self._subscriptions.forget((organization_id, one))
        for one in concerned.plan_ids:
            self._versions.forget((organization_id, one))
        self._accesses.forget_subscriptions(organization_id, concerned.subscription_ids)

    async def _priced(
        self, organization_id: UUID, agreement: Agreement, *, at: datetime
    ) -> PricedAgreement:
        versions = await self._plan_versions(organization_id, agreement.plan_id)
        position = max(
            bisect_right(versions, _end_of_second(at), key=lambda one: one.effective_at) - 1, 0
        )
        version = versions[position]
        return PricedAgreement(
            organization_id,
            agreement,
            await self.card(organization_id, version.id),
            Pricing(
                agreement.id,
                agreement.external_id,
                version.id,
                Cycle(
                    agreement.interval,
                    agreement.billing_time,
                    agreement.subscription_at,
                    agreement.timezone,
                ),
            ),
            version.effective_at if position else None,
            versions[position + 1].effective_at if position + 1 < len(versions) else None,
            await self._accesses.find(organization_id, agreement.id),
        )

    async def _plan_versions(self, organization_id: UUID, plan_id: UUID) -> tuple[PlanVersion, ...]:
        """The versions of a plan, in the order in which they take effect."""
        epoch = self._epochs.get(organization_id, 0)
        known = self._versions.use((organization_id, plan_id), epoch)
        if known is None:
            with self._versions.reading((organization_id, plan_id), epoch) as keep:
                async with self._database.tenant(organization_id) as connection:
                    found = await plan_versions.in_order(connection, organization_id, plan_id)
                known = tuple(found)
                keep(known)
        return known

    async def _read_subscribers(
        self, keys: Sequence[tuple[UUID, str]]
    ) -> dict[tuple[UUID, str], Subscriber]:
        """Of many organizations at once, so under the committer's role; every key names its own."""
        async with self._database.every_tenant() as connection:
            return await subscribers.find_subscribers(connection, keys)

    async def _read_subscribers_at(
        self, keys: Sequence[tuple[UUID, str, datetime]]
    ) -> dict[tuple[UUID, str, datetime], Subscriber]:
        async with self._database.every_tenant() as connection:
            return await subscribers.find_at_times(connection, keys)

    async def _start_default(
        self, organization_id: UUID, external_id: str, *, now: datetime
    ) -> list[Agreement]:
        """Put a customer without a subscription on the default plan; none if there is none."""
        async with self._database.tenant(organization_id) as connection:
            customer = await customers.get(connection, organization_id, external_id)
            started = await subscribers.start_default(
                connection, organization_id, customer, now=now
            )
        return [] if started is None else [started]


def _end_of_second(at: datetime) -> datetime:
    """Clients cut fractions off: a whole second is all of that second."""
    return at if at.microsecond else at + timedelta(milliseconds=999)


def _to_ms(at: datetime) -> int:
    """Lago compares an event's time with a subscription's by the millisecond."""
    return int(at.timestamp() * 1000)
