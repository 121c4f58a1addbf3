"""`/applied_coupons`, and the same of one customer."""

from collections.abc import Sequence
from typing import Annotated, Final, TypeAlias
from uuid import UUID

from litestar import Controller, delete, get, post
from litestar.params import FromPath, JSONBody, QueryParameter

from invoicing import applied_coupons, customers, pages
from invoicing.applied_coupons import AppliedCouponFilter, ShownAppliedCoupon
from invoicing.records import Connection
from ledger.ids import new_uuid
from wallet_service import request_keys
from wallet_service.api.dependencies import Now, Services, Tenant, Window
from wallet_service.api.errors import field_error
from wallet_service.api.idempotency import IdempotencyKey
from wallet_service.api.pagination import meta
from wallet_service.api.schemas.applied_coupons import (
    AppliedCouponBody,
    AppliedCouponReply,
    AppliedCouponRequest,
    AppliedCouponsReply,
)
from wallet_service.api.schemas.formats import Code, Word, read_id, text_of

_STATUSES: Final = frozenset({"active", "terminated"})
_Status: TypeAlias = Annotated[
    Word | None, QueryParameter(name="status", description="active or terminated; all by default.")
]
_Codes: TypeAlias = Annotated[list[Code] | None, QueryParameter(name="coupon_code[]")]


class AppliedCoupons(Controller):
    """The coupons that customers have."""

    path = "/applied_coupons"
    tags = ("applied_coupons",)
    opt = {"resource": "applied_coupons"}  # noqa: RUF012

    @post("/", status_code=200, summary="Give a customer a coupon")
    async def create(
        self,
        data: JSONBody[AppliedCouponRequest],
        tenant: Tenant,
        services: Services,
        now: Now,
        idempotency_key: IdempotencyKey = None,
    ) -> AppliedCouponReply:
        """Give a coupon: it lowers the customer's invoices that become final from now on."""
        given, organization_id, new_id = data.applied_coupon, tenant.organization_id, new_uuid(now)
        key = request_keys.key_of("applied_coupon", idempotency_key, given)
        async with services.database.tenant(organization_id) as connection:
            made = await request_keys.claim(connection, organization_id, key, new_id, now=now)
            if made == new_id:
                await applied_coupons.apply_coupon(
                    connection,
                    organization_id,
                    external_customer_id=text_of(given.external_customer_id),
                    coupon_code=text_of(given.coupon_code),
                    terms=given.terms(),
                    applied_coupon_id=new_id,
                    now=now,
                )
            applied = await applied_coupons.get(connection, organization_id, made)
            (body,) = await _bodies(connection, organization_id, [applied])
        return AppliedCouponReply(body)

    @get("/", summary="List applied coupons")
    async def list(
        self,
        tenant: Tenant,
        services: Services,
        window: Window,
        status: _Status = None,
        external_customer_id: Annotated[str | None, QueryParameter(max_length=255)] = None,
        coupon_codes: _Codes = None,
    ) -> AppliedCouponsReply:
        """All applied coupons, newest first."""
        wanted = AppliedCouponFilter(
            statuses=_read_status(status),
            external_customer_id=external_customer_id,
            coupon_codes=coupon_codes,
        )
        async with services.database.tenant(tenant.organization_id) as connection:
            return await _page(connection, tenant.organization_id, wanted, window)


class CustomerAppliedCoupons(Controller):
    """The coupons that one customer has."""

    path = "/customers/{external_id:str}/applied_coupons"
    tags = ("applied_coupons",)
    opt = {"resource": "applied_coupons"}  # noqa: RUF012

    @get("/", summary="List a customer's applied coupons")
    async def list(
        self,
        external_id: FromPath[str],
        tenant: Tenant,
        services: Services,
        window: Window,
        status: _Status = None,
        coupon_codes: _Codes = None,
    ) -> AppliedCouponsReply:
        """The customer's applied coupons, newest first."""
        wanted = AppliedCouponFilter(
            statuses=_read_status(status),
            external_customer_id=external_id,
            coupon_codes=coupon_codes,
        )
        async with services.database.tenant(tenant.organization_id) as connection:
            await customers.get(connection, tenant.organization_id, external_id)
            return await _page(connection, tenant.organization_id, wanted, window)

    @delete("/{applied_coupon_id:str}", status_code=200, summary="Take a coupon from a customer")
    async def terminate(
        self,
        external_id: FromPath[str],
        applied_coupon_id: FromPath[str],
        tenant: Tenant,
        services: Services,
        now: Now,
    ) -> AppliedCouponReply:
        """End it: no invoice uses it from now on."""
        wanted = read_id(applied_coupon_id, "applied_coupon")
        async with services.database.tenant(tenant.organization_id) as connection:
            applied = await applied_coupons.terminate(
                connection, tenant.organization_id, external_id, wanted, now=now
            )
            (body,) = await _bodies(connection, tenant.organization_id, [applied])
        return AppliedCouponReply(body)


def _read_status(given: str | None) -> list[str] | None:
    if not given:
        return None
    if given not in _STATUSES:
        raise field_error("status", "value_is_invalid")
    return [given]


async def _page(
    connection: Connection,
    organization_id: UUID,
    wanted: AppliedCouponFilter,
    window: pages.Window,
) -> AppliedCouponsReply:
    page = await applied_coupons.find_all(connection, organization_id, wanted, window=window)
    bodies = await _bodies(connection, organization_id, page.items)
    return AppliedCouponsReply(bodies, meta(page, window))


async def _bodies(
    connection: Connection, organization_id: UUID, found: Sequence[ShownAppliedCoupon]
) -> list[AppliedCouponBody]:
    uses = await applied_coupons.uses_of(connection, organization_id, [one.id for one in found])
    return [AppliedCouponBody.of(one, uses[one.id]) for one in found]
