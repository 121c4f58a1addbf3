"""Plans: what a subscription costs, and the prices of its usage.

The prices are versioned. A version is never changed: a change of the charges, or of a metric they
measure, publishes a new one, which prices new usage from then on. A hold is settled by the version
that it was made with.
"""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, ClassVar, Final
from uuid import UUID

import msgspec
from msgspec import UNSET, Struct, UnsetType, field, structs

from invoicing import catalogue_versions, charges
from invoicing.charges import ChargeChanges, PlanCharge, PricedMetric
from invoicing.currencies import CURRENCIES
from invoicing.errors import Invalid, NotFound
from invoicing.pages import Page, Window
from invoicing.records import Connection, Record, apply, load_queries, to_json
from ledger.ids import new_uuid
from rating.rate_cards import RateCard

_queries: Final = load_queries(__file__)
_read_charges: Final = msgspec.json.Decoder(list[PlanCharge], float_hook=Decimal).decode

INTERVALS_A_YEAR: Final = {
    "weekly": 52,
    "monthly": 12,
    "quarterly": 4,
    "semiannual": 2,
    "yearly": 1,
}
_AMOUNT_CENTS_MAX: Final = 2**63 - 1
_TRIAL_DAYS_MAX: Final = 3650


class Plan(Record, frozen=True, kw_only=True):
    """A plan with its current version."""

    json_columns: ClassVar[tuple[str, ...]] = ("tax_codes", "metadata", "charges")

    organization_id: UUID
    id: UUID
    code: str = ""
    name: str = ""
    invoice_display_name: str | None = None
    description: str | None = None
    interval: str = ""
    amount_cents: int = -1
    amount_currency: str = ""
    trial_period: Decimal | None = None
    pay_in_advance: bool = False
    bill_charges_monthly: bool | None = None
    bill_fixed_charges_monthly: bool | None = None
    is_default: bool = False
    tax_codes: list[str] = field(default_factory=list[str])
    metadata: dict[str, str | None] = field(default_factory=dict[str, str | None])
    current_version_id: UUID
    charges: list[PlanCharge] = field(default_factory=list[PlanCharge])
    version: int = 0
    active_subscriptions_count: int = 0
    created_at: datetime
    updated_at: datetime


class DefaultPlan(Record, frozen=True, kw_only=True):
    """The plan of customers who have agreed to none."""

    id: UUID
    code: str
    current_version_id: UUID


class Version(Record, frozen=True, kw_only=True):
    """Which prices a plan has from a time on."""

    id: UUID
    version: int
    effective_at: datetime


class PlanChanges(Struct, kw_only=True):
    """What to set: UNSET leaves a field as it is, None clears it."""

    code: str | UnsetType = UNSET
    name: str | UnsetType = UNSET
    invoice_display_name: str | UnsetType | None = UNSET
    description: str | UnsetType | None = UNSET
    interval: str | UnsetType = UNSET
    amount_cents: int | UnsetType = UNSET
    amount_currency: str | UnsetType = UNSET
    trial_period: Decimal | UnsetType | None = UNSET
    pay_in_advance: bool | UnsetType = UNSET
    bill_charges_monthly: bool | UnsetType | None = UNSET
    bill_fixed_charges_monthly: bool | UnsetType | None = UNSET
    is_default: bool | UnsetType = UNSET
    metadata: dict[str, str | None] | UnsetType = UNSET


async def create(
    connection: Connection,
    organization_id: UUID,
    changes: PlanChanges,
    wanted: Sequence[ChargeChanges] = (),
    *,
    now: datetime,
) -> Plan:
    """Add a plan and its first version; raises Invalid."""
    await catalogue_versions.bump(connection, organization_id)
    version_id = new_uuid(now)
    blank = Plan(
        organization_id=organization_id,
        id=new_uuid(now),
        current_version_id=version_id,
        created_at=now,
        updated_at=now,
    )
    plan = apply(changes, blank)
    merged = await _merge(connection, plan, wanted, also=_problems(plan), now=now)
    await _end_other_defaults(connection, plan, now=now)
    if await _queries.insert_plan(connection, **plan.columns()) is None:
        raise Invalid.field("code", "value_already_exist")
    await _insert_version(connection, plan, version_id, merged, now=now)
    return await get(connection, organization_id, plan.code)


