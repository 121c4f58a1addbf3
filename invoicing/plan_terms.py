"""What a plan asks for beside its usage, and what of it is in force in a period.

The amount, the trial and the commitment are the plan's, and change at once. Fixed charges and the
minimums of charges are of its versions. How many units of a fixed charge were agreed is noted apart
from them, since a change of them may bill the running period or only those that follow.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, ClassVar, Final
from uuid import UUID

from msgspec import Struct, structs

from invoicing.charges import PlanCharge
from invoicing.errors import NotFound
from invoicing.fixed_charges import PlanFixedCharge
from invoicing.plan_versions import AgreedUnits
from invoicing.records import Connection, Record, load_queries
from rating.exact import ZERO
from rating.fixed_charges import UnitsChange

__all__ = ["EVER", "ChargeMinimum", "PlanTerms", "TermsVersion", "load_terms"]

EVER: Final = datetime(1970, 1, 1, tzinfo=UTC)
"""Before all versions."""

_queries: Final = load_queries(__file__)


class ChargeMinimum(Struct, frozen=True, kw_only=True):
    """What a charge costs at least in a whole period."""

    charge_id: UUID
    billable_metric_id: UUID
    billable_metric_code: str
    asset_code: str
    amount: Decimal

    @classmethod
    def of(cls, charge: PlanCharge) -> "ChargeMinimum":
        """That of a charge, as it is rated."""
        rated = charge.for_rating()
        return cls(
            charge_id=rated.id,
            billable_metric_id=charge.billable_metric_id,
            billable_metric_code=charge.billable_metric_code,
            asset_code=rated.asset_code,
            amount=rated.min_amount,
        )


class TermsVersion(Struct, frozen=True, kw_only=True):
    """What is asked for in one version of a plan."""

    id: UUID
    effective_at: datetime
    fixed_charges: list[PlanFixedCharge]
    minimums: list[ChargeMinimum]


class _VersionRow(Record, frozen=True, kw_only=True):
    json_columns: ClassVar[tuple[str, ...]] = ("fixed_charges", "charges_with_minimum")

    id: UUID
    effective_at: datetime
    fixed_charges: list[PlanFixedCharge]
    charges_with_minimum: list[PlanCharge]

    def version(self) -> TermsVersion:
        return TermsVersion(
            id=self.id,
            effective_at=self.effective_at,
            fixed_charges=self.fixed_charges,
            minimums=[ChargeMinimum.of(charge) for charge in self.charges_with_minimum],
        )


class _PlanRow(Record, frozen=True, kw_only=True):
    json_columns: ClassVar[tuple[str, ...]] = ("commitment_tax_codes",)

    id: UUID
    code: str
    interval: str
    amount_cents: int
    amount_currency: str
    trial_period: Decimal | None
    commitment_cents: int | None
    commitment_tax_codes: list[str]
    began: datetime


class PlanTerms(Struct, frozen=True, kw_only=True):
    """All of it, of one plan."""

    code: str
    currency: str
    amount_cents: int = 0
    """Of a whole period."""
    commitment_cents: int = 0
    """What a whole period costs at least."""
    commitment_tax_codes: tuple[str, ...] = ()
    trial_days: Decimal = ZERO
    versions: tuple[TermsVersion, ...]
    """In the order in which they take effect; at least one. The first is in force since ever."""
    began: datetime
    """When the plan's first version took effect, which need not be among these."""
    units: dict[UUID, list[AgreedUnits]] = {}
    """By fixed charge, in the order in which they were to take effect."""

    def only(self, version_id: UUID) -> "PlanTerms":
        """The plan as if there had never been another version of it: to try it."""
        version = next(one for one in self.versions if one.id == version_id)
        began = self.began
        return structs.replace(
            self,
            versions=(structs.replace(version, effective_at=began),),
            units={
                charge.id: [
                    AgreedUnits(units=charge.units, effective_at=began, applies_immediately=True)
                ]
                for charge in version.fixed_charges
            },
        )

    def minimums_in(self, start: datetime, end: datetime) -> list[ChargeMinimum]:
        """The minimums of a period: those at its end, when they fall due."""
        return self._in_force(start, end)[-1].minimums

    def fixed_in(self, start: datetime, end: datetime) -> list[PlanFixedCharge]:
        """The fixed charges of a period.

        What is paid in advance is asked for as soon as it is there, at its price of that time; what
        is paid in arrears at the period's end, if it is there then.
        """
        versions = self._in_force(start, end)
        found: dict[UUID, PlanFixedCharge] = {}
        for version in versions:
            for charge in version.fixed_charges:
                if charge.pay_in_advance or version is versions[-1]:
                    found.setdefault(charge.id, charge)
        return list(found.values())

    def changes_of(
        self,
        fixed_charge_id: UUID,
        started_at: datetime,
        next_period: Callable[[datetime], datetime],
    ) -> list[UnitsChange]:
        """The units of a fixed charge of a subscription that started then, over time.

        `next_period` tells for a time when the period begins that what is agreed then counts
        from: new units that are not applied at once wait for it. What was agreed before the start,
        or with the plan itself, is there from the start.
        """
        began = self.began
        from_start: list[UnitsChange] = []
        later: list[UnitsChange] = []
        for agreed in self.units.get(fixed_charge_id, ()):
            if agreed.effective_at <= max(began, started_at):
                from_start = [UnitsChange(started_at, agreed.units)]
            elif agreed.applies_immediately:
                later.append(UnitsChange(agreed.effective_at, agreed.units))
            else:
                later.append(UnitsChange(next_period(agreed.effective_at), agreed.units))
        return from_start + later

    def _in_force(self, start: datetime, end: datetime) -> Sequence[TermsVersion]:
        """The versions of a stretch of time; the first there is where it lies before all."""
        first = 0
        for position, version in enumerate(self.versions):
            if version.effective_at <= start:
                first = position
        within = [one for one in self.versions[first + 1 :] if one.effective_at < end]
        return [self.versions[first], *within]


async def load_terms(
    connection: Connection,
    organization_id: UUID,
    plan_id: UUID,
    *,
    since: datetime = EVER,
    with_minimums: bool = True,
) -> PlanTerms:
    """Read what a plan asks for, and has asked for; raises NotFound.

    `since`: of the versions, those that are in force then or later, for periods that begin there.
    """
    place = {"organization_id": organization_id, "plan_id": plan_id}
    row: Any = await _queries.find_plan(connection, **place)
    if row is None:
        raise NotFound("plan")
    plan = _PlanRow.of(row)
    rows = _queries.list_versions(connection, **place, since=since, with_minimums=with_minimums)
    versions = [_VersionRow.of(one).version() async for one in rows]
    units: dict[UUID, list[AgreedUnits]] = {}
    async for one in _queries.list_units(connection, **place):
        agreed = AgreedUnits(
            units=one["units"],
            effective_at=one["effective_at"],
            applies_immediately=one["applies_immediately"],
        )
        units.setdefault(one["fixed_charge_id"], []).append(agreed)
    return PlanTerms(
        code=plan.code,
        currency=plan.amount_currency,
        amount_cents=plan.amount_cents,
        commitment_cents=plan.commitment_cents or 0,
        commitment_tax_codes=tuple(plan.commitment_tax_codes),
        trial_days=plan.trial_period or ZERO,
        versions=_last_of_each_time(versions),
        began=plan.began,
        units=units,
    )


def _last_of_each_time(versions: Iterable[TermsVersion]) -> tuple[TermsVersion, ...]:
    """Without those that another replaced before they took effect."""
    return tuple({version.effective_at: version for version in versions}.values())
