"""`/customers/{external_id}/balances`: what a customer has, from one Redis read."""

from uuid import UUID

from litestar import Controller, get
from litestar.params import FromPath, FromQuery
from msgspec import Struct

from wallet_service import replies
from wallet_service.api.errors import field_error
from wallet_service.api.hot_routes import HOT, HotRequest
from wallet_service.api.schemas.formats import Word
from wallet_service.decision import CustomerState
from wallet_service.services import Services


class GrantBalance(Struct):
    """What one grant can still pay, and what of it is in holds."""

    id: UUID
    wallet_id: UUID
    kind: str
    available: str
    held: str
    expires_at: str | None


class AssetBalance(Struct):
    """A customer's money (or units) in one asset, over all wallets."""

    asset_code: str
    available: str
    held: str
    overage: str
    grants: list[GrantBalance]


class BalancesReply(Struct):
    """All balances of a customer."""

    balances: list[AssetBalance]


async def balances(request: HotRequest) -> bytes:
    """Show a customer's balances; `?source=ledger` asks the ledger itself."""
    query = bytes(request.scope["query_string"])
    if query not in (b"", b"source=ledger", b"source=hot"):
        raise field_error("source", "value_is_invalid", "hot (the default) or ledger")
    services, organization_id = request.services, request.tenant.organization_id
    card = await services.rates.customer(
        organization_id, request.parameters["external_id"], now=request.now
    )
    key = organization_id, card.customer_id
    if query == b"source=ledger":
        customer = await services.hot.load_one(key)
    else:
        customer = await services.hot.get(key)
    return replies.encode(BalancesReply(await _assets(services, customer, request)))


async def _assets(
    services: Services, customer: CustomerState, request: HotRequest
) -> list[AssetBalance]:
    codes = {wallet.asset_code for wallet in customer.wallets.values()}
    codes |= {code for code, overage in customer.overage.items() if overage}
    shown: list[AssetBalance] = []
    for code in sorted(codes):
        asset = await services.rates.asset(customer.organization_id, code, now=request.now)
        grants = [grant for grant in customer.grants if grant.wallet.asset_code == code]
        shown.append(
            AssetBalance(
                code,
                asset.format(
                    sum(
                        grant.available
                        for grant in grants
                        if grant.is_spendable(request.now) and not grant.wallet.frozen
                    )
                ),
                asset.format(sum(grant.held for grant in grants)),
                asset.format(customer.overage.get(code, 0)),
                [
                    GrantBalance(
                        grant.id,
                        grant.wallet.id,
                        grant.kind,
                        asset.format(grant.available if grant.is_spendable(request.now) else 0),
                        asset.format(grant.held),
                        replies.iso(grant.expires_at) if grant.expires_at else None,
                    )
                    for grant in grants
                ],
            )
        )
    return shown


class Balances(Controller):
    """What customers have."""

    path = "/customers/{external_id:str}/balances"
    tags = ("balances",)
    opt = {"resource": "balances"}  # noqa: RUF012

    @get("/", summary="Balances of a customer", opt={HOT: balances})
    async def find(
        self, external_id: FromPath[str], source: FromQuery[Word | None] = None
    ) -> BalancesReply:
        """Available, held and owed, per asset and grant: one read of the hot balances."""
        raise AssertionError("answered by the hot route")
