"""`/wallet_transactions`."""

from typing import Any

from litestar import Controller, Request, get, post
from litestar.datastructures import State
from litestar.params import FromPath, JSONBody

from wallet_service.api.bodies import BodyDecoder
from wallet_service.api.dependencies import Now, Services, Tenant
from wallet_service.api.errors import field_error
from wallet_service.api.idempotency import IdempotencyKey, keyed
from wallet_service.api.schemas.formats import read_id
from wallet_service.api.schemas.wallet_transactions import (
    SettleEnvelope,
    WalletTransactionEnvelope,
    WalletTransactionReply,
    WalletTransactionsReply,
)
from wallet_service.wallet_transactions import TransactionFilter

_FILTERS = {
    "status": frozenset({"pending", "settled", "failed"}),
    "transaction_type": frozenset({"inbound", "outbound"}),
    "transaction_status": frozenset({"purchased", "granted", "voided", "invoiced"}),
}
_settle = BodyDecoder(SettleEnvelope, lax=False)


def read_filter(
    status: str | None, transaction_type: str | None, transaction_status: str | None
) -> TransactionFilter:
    """Which transactions are wanted; raises a field error."""
    wanted = {
        "status": status,
        "transaction_type": transaction_type,
        "transaction_status": transaction_status,
    }
    for field, value in wanted.items():
        if value is not None and value not in _FILTERS[field]:
            raise field_error(field, "value_is_invalid")
    return TransactionFilter(**wanted)


class WalletTransactions(Controller):
    """Movements of credits."""

    path = "/wallet_transactions"
    tags = ("wallet_transactions",)
    opt = {"resource": "wallet_transactions"}  # noqa: RUF012

    @post("/", status_code=200, summary="Purchase, grant or void credits")
    async def create(
        self,
        data: JSONBody[WalletTransactionEnvelope],
        tenant: Tenant,
        services: Services,
        now: Now,
        idempotency_key: IdempotencyKey = None,
    ) -> WalletTransactionsReply:
        """Granted and voided credits move at once; purchased ones wait for their payment."""
        request = keyed(data.wallet_transaction, idempotency_key)
        return WalletTransactionsReply(
            await services.wallet_transactions.create(tenant.organization_id, request, now=now)
        )

    @get("/{transaction_id:str}", summary="Find a wallet transaction")
    async def find(
        self, transaction_id: FromPath[str], tenant: Tenant, services: Services, now: Now
    ) -> WalletTransactionReply:
        """One transaction, and what is left of its credits."""
        wanted = read_id(transaction_id, "wallet_transaction")
        return WalletTransactionReply(
            await services.wallet_transactions.find(tenant.organization_id, wanted, now=now)
        )

    @post("/{transaction_id:str}/settle", status_code=200, summary="Settle purchased credits")
    async def settle(
        self,
        transaction_id: FromPath[str],
        request: Request[Any, Any, State],
        tenant: Tenant,
        services: Services,
        now: Now,
    ) -> WalletTransactionReply:
        """The payment arrived: the credits are there.

        The body, `{"settle": {"provider": …}}`, is optional.
        """
        body = await request.body()
        given = _settle.decode(body).settle if body else SettleEnvelope().settle
        settled = await services.wallet_transactions.settle(
            tenant.organization_id, read_id(transaction_id, "wallet_transaction"), given, now=now
        )
        return WalletTransactionReply(settled)

    @post("/{transaction_id:str}/fail", status_code=200, summary="Give up purchased credits")
    async def fail(
        self, transaction_id: FromPath[str], tenant: Tenant, services: Services, now: Now
    ) -> WalletTransactionReply:
        """The payment failed for good."""
        wanted = read_id(transaction_id, "wallet_transaction")
        return WalletTransactionReply(
            await services.wallet_transactions.fail(tenant.organization_id, wanted, now=now)
        )
