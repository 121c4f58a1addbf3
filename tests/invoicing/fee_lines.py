"""Lines of an invoice for tests of what lowers and taxes them."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from invoicing.coupon_shares import UsableCoupon
from invoicing.fees import Fee

AT = datetime(2026, 3, 10, tzinfo=UTC)


def number(n: int) -> UUID:
    """A made-up id."""
    return UUID(int=n)


def line(n: int, amount_cents: int, **fields: Any) -> Fee:
    """A line of usage: the n-th of its invoice."""
    fields.setdefault("fee_type", "charge")
    return Fee(
        organization_id=number(0),
        id=number(n),
        customer_id=number(0),
        position=n,
        item_code="tokens",
        item_name="Tokens",
        amount_cents=amount_cents,
        precise_amount_cents=Decimal(amount_cents),
        amount_currency="EUR",
        created_at=AT,
        updated_at=AT,
        **fields,
    )


def amount_off(n: int, amount_cents: int, **fields: Any) -> UsableCoupon:
    """A coupon of an amount in euros."""
    return _coupon(n, amount_cents=amount_cents, percentage_rate=None, **fields)


def percent_off(n: int, rate: str, **fields: Any) -> UsableCoupon:
    """A coupon of a part."""
    return _coupon(n, amount_cents=None, percentage_rate=Decimal(rate), **fields)


def _coupon(n: int, **fields: Any) -> UsableCoupon:
    fields.setdefault("applied_at", AT)
    fields.setdefault("amount_currency", "EUR")
    return UsableCoupon(applied_coupon_id=number(n), code=f"c{n}", name=f"Coupon {n}", **fields)
