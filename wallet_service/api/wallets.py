"""`/wallets`, and the same by a customer's own names: `/customers/{external_id}/wallets`."""

from litestar import Controller, delete, get, patch, post, put
from litestar.params import FromPath, FromQuery, JSONBody
from msgspec.structs import replace

from invoicing.pages import Page
from wallet_service.api.dependencies import Now, Services, Tenant, Window
from wallet_service.api.idempotency import IdempotencyKey, keyed
from wallet_service.api.pagination import meta
from wallet_service.api.schemas.formats import ExternalId, Word, read_id
from wallet_service.api.schemas.metadata import MetadataEnvelope, MetadataReply
from wallet_service.api.schemas.wallet_transactions import WalletTransactionsPage
from wallet_service.api.schemas.wallets import (
    WalletBody,
    WalletEnvelope,
    WalletReply,
    WalletsReply,
)
from wallet_service.api.wallet_transactions import read_filter
from wallet_service.errors import Invalid, NotFound
from wallet_service.wallets import WalletRow, WalletView


def _page(page: Page[WalletView], window: Window) -> WalletsReply:
    return WalletsReply([WalletBody.of(item) for item in page.items], meta(page, window))


async def _row(services: Services, tenant: Tenant, wallet_id: str) -> WalletRow:
    return await services.wallets.row(tenant.organization_id, read_id(wallet_id, "wallet"))


