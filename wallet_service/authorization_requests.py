"""What is asked of authorizations, as it comes in, and what an estimate says."""

from typing import Annotated, Any

from msgspec import UNSET, Meta, Struct, UnsetType

from wallet_service.replies import ItemAmount, PassedBudget
from wallet_service.requested_items import UsedFields

__all__ = [
    "AuthorizationRequest",
    "CaptureRequest",
    "EstimateBody",
    "EstimateReply",
    "ExtendRequest",
    "QuoteRequest",
    "RefundRequest",
]

AmountText = Annotated[str, Meta(max_length=100)]
AssetText = Annotated[str, Meta(min_length=2, max_length=32)]
IdText = Annotated[str, Meta(min_length=1, max_length=255)]
FeatureText = Annotated[str, Meta(min_length=1, max_length=255)]


class QuoteRequest(
    UsedFields, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True
):
    """What is to be paid for, and by whom."""

    external_customer_id: IdText
    external_subscription_id: IdText | None = None
    asset_code: AssetText | None = None
    features: Annotated[list[FeatureText], Meta(max_length=100)] | None = None


class AuthorizationRequest(
    QuoteRequest, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True
):
    """A hold that is asked for. ``partial`` takes what there is; ``expires_in`` is in seconds."""

    transaction_id: str | None = None
    partial: bool = False
    expires_in: int | None = None


class CaptureRequest(
    UsedFields, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True
):
    """What was really used. ``final`` false keeps the rest of the hold."""

    transaction_id: str | None = None
    final: bool = True


class ExtendRequest(
    UsedFields, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True
):
    """More money, more time, or both."""

    transaction_id: str | None = None
    expires_in: int | None = None


class RefundRequest(
    Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True
):
    """Captured money that goes back; all of it without an amount."""

    transaction_id: str | None = None
    amount: AmountText | None = None


class EstimateBody(Struct):
    """What an authorization would say, without a hold; ``code`` tells why it would be refused."""

    amount: str
    asset_code: str
    available: str
    sufficient: bool
    items: list[ItemAmount]
    code: str | None = None
    error_details: dict[str, Any] | None = None
    budget_warnings: list[PassedBudget] | UnsetType = UNSET
    """Soft budgets that it would pass."""


class EstimateReply(Struct):
    """The envelope of an estimate."""

    estimate: EstimateBody
