"""Subscriptions on the wire."""

from datetime import datetime, timedelta
from typing import Annotated, Any, cast

import msgspec
from msgspec import UNSET, Struct, UnsetType
from msgspec import Meta as Limits

from invoicing.activation_rules import TIMEOUT_HOURS_MAX, ActivationRule
from invoicing.charge_changes import named_units
from invoicing.subscription_requests import SubscriptionChanges, SubscriptionRequest
from invoicing.subscriptions import Subscription
from ledger.ids import new_uuid
from wallet_service.api.pagination import Meta
from wallet_service.api.schemas.formats import (
    Code,
    ExternalId,
    Given,
    Name,
    ShortList,
    Word,
    changes,
    iso_seconds,
    optional_iso,
    text_of,
)
from wallet_service.api.schemas.plan_overrides import PlanOverridesInput
from wallet_service.replies import iso_milliseconds
from wallet_service.texts import read_time

_LAST: timedelta = timedelta(seconds=1)
"""Lago shows the last second of a period, not the first of the next."""


class ActivationRuleInput(Struct):
    """What a caller asks to happen before a subscription begins."""

    type: Given[Word] = UNSET
    timeout_hours: Given[Annotated[int, Limits(ge=0, le=TIMEOUT_HOURS_MAX)]] = UNSET

    def read(self, *, now: datetime) -> ActivationRule:
        """The same for the domain."""
        return ActivationRule(
            id=new_uuid(now),
            type=self.type or "",
            timeout_hours=self.timeout_hours or 0,
            created_at=now,
            updated_at=now,
        )


class ActivationRuleBody(Struct, kw_only=True):
    """What must happen before a subscription begins, and whether it has."""

    lago_id: str
    type: str
    timeout_hours: int
    status: str
    expires_at: str | None
    created_at: str
    updated_at: str

    @classmethod
    def of(cls, stored: dict[str, Any]) -> "ActivationRuleBody":
        """Show a rule."""
        rule = msgspec.convert(stored, ActivationRule)
        return cls(
            lago_id=str(rule.id),
            type=rule.type,
            timeout_hours=rule.timeout_hours,
            status=rule.status,
            expires_at=optional_iso(rule.expires_at),
            created_at=iso_seconds(rule.created_at),
            updated_at=iso_seconds(rule.updated_at),
        )


class SubscriptionInput(Struct):
    """What a caller says of a subscription."""

    external_customer_id: Given[ExternalId] = UNSET
    plan_code: Given[Code] = UNSET
    external_id: Given[ExternalId] = UNSET
    name: Given[Name] = UNSET
    billing_time: Given[Word] = UNSET
    subscription_at: Given[Word] = UNSET
    ending_at: Given[Word] = UNSET
    purchase_order_number: Given[Name] = UNSET
    consolidate_invoice: Given[bool] = UNSET
    billing_entity_code: Given[Code] = UNSET
    on_termination_credit_note: Given[Word] = UNSET
    on_termination_invoice: Given[Word] = UNSET
    plan_overrides: Given[PlanOverridesInput] = UNSET
    activation_rules: Given[ShortList[ActivationRuleInput]] = UNSET

    def request(self, *, now: datetime) -> SubscriptionRequest:
        """The same for the domain."""
        return SubscriptionRequest(
            external_id=text_of(self.external_id),
            external_customer_id=text_of(self.external_customer_id),
            plan_code=text_of(self.plan_code),
            name=self.name or None,
            billing_time=self.billing_time or "calendar",
            subscription_at=read_time(self.subscription_at, field="subscription_at")
            if self.subscription_at
            else None,
            ending_at=read_time(self.ending_at, field="ending_at") if self.ending_at else None,
            purchase_order_number=self.purchase_order_number or None,
            consolidate_invoice=self.consolidate_invoice is not False,
            billing_entity_code=self.billing_entity_code or None,
            on_termination_credit_note=self.on_termination_credit_note or None,
            on_termination_invoice=self.on_termination_invoice or None,
            plan_overrides=self.plan_overrides.changes() if self.plan_overrides else None,
            activation_rules=[rule.read(now=now) for rule in self.activation_rules or []],
        )

    def changes(self) -> SubscriptionChanges:
        """What is to change of a subscription that exists."""
        ending_at = self.ending_at
        return changes(
            self,
            SubscriptionChanges,
            ending_at=read_time(ending_at, field="ending_at")
            if isinstance(ending_at, str)
            else ending_at,
            wanted_start=read_time(self.subscription_at, field="subscription_at")
            if self.subscription_at
            else UNSET,
            plan_overrides=self.plan_overrides.changes() if self.plan_overrides else UNSET,
        )

    def named_units(self) -> set[str]:
        """The native units that overrides of charges name."""
        overrides = self.plan_overrides
        return named_units(overrides.changes().charges) if overrides else set()