class Wallets(Controller):
    """Prepaid balances."""

    path = "/wallets"
    tags = ("wallets",)
    opt = {"resource": "wallets"}  # noqa: RUF012

    @post("/", status_code=200, summary="Create a wallet")
    async def create(
        self,
        data: JSONBody[WalletEnvelope],
        tenant: Tenant,
        services: Services,
        now: Now,
        idempotency_key: IdempotencyKey = None,
    ) -> WalletReply:
        """Open a wallet. Granted credits are there with the answer, purchased ones are pending."""
        request = keyed(data.wallet, idempotency_key)
        view = await services.wallets.create(tenant.organization_id, request, now=now)
        return WalletReply(WalletBody.of(view))

    @get("/", summary="List wallets")
    async def list(
        self,
        tenant: Tenant,
        services: Services,
        window: Window,
        now: Now,
        external_customer_id: FromQuery[ExternalId | None] = None,
    ) -> WalletsReply:
        """All wallets, newest first, terminated ones included. The count stops at 100,000."""
        page = await services.wallets.find_all(
            tenant.organization_id,
            external_customer_id=external_customer_id,
            window=window,
            now=now,
        )
        return _page(page, window)

    @get("/{wallet_id:str}", summary="Find a wallet")
    async def find(
        self, wallet_id: FromPath[str], tenant: Tenant, services: Services, now: Now
    ) -> WalletReply:
        """One wallet and what is in it."""
        row = await _row(services, tenant, wallet_id)
        return WalletReply(WalletBody.of(await services.wallets.show(row, now=now)))

    @put("/{wallet_id:str}", status_code=200, summary="Change a wallet")
    async def update(
        self,
        wallet_id: FromPath[str],
        data: JSONBody[WalletEnvelope],
        tenant: Tenant,
        services: Services,
        now: Now,
    ) -> WalletReply:
        """Change its terms, or freeze it. Currency, rate and code stay for ever."""
        row = await _row(services, tenant, wallet_id)
        view = await services.wallets.update(tenant.organization_id, row, data.wallet, now=now)
        return WalletReply(WalletBody.of(view))

    @delete("/{wallet_id:str}", status_code=200, summary="Terminate a wallet")
    async def terminate(
        self, wallet_id: FromPath[str], tenant: Tenant, services: Services, now: Now
    ) -> WalletReply:
        """End a wallet; what is free of its credits is voided, holds keep what they have."""
        row = await _row(services, tenant, wallet_id)
        return WalletReply(WalletBody.of(await services.wallets.terminate(row, now=now)))

    @get(
        "/{wallet_id:str}/wallet_transactions",
        opt={"resource": "wallet_transactions"},
        summary="List a wallet's transactions",
    )
    async def list_transactions(
        self,
        wallet_id: FromPath[str],
        tenant: Tenant,
        services: Services,
        window: Window,
        now: Now,
        status: FromQuery[Word | None] = None,
        transaction_type: FromQuery[Word | None] = None,
        transaction_status: FromQuery[Word | None] = None,
    ) -> WalletTransactionsPage:
        """What was purchased, granted and voided, newest first."""
        page = await services.wallet_transactions.find_all(
            tenant.organization_id,
            read_id(wallet_id, "wallet"),
            read_filter(status, transaction_type, transaction_status),
            window=window,
            now=now,
        )
        return WalletTransactionsPage(page.items, meta(page, window))

    @post("/{wallet_id:str}/metadata", status_code=200, summary="Replace a wallet's metadata")
    async def replace_metadata(
        self,
        wallet_id: FromPath[str],
        data: JSONBody[MetadataEnvelope],
        tenant: Tenant,
        services: Services,
        now: Now,
    ) -> MetadataReply:
        """Have these entries and no others."""
        row = await _row(services, tenant, wallet_id)
        changes = {"metadata": data.metadata}
        return MetadataReply(await services.wallets.change_metadata(row, changes, now=now))

    @patch("/{wallet_id:str}/metadata", status_code=200, summary="Merge a wallet's metadata")
    async def merge_metadata(
        self,
        wallet_id: FromPath[str],
        data: JSONBody[MetadataEnvelope],
        tenant: Tenant,
        services: Services,
        now: Now,
    ) -> MetadataReply:
        """Add these entries, or give them new values."""
        row = await _row(services, tenant, wallet_id)
        changes = {"metadata_merge": data.metadata}
        return MetadataReply(await services.wallets.change_metadata(row, changes, now=now))

    @delete("/{wallet_id:str}/metadata", status_code=200, summary="Delete a wallet's metadata")
    async def delete_metadata(
        self, wallet_id: FromPath[str], tenant: Tenant, services: Services, now: Now
    ) -> MetadataReply:
        """Remove all entries; answers null, as Lago does."""
        row = await _row(services, tenant, wallet_id)
        await services.wallets.change_metadata(row, {"metadata": {}}, now=now)
        return MetadataReply(None)

    @delete(
        "/{wallet_id:str}/metadata/{name:str}",
        status_code=200,
        summary="Delete one entry of a wallet's metadata",
    )
    async def delete_metadata_entry(
        self,
        wallet_id: FromPath[str],
        name: FromPath[str],
        tenant: Tenant,
        services: Services,
        now: Now,
    ) -> MetadataReply:
        """Remove one entry; answers what is left. Raises 404 where there is no such entry."""
        row = await _row(services, tenant, wallet_id)
        if name not in row.metadata:
            raise NotFound("metadata")
        changes = {"metadata_remove": [name]}
        return MetadataReply(await services.wallets.change_metadata(row, changes, now=now))


