"""`/api_keys`: the keys of the caller's organization."""

from litestar import Controller, delete, get, post
from litestar.params import FromPath, JSONBody
from msgspec import UnsetType

from wallet_service import api_keys
from wallet_service.api.dependencies import Now, Services, Tenant, Window
from wallet_service.api.errors import forbidden
from wallet_service.api.pagination import meta
from wallet_service.api.schemas.api_keys import (
    ApiKeyBody,
    ApiKeyReply,
    ApiKeyRequest,
    ApiKeysReply,
)
from wallet_service.api.schemas.formats import read_id
from wallet_service.texts import read_time


class ApiKeys(Controller):
    """Who may come in, and where to."""

    path = "/api_keys"
    tags = ("api_keys",)
    opt = {"resource": "api_keys"}  # noqa: RUF012

    @post("/", status_code=200, summary="Create an API key")
    async def create(
        self, data: JSONBody[ApiKeyRequest], tenant: Tenant, services: Services, now: Now
    ) -> ApiKeyReply:
        """Make a key that may do no more than yours. Its `value` is shown here and nowhere else."""
        given = data.api_key
        scopes = (api_keys.ALL,) if isinstance(given.scopes, UnsetType) else given.scopes
        if api_keys.ALL not in tenant.scopes and not set(scopes) <= tenant.scopes:
            raise forbidden("scopes_exceed_those_of_the_key")
        async with services.database.tenant(tenant.organization_id) as connection:
            key, value = await api_keys.create(
                connection,
                tenant.organization_id,
                None if isinstance(given.name, UnsetType) else given.name,
                scopes=scopes,
                expires_at=None
                if isinstance(given.expires_at, UnsetType)
                else read_time(given.expires_at, field="expires_at"),
                now=now,
            )
        return ApiKeyReply(ApiKeyBody.of(key, value=value))

    @get("/", summary="List API keys")
    async def list(self, tenant: Tenant, services: Services, window: Window) -> ApiKeysReply:
        """All keys, newest first, revoked ones included."""
        async with services.database.tenant(tenant.organization_id) as connection:
            page = await api_keys.find_all(connection, tenant.organization_id, window=window)
        return ApiKeysReply([ApiKeyBody.of(item) for item in page.items], meta(page, window))

    @delete("/{key_id:str}", status_code=200, summary="Revoke an API key")
    async def revoke(
        self, key_id: FromPath[str], tenant: Tenant, services: Services, now: Now
    ) -> ApiKeyReply:
        """Make a key useless, within seconds and for ever."""
        async with services.database.tenant(tenant.organization_id) as connection:
            key = await api_keys.revoke(
                connection, tenant.organization_id, read_id(key_id, "api_key"), now=now
            )
        services.keys.forget()
        return ApiKeyReply(ApiKeyBody.of(key))
