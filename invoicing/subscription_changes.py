"""What callers do to subscriptions: start one, change its plan or its terms, end it.

An external id in use means a change of plan: to one that costs at least as much over a year at
once, to a cheaper one at the end of the running period. Both keep the anchor of the periods, and a
trial that runs. Source: Lago, subscriptions (upgrade, downgrade).
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, TypeAlias
from uuid import UUID

from msgspec import UNSET, structs

from invoicing import billing_entities, catalogue_changes, customers, plans, subscriptions
from invoicing.errors import Invalid
from invoicing.plan_overrides import PlanOverrides, override
from invoicing.plans import INTERVALS_A_YEAR, Plan
from invoicing.records import Connection, apply
from invoicing.subscription_requests import (
    SubscriptionChanges,
    SubscriptionRequest,
    Termination,
    check_request,
    check_termination,
)
from invoicing.subscriptions import Subscription
from ledger.ids import new_uuid

__all__ = [
    "Tell",
    "create",
    "terminate",
    "update",
]

Tell: TypeAlias = Callable[[str, Subscription], Awaitable[None]]
"""Leaves word of what has become of a subscription: `subscription.started` and the like."""

_NO_UNITS: Final[Mapping[str, int]] = {}
_WAITING: Final = ("pending",)
_IN_USE: Final = ("active", "incomplete", "pending")


async def _nobody(_: str, __: Subscription) -> None:
    """Nobody is told."""


async def create(
    connection: Connection,
    organization_id: UUID,
    request: SubscriptionRequest,
    *,
    units: Mapping[str, int] = _NO_UNITS,
    tell: Tell = _nobody,
    now: datetime,
) -> Subscription:
    """Subscribe a customer to a plan, or change the plan; raises Invalid or NotFound (plan).

    Answers the subscription that is active from now on: where a cheaper plan waits for the end of a
    period, the one that it will follow. `units` are the native units that overrides name.
    """
    check_request(request, now=now)
    await catalogue_changes.bump_for_subscription(
        connection,
        organization_id,
        request.external_id,
        external_customer_id=request.external_customer_id,
    )
    plan = await plans.get(connection, organization_id, request.plan_code, now=now)
    if plan.parent_id is not None:
        raise Invalid.field("plan_code", "plan_not_found")
    await _check_entity(connection, organization_id, request.billing_entity_code, now=now)
    customer = await customers.find(connection, organization_id, request.external_customer_id)
    if customer is None:
        customer = await customers.upsert(
            connection,
            organization_id,
            request.external_customer_id,
            customers.CustomerChanges(currency=plan.amount_currency),
            now=now,
        )
    current = await subscriptions.find(
        connection, organization_id, request.external_id, statuses=_IN_USE
    )
    change = _Change(connection, organization_id, request, units=units, tell=tell, now=now)
    if current is None:
        return await change.start(customer.id, plan)
    if current.customer_id != customer.id:
        raise Invalid.field("external_id", "value_already_exist")
    if current.status == "incomplete":
        raise Invalid.field("external_id", "subscription_incomplete")
    if current.status == "pending":
        return await change.change_waiting(current, plan)
    return await change.change_plan(current, plan)


async def update(
    connection: Connection,
    organization_id: UUID,
    external_id: str,
    changes: SubscriptionChanges,
    *,
    statuses: Sequence[str] = ("active",),
    units: Mapping[str, int] = _NO_UNITS,
    tell: Tell = _nobody,
    now: datetime,
) -> Subscription:
    """Change what may be changed of a running subscription; raises NotFound or Invalid."""
    await catalogue_changes.bump_for_subscription(connection, organization_id, external_id)
    subscription = await subscriptions.lock(
        connection, organization_id, external_id, statuses=statuses
    )
    return await _update(connection, subscription, changes, units=units, tell=tell, now=now)


async def terminate(
    connection: Connection,
    organization_id: UUID,
    external_id: str,
    termination: Termination | None = None,
    *,
    statuses: Sequence[str] = ("active",),
    tell: Tell = _nobody,
    now: datetime,
) -> Subscription:
    """End a subscription now; one that has not begun never does. Raises NotFound or Invalid."""
    asked = termination or Termination()
    check_termination(asked.on_termination_credit_note, asked.on_termination_invoice)
    await catalogue_changes.bump_for_subscription(connection, organization_id, external_id)
    subscription = await subscriptions.lock(
        connection, organization_id, external_id, statuses=statuses
    )
    if subscription.status == "active":
        await _cancel_waiting(connection, subscription, tell=tell, now=now)
        given = {name: value for name, value in structs.asdict(asked).items() if value is not None}
        subscription = structs.replace(subscription, **given)
    return await _end(connection, subscription, tell=tell, now=now)


class _Change:
    """One request, at one time."""

    def __init__(
        self,
        connection: Connection,
        organization_id: UUID,
        request: SubscriptionRequest,
        *,
        units: Mapping[str, int],
        tell: Tell,
        now: datetime,
    ) -> None:
        self._connection = connection
        self._organization_id = organization_id
        self._request = request
        self._units = units
        self._tell = tell
        self._now = now

    async def start(self, customer_id: UUID, plan: Plan) -> Subscription:
        """A subscription that follows no other."""
        request, now = self._request, self._now
        plan = await self._overridden(plan)
        starts_at = request.subscription_at or now
        rules = [rule.begun(starts_at) for rule in request.activation_rules]
        if starts_at > now:
            status = "pending"
        else:
            status = "incomplete" if rules and is_paid_to_begin(plan) else "active"
        subscription = self._new(
            customer_id,
            plan,
            status=status,
            subscription_at=starts_at,
            started_at=None if status == "pending" else starts_at,
            activation_rules=[structs.asdict(rule) for rule in rules],
        )
        stored = await self._insert(subscription)
        if status != "pending":
            word = "started" if status == "active" else "incomplete"
            await self._tell(f"subscription.{word}", stored)
        return stored

    async def change_waiting(self, current: Subscription, plan: Plan) -> Subscription:
        """Another plan, name or beginning of one that has not begun."""
        request = self._request
        if request.subscription_at is not None and request.subscription_at > self._now:
            current = structs.replace(current, subscription_at=request.subscription_at)
        if current.plan_code != plan.code or request.plan_overrides is not None:
            plan = await self._overridden(plan)
            current = structs.replace(current, plan_id=plan.id)
        changed = structs.replace(current, name=request.name or current.name, updated_at=self._now)
        stored = await subscriptions.save(self._connection, changed)
        await self._tell("subscription.updated", stored)
        return stored

    async def change_plan(self, current: Subscription, plan: Plan) -> Subscription:
        """Another plan than the running one: now, or from the end of its period on."""
        request, now = self._request, self._now
        if request.activation_rules:
            message = "a change of plan waits for no payment"
            raise Invalid.field("activation_rules", "value_is_invalid", message)
        await _cancel_waiting(self._connection, current, tell=self._tell, now=now)
        if current.plan_code == plan.code:
            changes = SubscriptionChanges(
                name=request.name or UNSET, plan_overrides=request.plan_overrides or UNSET
            )
            return await _update(
                self._connection, current, changes, units=self._units, tell=self._tell, now=now
            )
        plan = await self._overridden(plan)
        yearly = current.plan_amount_cents * INTERVALS_A_YEAR[current.plan_interval]
        if plans.yearly_amount_cents(plan) >= yearly:
            return await self._upgrade(current, plan)
        return await self._downgrade(current, plan)

    async def _upgrade(self, current: Subscription, plan: Plan) -> Subscription:
        ended = structs.replace(current, is_upgraded=True)
        await _end(self._connection, ended, tell=self._tell, now=self._now)
        started_at = max(self._now, current.started_at or self._now)
        following = self._following(current, plan, status="active", started_at=started_at)
        stored = await self._insert(following)
        await self._tell("subscription.started", stored)
        return stored

    async def _downgrade(self, current: Subscription, plan: Plan) -> Subscription:
        starts_at = current.period_at(max(self._now, current.started_at or self._now)).end
        await self._insert(self._following(current, plan, status="pending", starts_at=starts_at))
        waits = await subscriptions.get(
            self._connection, self._organization_id, current.external_id
        )
        await self._tell("subscription.updated", waits)
        return waits

    def _following(self, current: Subscription, plan: Plan, **fields: Any) -> Subscription:
        """The next of a chain: it keeps the anchor, the trial, and what it is not told anew."""
        return self._new(
            current.customer_id,
            plan,
            subscription_at=current.subscription_at,
            billing_time=current.billing_time,
            first_started_at=current.first_started_at or current.started_at,
            previous_subscription_id=current.id,
            name=self._request.name or current.name,
            ending_at=self._request.ending_at or current.ending_at,
            purchase_order_number=self._request.purchase_order_number
            or current.purchase_order_number,
            billing_entity_code=self._request.billing_entity_code or current.billing_entity_code,
            on_termination_credit_note=self._request.on_termination_credit_note
            or current.on_termination_credit_note,
            on_termination_invoice=self._request.on_termination_invoice
            or current.on_termination_invoice,
            usage_thresholds=current.usage_thresholds,
            **fields,
        )

    def _new(self, customer_id: UUID, plan: Plan, **fields: Any) -> Subscription:
        request, now = self._request, self._now
        known: dict[str, Any] = {
            "name": request.name,
            "billing_time": request.billing_time,
            "ending_at": request.ending_at,
            "purchase_order_number": request.purchase_order_number,
            "billing_entity_code": request.billing_entity_code,
            "on_termination_credit_note": request.on_termination_credit_note,
            "on_termination_invoice": request.on_termination_invoice,
        }
        return Subscription(
            organization_id=self._organization_id,
            id=new_uuid(now),
            external_id=request.external_id,
            customer_id=customer_id,
            plan_id=plan.id,
            consolidate_invoice=request.consolidate_invoice,
            created_at=now,
            updated_at=now,
            external_customer_id=request.external_customer_id,
            timezone="UTC",
            plan_code=plan.code,
            own_plan_code=plan.code,
            plan_amount_cents=plan.amount_cents,
            plan_amount_currency=plan.amount_currency,
            plan_interval=plan.interval,
            plan_version_id=plan.current_version_id,
            **(known | fields),
        )

    async def _insert(self, subscription: Subscription) -> Subscription:
        if not await subscriptions.insert(self._connection, subscription):
            raise Invalid.field("external_id", "value_already_exist")  # someone was first, just now
        key = subscription.organization_id, subscription.id
        return (await subscriptions.of_ids(self._connection, [key]))[key]

    async def _overridden(self, plan: Plan) -> Plan:
        overrides = self._request.plan_overrides
        if overrides is None:
            return plan
        return await override(
            self._connection,
            self._organization_id,
            plan,
            overrides,
            units=self._units,
            now=self._now,
        )


def is_paid_to_begin(plan: Plan) -> bool:
    """Whether something of a plan is to be paid before its first period."""
    in_advance = plan.pay_in_advance and plan.amount_cents > 0 and not plan.trial_period
    return in_advance or any(charge.pay_in_advance for charge in plan.fixed_charges)


async def _update(
    connection: Connection,
    subscription: Subscription,
    changes: SubscriptionChanges,
    *,
    units: Mapping[str, int],
    tell: Tell,
    now: datetime,
) -> Subscription:
    if isinstance(changes.ending_at, datetime) and changes.ending_at <= max(
        now, subscription.subscription_at
    ):
        raise Invalid.field("ending_at", "value_is_invalid")
    if isinstance(changes.billing_entity_code, str):
        await _check_entity(
            connection, subscription.organization_id, changes.billing_entity_code, now=now
        )
    changed = structs.replace(apply(changes, subscription), updated_at=now)
    check_termination(changed.on_termination_credit_note, changed.on_termination_invoice)
    if isinstance(changes.wanted_start, datetime):
        changed = _begin_at(changed, changes.wanted_start, now=now)
    if isinstance(changes.plan_overrides, PlanOverrides):
        organization_id = subscription.organization_id
        plan = await plans.get(connection, organization_id, subscription.own_plan_code, now=now)
        plan = await override(
            connection, organization_id, plan, changes.plan_overrides, units=units, now=now
        )
        changed = structs.replace(changed, plan_id=plan.id)
    stored = await subscriptions.save(connection, changed)
    await tell("subscription.updated", stored)
    return stored


def _begin_at(subscription: Subscription, at: datetime, *, now: datetime) -> Subscription:
    """A subscription that has not begun, and will at another time; one that has keeps its own."""
    if subscription.status != "pending" or subscription.starts_at is not None:
        return subscription
    if subscription.ending_at is not None and subscription.ending_at <= max(now, at):
        raise Invalid.field("ending_at", "value_is_invalid")
    return structs.replace(subscription, subscription_at=max(at, now + timedelta(seconds=1)))


async def _cancel_waiting(
    connection: Connection, current: Subscription, *, tell: Tell, now: datetime
) -> None:
    """Let the cheaper plan be that waits for the end of this one's period, if one does."""
    waiting = await subscriptions.find(
        connection, current.organization_id, current.external_id, statuses=_WAITING
    )
    if waiting is not None and waiting.previous_subscription_id == current.id:
        await _end(connection, waiting, tell=tell, now=now)


async def _end(
    connection: Connection, subscription: Subscription, *, tell: Tell, now: datetime
) -> Subscription:
    if subscription.status == "active":
        assert subscription.started_at is not None, "what is active has started"
        ended_at = max(now, subscription.started_at)
        ended = structs.replace(
            subscription, status="terminated", terminated_at=ended_at, updated_at=now
        )
    else:
        ended = structs.replace(subscription, status="canceled", canceled_at=now, updated_at=now)
    stored = await subscriptions.save(connection, ended)
    await tell(f"subscription.{ended.status}", stored)
    return stored


async def _check_entity(
    connection: Connection, organization_id: UUID, code: str | None, *, now: datetime
) -> None:
    await billing_entities.check_code(connection, organization_id, code or None, now=now)
