"""`/plans/{code}/versions`: the prices that a plan has had, has, and will have."""

from litestar import Controller, get
from litestar.params import FromPath

from invoicing import plan_versions, plans
from wallet_service.api.dependencies import Now, Services, Tenant, Window
from wallet_service.api.schemas.plan_versions import PlanVersionsReply


class PlanVersions(Controller):
    """The versions of a plan's prices, and what each changed."""

    path = "/plans/{code:str}/versions"
    tags = ("plans",)
    opt = {"resource": "plans"}  # noqa: RUF012

    @get("/", summary="List the versions of a plan's prices")
    async def list(
        self,
        code: FromPath[str],
        tenant: Tenant,
        services: Services,
        window: Window,
        now: Now,
    ) -> PlanVersionsReply:
        """All versions, the last published first, those that wait for their time included."""
        organization_id = tenant.organization_id
        async with services.database.tenant(organization_id) as connection:
            plan_id = await plans.get_id(connection, organization_id, code)
            in_force = await plans.version_at(connection, organization_id, plan_id, now)
            page = await plan_versions.find_all(connection, organization_id, plan_id, window=window)
        return PlanVersionsReply.of(page, window, in_force=in_force.id, now=now)
