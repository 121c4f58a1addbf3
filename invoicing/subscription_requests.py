"""What callers say of subscriptions: what they want, what they change, what an end does."""

from datetime import datetime
from typing import Final

from msgspec import UNSET, Struct, UnsetType, field

from invoicing.activation_rules import ActivationRule, read_rules
from invoicing.errors import Invalid
from invoicing.plan_overrides import PlanOverrides

__all__ = [
    "SubscriptionChanges",
    "SubscriptionRequest",
    "Termination",
    "check_request",
    "check_termination",
]

_CREDIT_NOTES: Final = frozenset({None, "credit", "refund", "offset", "skip"})
_INVOICES: Final = frozenset({None, "generate", "skip"})


class SubscriptionRequest(Struct, frozen=True, kw_only=True):
    """What a caller wants to subscribe a customer to. An absent customer is created."""

    external_id: str
    external_customer_id: str
    plan_code: str
    name: str | None = None
    billing_time: str = "calendar"
    subscription_at: datetime | None = None
    ending_at: datetime | None = None
    purchase_order_number: str | None = None
    consolidate_invoice: bool = True
    billing_entity_code: str | None = None
    on_termination_credit_note: str | None = None
    on_termination_invoice: str | None = None
    plan_overrides: PlanOverrides | None = None
    activation_rules: list[ActivationRule] = field(default_factory=list[ActivationRule])


class SubscriptionChanges(Struct, kw_only=True):
    """What to set: UNSET leaves a field as it is, None clears it."""

    name: str | UnsetType | None = UNSET
    ending_at: datetime | UnsetType | None = UNSET
    purchase_order_number: str | UnsetType | None = UNSET
    consolidate_invoice: bool | UnsetType = UNSET
    billing_entity_code: str | UnsetType | None = UNSET
    on_termination_credit_note: str | UnsetType | None = UNSET
    on_termination_invoice: str | UnsetType | None = UNSET
    wanted_start: datetime | UnsetType = UNSET
    """Of one that has not begun."""
    plan_overrides: PlanOverrides | UnsetType | None = UNSET


class Termination(Struct, frozen=True, kw_only=True):
    """What the end of a subscription to a plan paid in advance does; kept for the invoice."""

    on_termination_credit_note: str | None = None
    on_termination_invoice: str | None = None


def check_termination(credit_note: str | None, invoice: str | None) -> None:
    """Raise Invalid unless both are known."""
    if credit_note not in _CREDIT_NOTES:
        raise Invalid.field("on_termination_credit_note", "invalid_value")
    if invoice not in _INVOICES:
        raise Invalid.field("on_termination_invoice", "invalid_value")


def check_request(request: SubscriptionRequest, *, now: datetime) -> None:
    """Raise Invalid with all that is wrong, as far as the request alone tells."""
    problems: dict[str, list[str]] = {}
    for name in ("external_id", "external_customer_id", "plan_code"):
        if not getattr(request, name).strip():
            problems[name] = ["value_is_mandatory"]
    if request.billing_time not in {"calendar", "anniversary"}:
        problems["billing_time"] = ["value_is_invalid"]
    starts_at = request.subscription_at or now
    if request.ending_at is not None and request.ending_at <= max(now, starts_at):
        problems["ending_at"] = ["value_is_invalid"]
    if request.on_termination_credit_note not in _CREDIT_NOTES:
        problems["on_termination_credit_note"] = ["invalid_value"]
    if request.on_termination_invoice not in _INVOICES:
        problems["on_termination_invoice"] = ["invalid_value"]
    problems |= read_rules(request.activation_rules)
    if problems:
        raise Invalid(problems)
