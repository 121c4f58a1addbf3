"""Coupons on the wire."""

from decimal import Decimal

from msgspec import UNSET, Struct

from invoicing.coupons import Coupon, CouponChanges
from wallet_service.api.pagination import Meta
from wallet_service.api.schemas.formats import (
    Cents,
    Code,
    Given,
    Integer,
    Name,
    ShortList,
    Text,
    Word,
    changes,
    iso_seconds,
    optional_iso,
)
from wallet_service.texts import read_time


class CouponLimits(Struct):
    """What a coupon is for, if not for everything."""

    plan_codes: Given[ShortList[Code]] = UNSET
    billable_metric_codes: Given[ShortList[Code]] = UNSET


class CouponInput(Struct):
    """What a caller says of a coupon."""

    name: Given[Name] = UNSET
    code: Given[Code] = UNSET
    description: Given[Text] = UNSET
    coupon_type: Given[Word] = UNSET
    amount_cents: Given[Cents] = UNSET
    amount_currency: Given[Word] = UNSET
    percentage_rate: Given[Decimal] = UNSET
    frequency: Given[Word] = UNSET
    frequency_duration: Given[Integer] = UNSET
    reusable: Given[bool] = UNSET
    expiration: Given[Word] = UNSET
    expiration_at: Given[Word] = UNSET
    applies_to: Given[CouponLimits] = UNSET

    def changes(self) -> CouponChanges:
        """The same for the domain; raises a field error for what is no time."""
        ends = self.expiration_at
        limits = self.applies_to
        if not isinstance(limits, CouponLimits):
            limits = CouponLimits()
        return changes(
            self,
            CouponChanges,
            expiration_at=read_time(ends, field="expiration_at") if isinstance(ends, str) else ends,
            plan_codes=[] if limits.plan_codes is None else limits.plan_codes,
            billable_metric_codes=[]
            if limits.billable_metric_codes is None
            else limits.billable_metric_codes,
        )


class CouponRequest(Struct):
    """The envelope of a coupon to create or change."""

    coupon: CouponInput


class CouponBody(Struct, kw_only=True):
    """A coupon."""

    lago_id: str
    name: str
    code: str
    description: str | None
    coupon_type: str
    amount_cents: int | None
    amount_currency: str | None
    percentage_rate: float | None
    frequency: str
    frequency_duration: int | None
    reusable: bool
    limited_plans: bool
    plan_codes: list[str]
    limited_billable_metrics: bool
    billable_metric_codes: list[str]
    expiration: str
    expiration_at: str | None
    terminated_at: str | None
    created_at: str

    @classmethod
    def of(cls, coupon: Coupon) -> "CouponBody":
        """Show a coupon."""
        rate = coupon.percentage_rate
        return cls(
            lago_id=str(coupon.id),
            name=coupon.name,
            code=coupon.code,
            description=coupon.description,
            coupon_type=coupon.coupon_type,
            amount_cents=coupon.amount_cents,
            amount_currency=coupon.amount_currency,
            percentage_rate=None if rate is None else float(rate),
            frequency=coupon.frequency,
            frequency_duration=coupon.frequency_duration,
            reusable=coupon.reusable,
            limited_plans=bool(coupon.plan_codes),
            plan_codes=coupon.plan_codes,
            limited_billable_metrics=bool(coupon.billable_metric_codes),
            billable_metric_codes=coupon.billable_metric_codes,
            expiration=coupon.expiration,
            expiration_at=optional_iso(coupon.expiration_at),
            terminated_at=optional_iso(coupon.terminated_at),
            created_at=iso_seconds(coupon.created_at),
        )


class CouponReply(Struct):
    """The envelope of a coupon."""

    coupon: CouponBody


class CouponsReply(Struct):
    """A page of coupons."""

    coupons: list[CouponBody]
    meta: Meta