class SubscriptionEnvelope(Struct):
    """The envelope of a subscription to create or change."""

    subscription: SubscriptionInput
    status: str | UnsetType | None = UNSET


class SubscriptionBody(Struct, kw_only=True):
    """A subscription. `lago_plan_version_id` is ours: what its usage is priced with now."""

    lago_id: str
    external_id: str
    lago_customer_id: str
    external_customer_id: str
    plan_code: str
    plan_amount_cents: int
    plan_amount_currency: str
    lago_plan_version_id: str
    name: str | None
    status: str
    billing_time: str
    subscription_at: str
    started_at: str | None
    activated_at: str | None
    ending_at: str | None
    terminated_at: str | None
    canceled_at: str | None
    trial_ended_at: str | None
    created_at: str
    previous_plan_code: str | None
    next_plan_code: str | None
    downgrade_plan_date: str | None
    on_termination_credit_note: str | None
    on_termination_invoice: str | None
    purchase_order_number: str | None
    consolidate_invoice: bool
    billing_entity_code: str | None
    cancellation_reason: str | None
    current_billing_period_started_at: str | None
    current_billing_period_ending_at: str | None
    activation_rules: list[ActivationRuleBody]

    @classmethod
    def of(cls, subscription: Subscription, *, now: datetime) -> "SubscriptionBody":
        """Show a subscription, and the period that it is in at a time."""
        started_at = subscription.started_at
        period = None
        if subscription.status == "active" and started_at is not None:
            period = subscription.period_at(max(now, started_at))
        started = None if started_at is None else iso_milliseconds(started_at)
        return cls(
            lago_id=str(subscription.id),
            external_id=subscription.external_id,
            lago_customer_id=str(subscription.customer_id),
            external_customer_id=subscription.external_customer_id,
            plan_code=subscription.plan_code,
            plan_amount_cents=subscription.plan_amount_cents,
            plan_amount_currency=subscription.plan_amount_currency,
            lago_plan_version_id=str(subscription.plan_version_id),
            name=subscription.name,
            status=subscription.status,
            billing_time=subscription.billing_time,
            subscription_at=iso_seconds(subscription.subscription_at),
            started_at=started,
            activated_at=optional_iso(subscription.activated_at),
            ending_at=optional_iso(subscription.ending_at),
            terminated_at=optional_iso(subscription.terminated_at),
            canceled_at=optional_iso(subscription.canceled_at),
            trial_ended_at=optional_iso(subscription.trial_ended_at),
            created_at=iso_seconds(subscription.created_at),
            previous_plan_code=subscription.previous_plan_code,
            next_plan_code=subscription.next_plan_code,
            downgrade_plan_date=subscription.downgrade_plan_date.isoformat()
            if subscription.downgrade_plan_date
            else None,
            on_termination_credit_note=subscription.on_termination_credit_note,
            on_termination_invoice=subscription.on_termination_invoice,
            purchase_order_number=subscription.purchase_order_number,
            consolidate_invoice=subscription.consolidate_invoice,
            billing_entity_code=subscription.billing_entity_code,
            cancellation_reason=subscription.cancellation_reason,
            current_billing_period_started_at=period and iso_seconds(period.start),
            current_billing_period_ending_at=period and iso_seconds(period.end - _LAST),
            activation_rules=[
                ActivationRuleBody.of(rule) for rule in subscription.activation_rules
            ],
        )

    def as_json(self) -> dict[str, Any]:
        """The same, as it goes into the outbox."""
        return cast("dict[str, Any]", msgspec.to_builtins(self))


class SubscriptionReply(Struct):
    """The envelope of a subscription."""

    subscription: SubscriptionBody


class SubscriptionsReply(Struct):
    """A page of subscriptions."""

    subscriptions: list[SubscriptionBody]
    meta: Meta
