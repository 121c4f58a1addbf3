"""`/grants`: each funding of a wallet, and what is left of it."""

from litestar import Controller, get, post
from litestar.params import FromPath, FromQuery, JSONBody
from msgspec import Struct

from wallet_service.api.dependencies import Now, Services, Tenant, Window
from wallet_service.api.idempotency import IdempotencyKey, keyed
from wallet_service.api.pagination import Meta, meta
from wallet_service.api.schemas.formats import ExternalId, Word, read_id
from wallet_service.grants import GrantBody, GrantRequest


class GrantEnvelope(Struct, forbid_unknown_fields=True):
    """The envelope of a grant to make."""

    grant: GrantRequest


class GrantReply(Struct):
    """The envelope of a grant."""

    grant: GrantBody


class GrantsReply(Struct):
    """A page of grants."""

    grants: list[GrantBody]
    meta: Meta


class Grants(Controller):
    """Fundings."""

    path = "/grants"
    tags = ("grants",)
    opt = {"resource": "grants"}  # noqa: RUF012

    @post("/", status_code=200, summary="Fund a wallet")
    async def create(
        self,
        data: JSONBody[GrantEnvelope],
        tenant: Tenant,
        services: Services,
        now: Now,
        idempotency_key: IdempotencyKey = None,
    ) -> GrantReply:
        """Fund a wallet at once, under a key: `transaction_id` or the header `Idempotency-Key`."""
        request = keyed(data.grant, idempotency_key)
        return GrantReply(await services.grants.create(tenant.organization_id, request, now=now))

    @get("/", summary="List grants")
    async def list(
        self,
        tenant: Tenant,
        services: Services,
        window: Window,
        now: Now,
        wallet_id: FromQuery[Word | None] = None,
        external_customer_id: FromQuery[ExternalId | None] = None,
    ) -> GrantsReply:
        """All grants, newest first, exhausted ones included. The count stops at 100,000."""
        page = await services.grants.find_all(
            tenant.organization_id,
            wallet_id=None if wallet_id is None else read_id(wallet_id, "wallet"),
            external_customer_id=external_customer_id,
            window=window,
            now=now,
        )
        return GrantsReply(page.items, meta(page, window))

    @get("/{grant_id:str}", summary="Find a grant")
    async def find(
        self, grant_id: FromPath[str], tenant: Tenant, services: Services, now: Now
    ) -> GrantReply:
        """One grant and what is left of it."""
        wanted = read_id(grant_id, "grant")
        return GrantReply(await services.grants.find(tenant.organization_id, wanted, now=now))
