"""Applied coupons on the wire."""

from collections.abc import Sequence
from decimal import Decimal

from msgspec import UNSET, Struct

from invoicing.applied_coupons import CouponUse, ShownAppliedCoupon, Terms
from wallet_service.api.pagination import Meta
from wallet_service.api.schemas.formats import (
    Cents,
    Code,
    ExternalId,
    Given,
    Integer,
    Word,
    changes,
    iso_seconds,
    optional_iso,
)


class AppliedCouponInput(Struct):
    """Which coupon a customer is given; other terms than the coupon's own may be named."""

    external_customer_id: Given[ExternalId] = UNSET
    coupon_code: Given[Code] = UNSET
    amount_cents: Given[Cents] = UNSET
    amount_currency: Given[Word] = UNSET
    percentage_rate: Given[Decimal] = UNSET
    frequency: Given[Word] = UNSET
    frequency_duration: Given[Integer] = UNSET

    def terms(self) -> Terms:
        """The terms that are not the coupon's own."""
        return changes(self, Terms)


class AppliedCouponRequest(Struct):
    """The envelope of a coupon to give."""

    applied_coupon: AppliedCouponInput


class CreditItem(Struct, kw_only=True):
    """What a credit is of."""

    lago_item_id: str
    type: str
    code: str
    name: str


class CreditInvoice(Struct, kw_only=True):
    """The invoice that a credit lowered."""

    lago_id: str
    payment_status: str


class CouponCreditBody(Struct, kw_only=True):
    """What a coupon took off an invoice."""

    lago_id: str
    amount_cents: int
    amount_currency: str
    before_taxes: bool
    item: CreditItem
    invoice: CreditInvoice

    @classmethod
    def of(cls, use: CouponUse) -> "CouponCreditBody":
        """Show a use of a coupon."""
        return cls(
            lago_id=str(use.id),
            amount_cents=use.amount_cents,
            amount_currency=use.amount_currency,
            before_taxes=True,
            item=CreditItem(
                lago_item_id=str(use.applied_coupon_id),
                type="coupon",
                code=use.item_code,
                name=use.item_name,
            ),
            invoice=CreditInvoice(lago_id=str(use.invoice_id), payment_status=use.payment_status),
        )


class AppliedCouponBody(Struct, kw_only=True):
    """A coupon that a customer has, and what invoices have used of it."""

    lago_id: str
    lago_coupon_id: str
    coupon_code: str
    coupon_name: str
    lago_customer_id: str
    external_customer_id: str
    status: str
    amount_cents: int | None
    amount_cents_remaining: int | None
    amount_currency: str | None
    percentage_rate: float | None
    frequency: str
    frequency_duration: int | None
    frequency_duration_remaining: int | None
    expiration_at: str | None
    created_at: str
    terminated_at: str | None
    credits: list[CouponCreditBody]

    @classmethod
    def of(cls, applied: ShownAppliedCoupon, uses: Sequence[CouponUse]) -> "AppliedCouponBody":
        """Show an applied coupon."""
        rate = applied.percentage_rate
        return cls(
            lago_id=str(applied.id),
            lago_coupon_id=str(applied.coupon_id),
            coupon_code=applied.coupon_code,
            coupon_name=applied.coupon_name,
            lago_customer_id=str(applied.customer_id),
            external_customer_id=applied.external_customer_id,
            status=applied.status,
            amount_cents=applied.amount_cents,
            amount_cents_remaining=applied.amount_cents_remaining,
            amount_currency=applied.amount_currency,
            percentage_rate=None if rate is None else float(rate),
            frequency=applied.frequency,
            frequency_duration=applied.frequency_duration,
            frequency_duration_remaining=applied.frequency_duration_remaining,
            expiration_at=optional_iso(applied.expiration_at),
            created_at=iso_seconds(applied.created_at),
            terminated_at=optional_iso(applied.terminated_at),
            credits=[CouponCreditBody.of(use) for use in uses],
        )


class AppliedCouponReply(Struct):
    """The envelope of an applied coupon."""

    applied_coupon: AppliedCouponBody


class AppliedCouponsReply(Struct):
    """A page of applied coupons."""

    applied_coupons: list[AppliedCouponBody]
    meta: Meta