async def update(
    connection: Connection,
    organization_id: UUID,
    code: str,
    changes: PlanChanges,
    wanted: Sequence[ChargeChanges] | UnsetType = UNSET,
    *,
    now: datetime,
) -> Plan:
    """Change a plan; other charges than before become a new version. Raises NotFound or Invalid."""
    await catalogue_versions.bump(connection, organization_id)
    before = await _lock(connection, organization_id, code)
    plan = structs.replace(apply(changes, before), updated_at=now)
    problems = _problems(plan)
    if plan.code != code and await find(connection, organization_id, plan.code):
        problems["code"] = ["value_already_exist"]
    if isinstance(wanted, UnsetType):
        if problems:
            raise Invalid(problems)
    else:
        merged = await _merge(connection, plan, wanted, also=problems, now=now)
        plan = await _publish(connection, plan, merged, now=now)
    await _end_other_defaults(connection, plan, now=now)
    await _queries.update_plan(connection, **plan.columns())
    return await get(connection, organization_id, plan.code)


async def delete(
    connection: Connection, organization_id: UUID, code: str, *, now: datetime
) -> Plan:
    """Withdraw a plan: its subscriptions end, its versions stay. Raises NotFound."""
    await catalogue_versions.bump(connection, organization_id)
    plan = await _lock(connection, organization_id, code)
    await _queries.delete_plan(connection, organization_id=organization_id, id=plan.id, now=now)
    await _queries.end_subscriptions_to_plan(
        connection, organization_id=organization_id, plan_id=plan.id, now=now
    )
    return plan


async def find(connection: Connection, organization_id: UUID, code: str) -> Plan | None:
    """The plan with this code, unless deleted."""
    row = await _queries.find_plan(connection, organization_id=organization_id, code=code)
    return None if row is None else Plan.of(row)


async def get(connection: Connection, organization_id: UUID, code: str) -> Plan:
    """As `find`, or raise NotFound."""
    plan = await find(connection, organization_id, code)
    if plan is None:
        raise NotFound("plan")
    return plan


async def find_default(connection: Connection, organization_id: UUID) -> DefaultPlan | None:
    """The plan of customers who have agreed to none, if there is one."""
    row = await _queries.find_default_plan(connection, organization_id=organization_id)
    return None if row is None else DefaultPlan.of(row)


async def find_all(connection: Connection, organization_id: UUID, *, window: Window) -> Page[Plan]:
    """A page of plans, newest first."""
    rows = _queries.list_plans(
        connection, organization_id=organization_id, limit=window.size, offset=window.offset
    )
    items = [Plan.of(row) async for row in rows]
    return Page(items, await _queries.count_plans(connection, organization_id=organization_id))


async def versions(connection: Connection, organization_id: UUID, plan_id: UUID) -> list[Version]:
    """A plan's versions in the order in which they take effect; of one time, the last counts."""
    rows = _queries.list_versions(connection, organization_id=organization_id, plan_id=plan_id)
    return [Version.of(row) async for row in rows]


async def load_rate_card(
    connection: Connection, organization_id: UUID, plan_version_id: UUID
) -> RateCard:
    """Compile a version for pricing; raises NotFound. Worth keeping: a version never changes."""
    row = await _queries.find_plan_version(
        connection, organization_id=organization_id, id=plan_version_id
    )
    if row is None:
        raise NotFound("plan_version")
    return RateCard.compile(
        plan_version_id, (charge.for_rating() for charge in _read_charges(row["charges"]))
    )


async def find_metrics(
    connection: Connection, organization_id: UUID, wanted: Sequence[ChargeChanges], plan: Plan
) -> list[PricedMetric]:
    """The metrics that these charges name, and those that the plan prices already."""
    ids = {change.billable_metric_id for change in wanted if change.billable_metric_id}
    ids |= {charge.billable_metric_id for charge in plan.charges}
    codes = {change.billable_metric_code for change in wanted if change.billable_metric_code}
    rows = _queries.find_metrics(
        connection, organization_id=organization_id, ids=list(ids), codes=list(codes)
    )
    return [PricedMetric.of(row) async for row in rows]


async def are_subscribed(connection: Connection, organization_id: UUID, metric_id: UUID) -> bool:
    """Whether anyone is subscribed to a plan that prices the metric."""
    subscribed: bool = await _queries.are_plans_of_metric_subscribed(
        connection, organization_id=organization_id, billable_metric_id=str(metric_id)
    )
    return subscribed


