"""Plans: what a subscription costs, and the prices of its usage.

The prices are versioned (`plan_versions`): a change of the charges, or of a metric they measure,
publishes a new version, which prices usage from its time on. A hold is settled by the version that
it was made with.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import ClassVar, Final
from uuid import UUID

from msgspec import UNSET, Struct, UnsetType, field, structs

from invoicing import billing_schedule, catalogue_changes, catalogue_versions, plan_versions
from invoicing.charge_assets import PlanAssets
from invoicing.charge_changes import ChargeChanges
from invoicing.charges import PlanCharge
from invoicing.errors import Invalid, NotFound
from invoicing.fixed_charges import FixedChargeChanges, PlanFixedCharge
from invoicing.minimum_commitments import CommitmentChanges, MinimumCommitment, merge_commitment
from invoicing.pages import Page, Window
from invoicing.plan_pricing import WantedPrices, merge_prices
from invoicing.plan_problems import INTERVALS_A_YEAR, cannot_wait, problems_of, unknown_taxes
from invoicing.plan_versions import Timeline, version_at, versions_between
from invoicing.price_changes import Prices
from invoicing.records import Connection, Record, apply, load_queries
from invoicing.usage_thresholds import ThresholdChanges, UsageThreshold, merge_thresholds
from ledger.ids import new_uuid

__all__ = [
    "INTERVALS_A_YEAR",
    "DefaultPlan",
    "Plan",
    "PlanChanges",
    "create",
    "delete",
    "find",
    "find_all",
    "find_default",
    "get",
    "get_id",
    "insert",
    "lock",
    "publish",
    "update",
    "version_at",
    "versions_between",
    "yearly_amount_cents",
]

_queries: Final = load_queries(__file__)

_NO_UNITS: Final[Mapping[str, int]] = {}
_NOT_STORED: Final = ("charges", "fixed_charges", "version", "active_subscriptions_count")
_MOVES_MOMENTS: Final = (
    "pay_in_advance",
    "trial_period",
    "bill_charges_monthly",
    "bill_fixed_charges_monthly",
)
"""What says when a subscription is billed."""


class Plan(Record, frozen=True, kw_only=True):
    """A plan with the version that is in force."""

    json_columns: ClassVar[tuple[str, ...]] = (
        *("tax_codes", "metadata", "charges", "fixed_charges"),
        *("minimum_commitment", "usage_thresholds"),
    )

    organization_id: UUID
    id: UUID
    parent_id: UUID | None = None
    """Of a plan made for one subscription: the plan that it was made from."""
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
    minimum_commitment: MinimumCommitment | None = None
    usage_thresholds: list[UsageThreshold] = field(default_factory=list[UsageThreshold])
    tax_codes: list[str] = field(default_factory=list[str])
    metadata: dict[str, str | None] = field(default_factory=dict[str, str | None])
    current_version_id: UUID
    charges: list[PlanCharge] = field(default_factory=list[PlanCharge])
    fixed_charges: list[PlanFixedCharge] = field(default_factory=list[PlanFixedCharge])
    version: int = 0
    active_subscriptions_count: int = 0
    created_at: datetime
    updated_at: datetime


class DefaultPlan(Record, frozen=True, kw_only=True):
    """The plan of customers who have agreed to none."""

    id: UUID
    code: str


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
    tax_codes: list[str] | UnsetType = UNSET
    metadata: dict[str, str | None] | UnsetType = UNSET
    wanted_commitment: CommitmentChanges | UnsetType | None = UNSET
    wanted_thresholds: list[ThresholdChanges] | UnsetType = UNSET
    """Replace all there were."""
    wanted_fixed_charges: list[FixedChargeChanges] | UnsetType = UNSET
    """Replace all there were."""
    effective_at: datetime | None = None
    """From when on other charges than before are in force; None: at once."""


async def create(
    connection: Connection,
    organization_id: UUID,
    changes: PlanChanges,
    wanted: Sequence[ChargeChanges] = (),
    *,
    units: Mapping[str, int] = _NO_UNITS,
    now: datetime,
) -> Plan:
    """Add a plan and its first version; raises Invalid.

    `units` are the native units that there are, with their scales, of those that charges name.
    """
    if changes.effective_at is not None:
        message = "a new plan's prices are in force from the start"
        raise Invalid.field("effective_at", "value_is_invalid", message)
    await catalogue_versions.bump(connection, organization_id)
    blank = Plan(
        organization_id=organization_id,
        id=new_uuid(now),
        current_version_id=new_uuid(now),
        created_at=now,
        updated_at=now,
    )
    wanted_prices = WantedPrices(charges=wanted, fixed_charges=changes.wanted_fixed_charges)
    return await insert(
        connection, blank, changes, wanted_prices, before=Prices(), units=units, now=now
    )


async def insert(
    connection: Connection,
    blank: Plan,
    changes: PlanChanges,
    wanted: WantedPrices,
    *,
    before: Prices,
    units: Mapping[str, int],
    now: datetime,
) -> Plan:
    """Store a new plan with its first version, made of these prices; raises Invalid."""
    plan = _changed(blank, changes, now=now)
    organization_id = plan.organization_id
    prices = await merge_prices(
        connection,
        organization_id,
        before,
        wanted,
        assets=PlanAssets(currency=plan.amount_currency, units=units),
        also=problems_of(plan) | await unknown_taxes(connection, plan, changes),
        now=now,
    )
    await _end_other_defaults(connection, plan, now=now)
    if await _queries.insert_plan(connection, **_columns(plan)) is None:
        raise Invalid.field("code", "value_already_exist")
    await plan_versions.insert_first(
        connection, organization_id, plan.id, plan.current_version_id, prices, now=now
    )
    return await get(connection, organization_id, plan.code, now=now)


async def update(
    connection: Connection,
    organization_id: UUID,
    code: str,
    changes: PlanChanges,
    wanted: Sequence[ChargeChanges] | UnsetType = UNSET,
    *,
    units: Mapping[str, int] = _NO_UNITS,
    now: datetime,
) -> Plan:
    """Change a plan; other charges than before become a new version. Raises NotFound or Invalid.

    `units` are the native units that there are, with their scales, of those that charges name.
    """
    before = await lock(connection, organization_id, code, now=now)
    plan = _changed(before, changes, now=now)
    problems = problems_of(plan) | cannot_wait(before, plan, changes.effective_at)
    problems |= await unknown_taxes(connection, plan, changes)
    if plan.interval != before.interval and await _has_subscriptions(connection, plan):
        problems.setdefault("interval", ["used_by_subscriptions"])
    if plan.code != code and await find(connection, organization_id, plan.code, now=now):
        problems["code"] = ["value_already_exist"]
    wanted_prices = WantedPrices(charges=wanted, fixed_charges=changes.wanted_fixed_charges)
    if not wanted_prices.are_any:
        if changes.effective_at is not None:
            problems["effective_at"] = ["value_is_invalid"]
        if problems:
            raise Invalid(problems)
    else:
        line = await plan_versions.timeline(
            connection, organization_id, before.id, effective_at=changes.effective_at, now=now
        )
        prices = await merge_prices(
            connection,
            organization_id,
            line.prices,
            wanted_prices,
            assets=PlanAssets(currency=plan.amount_currency, units=units),
            also=problems,
            now=now,
        )
        plan = await publish(
            connection, plan, line, prices, immediately=wanted_prices.immediately(prices), now=now
        )
    await _end_other_defaults(connection, plan, now=now)
    await _queries.update_plan(connection, **_columns(plan))
    if wanted_prices.are_any or any(getattr(before, n) != getattr(plan, n) for n in _MOVES_MOMENTS):
        await billing_schedule.look_again(connection, organization_id, plan_id=plan.id, now=now)
    return await get(connection, organization_id, plan.code, now=now)


async def delete(
    connection: Connection, organization_id: UUID, code: str, *, now: datetime
) -> tuple[Plan, list[UUID]]:
    """Withdraw a plan: its subscriptions end, its versions stay. Raises NotFound.

    Gives the plan, and the ids of the subscriptions that ended.
    """
    plan = await lock(connection, organization_id, code, now=now)
    await _queries.delete_plan(connection, organization_id=organization_id, id=plan.id, now=now)
    ended = _queries.end_subscriptions_to_plan(
        connection, organization_id=organization_id, plan_id=plan.id, now=now
    )
    return plan, [row["id"] async for row in ended]


async def find(
    connection: Connection, organization_id: UUID, code: str, *, now: datetime
) -> Plan | None:
    """The plan with this code and its prices of now, unless deleted."""
    row = await _queries.find_plan(connection, organization_id=organization_id, code=code, now=now)
    return None if row is None else Plan.of(row)


async def get(connection: Connection, organization_id: UUID, code: str, *, now: datetime) -> Plan:
    """As `find`, or raise NotFound."""
    plan = await find(connection, organization_id, code, now=now)
    if plan is None:
        raise NotFound("plan")
    return plan


async def get_id(connection: Connection, organization_id: UUID, code: str) -> UUID:
    """The id of the plan with this code, without its prices; raises NotFound."""
    plan_id: UUID | None = await _queries.find_plan_id(
        connection, organization_id=organization_id, code=code
    )
    if plan_id is None:
        raise NotFound("plan")
    return plan_id


async def find_default(connection: Connection, organization_id: UUID) -> DefaultPlan | None:
    """The plan of customers who have agreed to none, if there is one."""
    row = await _queries.find_default_plan(connection, organization_id=organization_id)
    return None if row is None else DefaultPlan.of(row)


async def find_all(
    connection: Connection, organization_id: UUID, *, window: Window, now: datetime
) -> Page[Plan]:
    """A page of plans with their prices of now, newest first."""
    rows = _queries.list_plans(
        connection,
        organization_id=organization_id,
        limit=window.size,
        offset=window.offset,
        now=now,
    )
    items = [Plan.of(row) async for row in rows]
    return Page(items, await _queries.count_plans(connection, organization_id=organization_id))


async def publish(
    connection: Connection,
    plan: Plan,
    line: Timeline,
    prices: Prices,
    *,
    immediately: Sequence[UUID] = (),
    now: datetime,
) -> Plan:
    """The plan once these are its prices from the timeline's time on; it is to be stored yet.

    `immediately` are the fixed charges whose units the running period is billed for too. Raises
    Invalid where a version that waits cannot take the change over.
    """
    version_id = await plan_versions.publish(
        connection, line, prices, immediately=immediately, now=now
    )
    if version_id is None or not line.is_now:
        return plan
    return structs.replace(plan, current_version_id=version_id, updated_at=now)


async def store(connection: Connection, plan: Plan) -> None:
    """Write a changed plan."""
    await _queries.update_plan(connection, **_columns(plan))


def yearly_amount_cents(plan: Plan) -> int:
    """What the plan costs a year, to compare plans of different intervals."""
    return plan.amount_cents * INTERVALS_A_YEAR[plan.interval]


async def lock(connection: Connection, organization_id: UUID, code: str, *, now: datetime) -> Plan:
    """The plan, held so that changes of it queue up: the first step of each. Raises NotFound."""
    version = await catalogue_versions.bump(connection, organization_id)
    await _queries.lock_plan(connection, organization_id=organization_id, code=code)
    plan = await get(connection, organization_id, code, now=now)
    if plan.parent_id is not None and not plan.is_default:
        await catalogue_changes.concern_plan(connection, organization_id, version, plan.id)
    return plan


async def _has_subscriptions(connection: Connection, plan: Plan) -> bool:
    """Whether anybody is on the plan, or will be.

    Subscriptions that customers are put on at their first use do not queue up with changes: they
    are waited for, and hold on until the change is done.
    """
    await _queries.lock_plan_against_subscriptions(
        connection, organization_id=plan.organization_id, id=plan.id
    )
    found: bool = await _queries.has_subscriptions(
        connection, organization_id=plan.organization_id, plan_id=plan.id
    )
    return found


async def _end_other_defaults(connection: Connection, plan: Plan, *, now: datetime) -> None:
    """At most one plan is the default: the latest to say so."""
    if plan.is_default:
        if plan.parent_id is not None:  # one subscription's own until now, from now on everybody's
            await catalogue_versions.bump(connection, plan.organization_id)
        await _queries.end_other_defaults(
            connection, organization_id=plan.organization_id, id=plan.id, now=now
        )


def _changed(plan: Plan, changes: PlanChanges, *, now: datetime) -> Plan:
    """The plan after the changes of all but its prices; raises Invalid for its other terms."""
    return structs.replace(
        apply(changes, plan),
        minimum_commitment=merge_commitment(
            plan.minimum_commitment, changes.wanted_commitment, now=now
        ),
        usage_thresholds=merge_thresholds(
            plan.usage_thresholds, changes.wanted_thresholds, now=now
        ),
        updated_at=now,
    )


def _columns(plan: Plan) -> dict[str, object]:
    """What is stored of a plan itself."""
    columns = plan.columns()
    for name in _NOT_STORED:
        del columns[name]
    return columns
