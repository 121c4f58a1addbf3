"""The price versions that usage was rated with, kept at hand: a version never changes."""

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Final
from uuid import UUID

import msgspec
from msgspec import Struct

from invoicing.charges import PlanCharge
from invoicing.records import Connection, Record, load_queries
from rating.charges import Charge
from rating.rate_cards import RateCard
from rating.terms import Price, Terms

__all__ = ["PricedCharge", "PricedVersion", "VersionName", "Versions", "in_force", "terms_of"]

_queries: Final = load_queries(__file__)
_read_charges: Final = msgspec.json.Decoder(list[PlanCharge], float_hook=Decimal).decode

_KEPT_MAX: Final = 200
_FILTERS_KEPT_MAX: Final = 50_000
"""A price list of models has thousands of filters, and a version every few days."""


class VersionName(Record, frozen=True, kw_only=True):
    """A version of a plan, and from when on it is in force."""

    id: UUID
    effective_at: datetime


class PricedCharge(Struct, frozen=True):
    """A charge, or one of its alternatives, as it is rated and as the plan has it."""

    rated: Charge
    listed: PlanCharge


class PricedVersion:
    """The prices of one version."""

    def __init__(self, version_id: UUID, charges: Sequence[PlanCharge]) -> None:
        pairs = [PricedCharge(charge.for_rating(), charge) for charge in charges]
        self.id = version_id
        self.charges = pairs
        self.card = RateCard.compile(version_id, (pair.rated for pair in pairs))
        self.filters = sum(len(pair.listed.filters) for pair in pairs)
        self._by_id = {
            rated.id: PricedCharge(rated, pair.listed)
            for pair in pairs
            for rated in (pair.rated, *pair.rated.alternatives)
        }

    def find(self, charge_id: UUID) -> PricedCharge | None:
        """The charge with this id, or the alternative and the charge that it is one of."""
        return self._by_id.get(charge_id)


class Versions:
    """Loads versions, and keeps those that were used last."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[UUID, UUID], PricedVersion] = OrderedDict()

    async def names(
        self, connection: Connection, organization_id: UUID, plan_id: UUID
    ) -> list[VersionName]:
        """A plan's versions, in the order in which they take effect."""
        rows = _queries.list_versions(connection, organization_id=organization_id, plan_id=plan_id)
        return [VersionName.of(row) async for row in rows]

    async def load(
        self, connection: Connection, organization_id: UUID, version_ids: Iterable[UUID]
    ) -> dict[UUID, PricedVersion]:
        """Those of the versions that there are."""
        wanted = list(dict.fromkeys(version_ids))
        missing = [one for one in wanted if (organization_id, one) not in self._kept]
        found: dict[UUID, PricedVersion] = {}
        if missing:
            rows = _queries.find_charges(connection, organization_id=organization_id, ids=missing)
            async for row in rows:
                found[row["id"]] = PricedVersion(row["id"], _read_charges(row["charges"]))
        for version_id in wanted:
            key = organization_id, version_id
            if version_id in found:
                self._kept[key] = found[version_id]
            elif key in self._kept:
                self._kept.move_to_end(key)
                found[version_id] = self._kept[key]
        self._forget_oldest()
        return found

    def _forget_oldest(self) -> None:
        filters = sum(version.filters for version in self._kept.values())
        while len(self._kept) > _KEPT_MAX or (filters > _FILTERS_KEPT_MAX and len(self._kept) > 1):
            _, forgotten = self._kept.popitem(last=False)
            filters -= forgotten.filters


def in_force(names: Sequence[VersionName], at: datetime) -> VersionName:
    """The version in force at a time, or the first there is."""
    begun = [name for name in names if name.effective_at <= at]
    return begun[-1] if begun else names[0]


def terms_of(
    pricing: Sequence[PricedVersion], charge_id: UUID, filter_id: UUID | None
) -> tuple[PricedCharge, Terms] | None:
    """A price's terms over the versions that its usage was rated with, the oldest first.

    Those of the newest version that has the charge; None if none has the price.
    """
    prices = [
        Price(version.id, found.model)
        for version in pricing
        if (found := version.card.bucket(charge_id, filter_id))
    ]
    charge = next((found for one in reversed(pricing) if (found := one.find(charge_id))), None)
    return None if charge is None or not prices else (charge, Terms.of(charge.rated, prices))