async def republish_with_metric(
    connection: Connection, organization_id: UUID, metric: PricedMetric, *, now: datetime
) -> None:
    """Take a changed metric over into every plan that prices it."""
    for plan in await _lock_plans_of(connection, organization_id, metric.id):
        changed = [
            charges.with_metric(charge, metric)
            if charge.billable_metric_id == metric.id
            else charge
            for charge in plan.charges
        ]
        plan_now = await _publish(connection, plan, changed, now=now)
        await _queries.update_plan(connection, **plan_now.columns())


async def republish_without_metric(
    connection: Connection, organization_id: UUID, metric_id: UUID, *, now: datetime
) -> None:
    """Take the charges of a deleted metric out of every plan."""
    for plan in await _lock_plans_of(connection, organization_id, metric_id):
        kept = [charge for charge in plan.charges if charge.billable_metric_id != metric_id]
        plan_now = await _publish(connection, plan, kept, now=now)
        await _queries.update_plan(connection, **plan_now.columns())


def yearly_amount_cents(plan: Plan) -> int:
    """What the plan costs a year, to compare plans of different intervals."""
    return plan.amount_cents * INTERVALS_A_YEAR[plan.interval]


async def _lock(connection: Connection, organization_id: UUID, code: str) -> Plan:
    """The plan, held so that versions are published one after the other."""
    await _queries.lock_plan(connection, organization_id=organization_id, code=code)
    return await get(connection, organization_id, code)


async def _lock_plans_of(
    connection: Connection, organization_id: UUID, metric_id: UUID
) -> list[Plan]:
    rows = _queries.find_plans_of_metric(
        connection, organization_id=organization_id, billable_metric_id=str(metric_id)
    )
    codes: list[Any] = [row["code"] async for row in rows]
    return [await _lock(connection, organization_id, code) for code in codes]


async def _merge(
    connection: Connection,
    plan: Plan,
    wanted: Sequence[ChargeChanges],
    *,
    also: dict[str, list[str]],
    now: datetime,
) -> list[PlanCharge]:
    """The charges of the next version; raises Invalid with all that is wrong, `also` included."""
    metrics = await find_metrics(connection, plan.organization_id, wanted, plan)
    try:
        merged = charges.merge(
            plan.charges, wanted, metrics, asset_code=plan.amount_currency, now=now
        )
    except Invalid as error:
        raise Invalid({**also, **error.details}, error.message) from None
    if also:
        raise Invalid(also)
    return merged


async def _publish(
    connection: Connection, plan: Plan, merged: Sequence[PlanCharge], *, now: datetime
) -> Plan:
    """The plan at a new version, or as it is if its charges are the same."""
    if list(merged) == plan.charges:
        return plan
    version_id = new_uuid(now)
    await _insert_version(connection, plan, version_id, merged, now=now)
    return structs.replace(plan, current_version_id=version_id)


async def _insert_version(
    connection: Connection,
    plan: Plan,
    version_id: UUID,
    merged: Sequence[PlanCharge],
    *,
    now: datetime,
) -> None:
    await _queries.insert_plan_version(
        connection,
        organization_id=plan.organization_id,
        id=version_id,
        plan_id=plan.id,
        charges=to_json(merged),
        effective_at=now,
    )


async def _end_other_defaults(connection: Connection, plan: Plan, *, now: datetime) -> None:
    """At most one plan is the default: the latest to say so."""
    if plan.is_default:
        await _queries.end_other_defaults(
            connection, organization_id=plan.organization_id, id=plan.id, now=now
        )


def _problems(plan: Plan) -> dict[str, list[str]]:
    """What is wrong with a plan, but for its charges."""
    problems: dict[str, list[str]] = {}
    for name in ("name", "code", "interval", "amount_currency"):
        if not getattr(plan, name).strip():
            problems[name] = ["value_is_mandatory"]
    if plan.interval and plan.interval not in INTERVALS_A_YEAR:
        problems["interval"] = ["value_is_invalid"]
    if plan.amount_currency and plan.amount_currency not in CURRENCIES:
        problems["amount_currency"] = ["value_is_invalid"]
    if plan.amount_cents == -1:
        problems["amount_cents"] = ["value_is_mandatory"]
    elif not 0 <= plan.amount_cents <= _AMOUNT_CENTS_MAX:
        problems["amount_cents"] = ["value_is_out_of_range"]
    days = plan.trial_period
    if days is not None and not (days.is_finite() and 0 <= days <= _TRIAL_DAYS_MAX):
        problems["trial_period"] = ["value_is_out_of_range"]
    return problems