class CustomerWallets(Controller):
    """A customer's wallets, by its own id and their codes."""

    path = "/customers/{external_id:str}/wallets"
    tags = ("wallets",)
    opt = {"resource": "wallets"}  # noqa: RUF012

    @post("/", status_code=200, summary="Create a customer's wallet")
    async def create(
        self,
        external_id: FromPath[str],
        data: JSONBody[WalletEnvelope],
        tenant: Tenant,
        services: Services,
        now: Now,
        idempotency_key: IdempotencyKey = None,
    ) -> WalletReply:
        """As `POST /wallets`, for this customer."""
        request = keyed(replace(data.wallet, external_customer_id=external_id), idempotency_key)
        try:
            view = await services.wallets.create(tenant.organization_id, request, now=now)
        except Invalid as error:
            if error.code == "customer_not_found":  # here it is in the address
                raise NotFound("customer") from None
            raise
        return WalletReply(WalletBody.of(view))

    @get("/", summary="List a customer's wallets")
    async def list(
        self,
        external_id: FromPath[str],
        tenant: Tenant,
        services: Services,
        window: Window,
        now: Now,
    ) -> WalletsReply:
        """The customer's wallets, newest first, terminated ones included."""
        page = await services.wallets.find_all(
            tenant.organization_id, external_customer_id=external_id, window=window, now=now
        )
        return _page(page, window)

    @get("/{code:str}", summary="Find a customer's wallet")
    async def find(
        self,
        external_id: FromPath[str],
        code: FromPath[str],
        tenant: Tenant,
        services: Services,
        now: Now,
    ) -> WalletReply:
        """The active wallet of this code, or else the last that had it."""
        row = await services.wallets.row_by_code(tenant.organization_id, external_id, code)
        return WalletReply(WalletBody.of(await services.wallets.show(row, now=now)))

    @put("/{code:str}", status_code=200, summary="Change a customer's wallet")
    async def update(
        self,
        external_id: FromPath[str],
        code: FromPath[str],
        data: JSONBody[WalletEnvelope],
        tenant: Tenant,
        services: Services,
        now: Now,
    ) -> WalletReply:
        """As `PUT /wallets/{id}`."""
        row = await services.wallets.row_by_code(tenant.organization_id, external_id, code)
        view = await services.wallets.update(tenant.organization_id, row, data.wallet, now=now)
        return WalletReply(WalletBody.of(view))

    @delete("/{code:str}", status_code=200, summary="Terminate a customer's wallet")
    async def terminate(
        self,
        external_id: FromPath[str],
        code: FromPath[str],
        tenant: Tenant,
        services: Services,
        now: Now,
    ) -> WalletReply:
        """As `DELETE /wallets/{id}`."""
        row = await services.wallets.row_by_code(tenant.organization_id, external_id, code)
        return WalletReply(WalletBody.of(await services.wallets.terminate(row, now=now)))

    @post(
        "/{code:str}/metadata",
        status_code=200,
        summary="Replace the metadata of a customer's wallet",
    )
    async def replace_metadata(
        self,
        external_id: FromPath[str],
        code: FromPath[str],
        data: JSONBody[MetadataEnvelope],
        tenant: Tenant,
        services: Services,
        now: Now,
    ) -> MetadataReply:
        """Have these entries and no others."""
        row = await services.wallets.row_by_code(tenant.organization_id, external_id, code)
        changes = {"metadata": data.metadata}
        return MetadataReply(await services.wallets.change_metadata(row, changes, now=now))

    @patch(
        "/{code:str}/metadata", status_code=200, summary="Merge the metadata of a customer's wallet"
    )
    async def merge_metadata(
        self,
        external_id: FromPath[str],
        code: FromPath[str],
        data: JSONBody[MetadataEnvelope],
        tenant: Tenant,
        services: Services,
        now: Now,
    ) -> MetadataReply:
        """Add these entries, or give them new values."""
        row = await services.wallets.row_by_code(tenant.organization_id, external_id, code)
        changes = {"metadata_merge": data.metadata}
        return MetadataReply(await services.wallets.change_metadata(row, changes, now=now))

    @delete(
        "/{code:str}/metadata",
        status_code=200,
        summary="Delete the metadata of a customer's wallet",
    )
    async def delete_metadata(
        self,
        external_id: FromPath[str],
        code: FromPath[str],
        tenant: Tenant,
        services: Services,
        now: Now,
    ) -> MetadataReply:
        """Remove all entries; answers null, as Lago does."""
        row = await services.wallets.row_by_code(tenant.organization_id, external_id, code)
        await services.wallets.change_metadata(row, {"metadata": {}}, now=now)
        return MetadataReply(None)

    @delete(
        "/{code:str}/metadata/{name:str}",
        status_code=200,
        summary="Delete one entry of the metadata of a customer's wallet",
    )
    async def delete_metadata_entry(
        self,
        external_id: FromPath[str],
        code: FromPath[str],
        name: FromPath[str],
        tenant: Tenant,
        services: Services,
        now: Now,
    ) -> MetadataReply:
        """Remove one entry; answers what is left. Raises 404 where there is no such entry."""
        row = await services.wallets.row_by_code(tenant.organization_id, external_id, code)
        if name not in row.metadata:
            raise NotFound("metadata")
        changes = {"metadata_remove": [name]}
        return MetadataReply(await services.wallets.change_metadata(row, changes, now=now))
