"""`/assets`: what balances are counted in."""

from litestar import Controller, get, post
from litestar.params import FromPath, JSONBody
from msgspec import Struct

from wallet_service import assets
from wallet_service.api.dependencies import Now, Services, Tenant, Window
from wallet_service.api.pagination import Meta, meta
from wallet_service.api.schemas.formats import Integer, Name, Word, iso_seconds
from wallet_service.assets import MONEY_SCALE, AssetRow


class AssetInput(Struct, forbid_unknown_fields=True, kw_only=True):
    """A native unit to make; amounts of it have `scale` decimals."""

    code: Word
    name: Name
    kind: Word = "unit"
    scale: Integer = MONEY_SCALE


class AssetEnvelope(Struct, forbid_unknown_fields=True):
    """The envelope of an asset to make."""

    asset: AssetInput


class AssetBody(Struct, kw_only=True):
    """An asset: money or a native unit, and how many decimals its amounts have."""

    code: str
    name: str
    kind: str
    scale: int
    created_at: str

    @classmethod
    def of(cls, row: AssetRow) -> "AssetBody":
        """Show an asset."""
        return cls(
            code=row.code,
            name=row.name,
            kind=row.kind,
            scale=row.scale,
            created_at=iso_seconds(row.created_at),
        )


class AssetReply(Struct):
    """The envelope of an asset."""

    asset: AssetBody


class AssetsReply(Struct):
    """A page of assets."""

    assets: list[AssetBody]
    meta: Meta


class Assets(Controller):
    """Currencies, which are there from the start, and native units, which are made."""

    path = "/assets"
    tags = ("assets",)
    opt = {"resource": "assets"}  # noqa: RUF012

    @post("/", status_code=200, summary="Make a native unit")
    async def create(
        self, data: JSONBody[AssetEnvelope], tenant: Tenant, services: Services, now: Now
    ) -> AssetReply:
        """Make a unit of your own: tokens, hours, credits. Its code and scale stay for ever."""
        given = data.asset
        async with services.database.tenant(tenant.organization_id) as connection:
            row = await assets.create(
                connection,
                tenant.organization_id,
                code=given.code,
                name=given.name,
                kind=given.kind,
                scale=given.scale,
                now=now,
            )
        return AssetReply(AssetBody.of(row))

    @get("/", summary="List assets")
    async def list(
        self, tenant: Tenant, services: Services, window: Window, now: Now
    ) -> AssetsReply:
        """Native units first, then all currencies."""
        async with services.database.tenant(tenant.organization_id) as connection:
            page = await assets.find_all(connection, tenant.organization_id, window=window, now=now)
        return AssetsReply([AssetBody.of(item) for item in page.items], meta(page, window))

    @get("/{code:str}", summary="Find an asset")
    async def find(
        self, code: FromPath[str], tenant: Tenant, services: Services, now: Now
    ) -> AssetReply:
        """One asset."""
        async with services.database.tenant(tenant.organization_id) as connection:
            row = await assets.find(connection, tenant.organization_id, code, now=now)
        return AssetReply(AssetBody.of(row))
