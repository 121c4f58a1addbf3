"""Subscriptions on the wire."""

from typing import Any

from msgspec import UNSET, Struct, UnsetType

from invoicing.errors import Invalid
from invoicing.subscriptions import Subscription, SubscriptionChanges, SubscriptionRequest
from wallet_service.api.pagination import Meta
from wallet_service.api.schemas.formats import (
    Code,
    ExternalId,
    Given,
    Name,
    Word,
    changes,
    iso_seconds,
    optional_iso,
    read_time,
    text_of,
)
from wallet_service.replies import iso_milliseconds


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
    plan_overrides: Given[dict[str, Any]] = UNSET
    activation_rules: Given[list[Any]] = UNSET

    def request(self) -> SubscriptionRequest:
        """The same for the domain."""
        self._refuse_what_is_missing()
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
        )

    def changes(self) -> SubscriptionChanges:
        """What is to change of a subscription that exists."""
        self._refuse_what_is_missing()
        ending_at = self.ending_at
        return changes(
            self,
            SubscriptionChanges,
            ending_at=read_time(ending_at, field="ending_at")
            if isinstance(ending_at, str)
            else ending_at,
        )

    def _refuse_what_is_missing(self) -> None:
        later = [name for name in ("plan_overrides", "activation_rules") if getattr(self, name)]
        if later:
            raise Invalid(
                {name: ["value_is_invalid"] for name in later},
                f"{', '.join(later)}: not available yet",
            )


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

    @classmethod
    def of(cls, subscription: Subscription) -> "SubscriptionBody":
        """Show a subscription."""
        started_at = subscription.started_at
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
            activated_at=started,
            ending_at=optional_iso(subscription.ending_at),
            terminated_at=optional_iso(subscription.terminated_at),
            canceled_at=optional_iso(subscription.canceled_at),
            trial_ended_at=None,
            created_at=iso_seconds(subscription.created_at),
            previous_plan_code=None,
            next_plan_code=None,
            downgrade_plan_date=None,
            on_termination_credit_note=subscription.on_termination_credit_note,
            on_termination_invoice=subscription.on_termination_invoice,
            purchase_order_number=subscription.purchase_order_number,
            consolidate_invoice=subscription.consolidate_invoice,
        )


class SubscriptionReply(Struct):
    """The envelope of a subscription."""

    subscription: SubscriptionBody


class SubscriptionsReply(Struct):
    """A page of subscriptions."""

    subscriptions: list[SubscriptionBody]
    meta: Meta
