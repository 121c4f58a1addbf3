"""What the next invoice would be, on the wire: as Lago's client asks, without an envelope."""

from typing import Annotated, ClassVar

from msgspec import UNSET, Meta, Struct, structs

from invoicing.customers import CustomerChanges
from invoicing.errors import Invalid
from wallet_service.api.schemas.customers import CustomerInput
from wallet_service.api.schemas.formats import Code, ExternalId, Given, ShortList, Word
from wallet_service.invoice_previews import PreviewRequest
from wallet_service.texts import read_time


class PreviewedCoupon(Struct):
    """A coupon that would be given."""

    code: Given[Code] = UNSET


class PreviewedSubscriptions(Struct):
    """Subscriptions that there are, as they are or as they would be changed."""

    external_ids: Given[ShortList[ExternalId]] = UNSET
    plan_code: Given[Code] = UNSET
    terminated_at: Given[Word] = UNSET


class PreviewInput(Struct):
    """Whose next invoice is asked for; null is the same as nothing."""

    is_bare: ClassVar[bool] = True

    customer: Given[CustomerInput] = UNSET
    subscriptions: Given[PreviewedSubscriptions] = UNSET
    plan_code: Given[Code] = UNSET
    billing_time: Given[Word] = UNSET
    subscription_at: Given[Word] = UNSET
    coupons: Given[Annotated[list[PreviewedCoupon], Meta(max_length=20)]] = UNSET
    billing_entity_code: Given[Code] = UNSET

    def request(self) -> PreviewRequest:
        """The same for the domain. Raises Invalid."""
        customer = self.customer or None
        subscriptions = self.subscriptions or PreviewedSubscriptions()
        ended, begun = subscriptions.terminated_at or None, self.subscription_at or None
        return PreviewRequest(
            external_customer_id=None if customer is None else customer.external_id,
            customer=CustomerChanges() if customer is None else _given(customer).changes(),
            external_subscription_ids=subscriptions.external_ids or [],
            terminated_at=read_time(ended, field="subscriptions.terminated_at") if ended else None,
            plan_code=subscriptions.plan_code or self.plan_code or None,
            billing_time=self.billing_time or "calendar",
            subscription_at=read_time(begun, field="subscription_at") if begun else None,
            coupon_codes=[
                _code(coupon, position) for position, coupon in enumerate(self.coupons or ())
            ],
            billing_entity_code=self.billing_entity_code or None,
        )


def _given(customer: CustomerInput) -> CustomerInput:
    """Without nulls: Lago's client sends one for whatever it was not told."""
    nulls = [name for name in customer.__struct_fields__ if getattr(customer, name) is None]
    nulls = [name for name in nulls if name != "external_id"]
    return structs.replace(customer, **dict.fromkeys(nulls, UNSET))


def _code(coupon: PreviewedCoupon, position: int) -> str:
    if not coupon.code:
        raise Invalid.field(f"coupons.{position}.code", "value_is_mandatory")
    return coupon.code
