"""The two sides of a comparison: the prices that usage was rated with, and those that are tried."""

from typing import Protocol
from uuid import UUID

from invoicing.records import Connection
from invoicing.usage_rollups import UsageKey
from invoicing.usage_versions import PricedVersion, Versions, in_force, terms_of
from wallet_service.rerating.counting import Bucket, CountedUsage, PricedBy, Stretch
from wallet_service.rerating.events import Counts, UsedEvent, own_counts, tried_counts

__all__ = ["OwnPrices", "Prices", "TriedPrices"]


class Prices(Protocol):
    """What events count for, and at which terms."""

    async def counts(self, used: UsedEvent) -> Counts:
        """What an event counts for. Raises RatingError."""
        ...

    async def priced_by(self, plan_id: UUID, counted: CountedUsage) -> PricedBy:
        """The terms of usage of a subscription to this plan."""
        ...


class OwnPrices:
    """The versions that usage was rated with."""

    def __init__(self, connection: Connection, organization_id: UUID) -> None:
        self._connection = connection
        self._organization_id = organization_id
        self._versions = Versions()
        self._metrics: dict[tuple[UUID, UUID], UUID | None] = {}

    async def counts(self, used: UsedEvent) -> Counts:
        """What an event counted for; nothing if nothing could rate it."""
        return own_counts(used)

    async def metric_of(self, used: UsedEvent) -> UUID | None:
        """The metric that measured an event, None if it could not be rated."""
        charge_id = used.lines[0].charge_id if used.lines else None
        if charge_id is None or used.plan_version_id is None:
            return None
        place = used.plan_version_id, charge_id
        if place not in self._metrics:
            version = (await self._load({used.plan_version_id})).get(used.plan_version_id)
            found = version.find(charge_id) if version else None
            self._metrics[place] = found.listed.billable_metric_id if found else None
        return self._metrics[place]

    async def priced_by(self, plan_id: UUID, counted: CountedUsage) -> PricedBy:
        """Each price as the versions had it that were used in a period.

        Units that stay, in a period without usage, are priced by the version in force at its start.
        """
        names = await self._versions.names(self._connection, self._organization_id, plan_id)
        begins = {stretch.start: in_force(names, stretch.start) for stretch in counted.periods}
        loaded = await self._load(counted.versions | {name.id for name in begins.values()})
        ordered = [loaded[name.id] for name in names if name.id in loaded]

        def priced_by(key: UsageKey, used: set[UUID | None], stretch: Stretch) -> Bucket | None:
            pricing = [version for version in ordered if version.id in used]
            return _bucket(pricing or [loaded[begins[stretch.start].id]], key, stretch)

        return priced_by

    async def _load(self, ids: set[UUID]) -> dict[UUID, PricedVersion]:
        return await self._versions.load(self._connection, self._organization_id, ids)


class TriedPrices:
    """The version of a plan that is tried."""

    def __init__(self, version: PricedVersion, own: OwnPrices) -> None:
        self._version = version
        self._own = own
        # A metric may have been renamed since its events came, or made anew under the same code.
        self._codes = {
            pair.listed.billable_metric_id: pair.listed.billable_metric_code
            for pair in version.charges
        }

    async def counts(self, used: UsedEvent) -> Counts:
        """What an event would count for, by its metric, or else by its code."""
        metric_id = await self._own.metric_of(used)
        code = used.code if metric_id is None else self._codes.get(metric_id, used.code)
        return tried_counts(used, self._version.card, code)

    async def priced_by(self, plan_id: UUID, counted: CountedUsage) -> PricedBy:  # noqa: ARG002
        """Each price as the version has it, whatever the subscription's own plan says."""

        def priced_by(key: UsageKey, used: set[UUID | None], stretch: Stretch) -> Bucket | None:
            del used
            return _bucket([self._version], key, stretch)

        return priced_by

    def metric_of(self, key: UsageKey) -> UUID | None:
        """The metric that a price is for."""
        found = self._version.find(key.charge_id)
        return found.listed.billable_metric_id if found else None


def _bucket(pricing: list[PricedVersion], key: UsageKey, stretch: Stretch) -> Bucket | None:
    found = terms_of(pricing, key.charge_id, key.filter_id)
    if found is None:
        return None
    charge, terms = found
    return Bucket(key=key, charge=charge, terms=terms, stretch=stretch)
