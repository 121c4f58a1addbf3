"""`/coupons`."""

from litestar import Controller, delete, get, post, put
from litestar.params import FromPath, JSONBody

from invoicing import coupons
from wallet_service.api.dependencies import Now, Services, Tenant, Window
from wallet_service.api.pagination import meta
from wallet_service.api.schemas.coupons import CouponBody, CouponReply, CouponRequest, CouponsReply


class Coupons(Controller):
    """What customers may be given to pay less."""

    path = "/coupons"
    tags = ("coupons",)
    opt = {"resource": "coupons"}  # noqa: RUF012

    @post("/", status_code=200, summary="Create a coupon")
    async def create(
        self, data: JSONBody[CouponRequest], tenant: Tenant, services: Services, now: Now
    ) -> CouponReply:
        """Add a coupon. It lowers nothing until it is given to a customer."""
        changes = data.coupon.changes()
        async with services.database.tenant(tenant.organization_id) as connection:
            coupon = await coupons.create(connection, tenant.organization_id, changes, now=now)
        return CouponReply(CouponBody.of(coupon))

    @get("/", summary="List coupons")
    async def list(self, tenant: Tenant, services: Services, window: Window) -> CouponsReply:
        """All coupons, newest first."""
        async with services.database.tenant(tenant.organization_id) as connection:
            page = await coupons.find_all(connection, tenant.organization_id, window=window)
        return CouponsReply([CouponBody.of(item) for item in page.items], meta(page, window))

    @get("/{code:str}", summary="Find a coupon")
    async def find(self, code: FromPath[str], tenant: Tenant, services: Services) -> CouponReply:
        """One coupon."""
        async with services.database.tenant(tenant.organization_id) as connection:
            coupon = await coupons.get(connection, tenant.organization_id, code)
        return CouponReply(CouponBody.of(coupon))

    @put("/{code:str}", status_code=200, summary="Change a coupon")
    async def update(
        self,
        code: FromPath[str],
        data: JSONBody[CouponRequest],
        tenant: Tenant,
        services: Services,
        now: Now,
    ) -> CouponReply:
        """Change a coupon: its worth for those who are given it from now on."""
        changes = data.coupon.changes()
        async with services.database.tenant(tenant.organization_id) as connection:
            coupon = await coupons.update(
                connection, tenant.organization_id, code, changes, now=now
            )
        return CouponReply(CouponBody.of(coupon))

    @delete("/{code:str}", status_code=200, summary="Delete a coupon")
    async def delete(
        self, code: FromPath[str], tenant: Tenant, services: Services, now: Now
    ) -> CouponReply:
        """Withdraw a coupon, also from those who have it."""
        async with services.database.tenant(tenant.organization_id) as connection:
            coupon = await coupons.delete(connection, tenant.organization_id, code, now=now)
        return CouponReply(CouponBody.of(coupon))
