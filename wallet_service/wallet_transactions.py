"""Movements of a wallet's credits, in Lago's words: purchased, granted, voided.

purchased ──pending──settle──► settled (the grant comes into being)
               └─────fail────► failed
granted, voided ─────────────► settled at once
"""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, ClassVar, Final
from uuid import UUID

import msgspec
from msgspec import Struct, structs

from invoicing.pages import Page, Window
from invoicing.records import Record, load_queries
from wallet_service.committer import Committer
from wallet_service.credit_amounts import cents_of, credits_of
from wallet_service.database import Database
from wallet_service.decision import Asset, CustomerKey, CustomerState
from wallet_service.decision.commands import Fail, Settle
from wallet_service.decision.outcomes import TransactionRow as TransactionTerms
from wallet_service.errors import Invalid, NotAllowed, NotFound
from wallet_service.hot_customers import HotCustomers
from wallet_service.operations import check_key, operation
from wallet_service.rate_card_cache import RateCardCache
from wallet_service.replies import WalletTransactionBody, decimal_text, iso, wallet_transaction_body
from wallet_service.texts import read_uuid
from wallet_service.wallet_transaction_requests import (
    SettleRequest,
    WalletTransactionRequest,
    check_provider,
    movement_of,
)
from wallet_service.wallets import COUNT_MAX, WalletRow, find_row

__all__ = ["TransactionFilter", "WalletTransactions", "sold_for"]

_queries: Final[Any] = load_queries(__file__)


class TransactionFilter(Struct, frozen=True, kw_only=True):
    """Which transactions are wanted; None means all."""

    status: str | None = None
    transaction_type: str | None = None
    transaction_status: str | None = None


class TransactionRow(Record, frozen=True, kw_only=True):
    """A wallet transaction as stored."""

    json_columns: ClassVar[tuple[str, ...]] = ("metadata",)

    organization_id: UUID
    id: UUID
    wallet_id: UUID
    customer_id: UUID
    grant_id: UUID | None
    name: str | None
    status: str
    transaction_type: str
    transaction_status: str
    source: str
    amount_minor: int
    credit_amount: Decimal
    priority: int
    kind: str
    cost_basis: Decimal | None
    cost_basis_currency: str | None
    expires_at: datetime | None
    metadata: list[dict[str, str]]
    invoice_requires_successful_payment: bool
    settled_at: datetime | None
    failed_at: datetime | None
    created_at: datetime
    asset_code: str
    rate_amount: Decimal

    @property
    def customer(self) -> CustomerKey:
        """Whose balances these are."""
        return self.organization_id, self.customer_id


class _Listed(Struct):
    wallet_transactions: list[WalletTransactionBody]


class _One(Struct):
    wallet_transaction: WalletTransactionBody


class WalletTransactions:
    """Purchases, grants and voids credits, settles purchases, and shows what was moved."""

    def __init__(
        self, *, database: Database, committer: Committer, rates: RateCardCache, hot: HotCustomers
    ) -> None:
        self._database = database
        self._committer = committer
        self._rates = rates
        self._hot = hot

    async def create(
        self, organization_id: UUID, request: WalletTransactionRequest, *, now: datetime
    ) -> list[WalletTransactionBody]:
        """Move credits: purchased, granted, voided, in this order. Raises Invalid."""
        key = None if request.transaction_id is None else check_key(request.transaction_id)
        wallet = await self._wallet(organization_id, request.wallet_id)
        asset = await self._rates.asset(organization_id, wallet.asset_code, now=now)
        command = movement_of(request, wallet, asset)
        currency = request.cost_basis_currency
        money = await sold_for(self._rates, organization_id, asset, currency, now=now)
        command = structs.replace(command, money=money)
        if not command.fundings and not command.voided_minor:
            return []
        try:
            reply = await self._committer.submit(
                operation(
                    organization_id,
                    "wallet_transaction",
                    key,
                    command,
                    customer_id=wallet.customer_id,
                    body=request,
                    now=now,
                )
            )
        except NotFound:
            # Ended wallets without anything in them are not even looked at under the lock.
            raise Invalid("wallet_id", "wallet_is_terminated") from None
        return msgspec.json.decode(reply, type=_Listed).wallet_transactions

    async def settle(
        self,
        organization_id: UUID,
        transaction_id: UUID,
        request: SettleRequest,
        *,
        now: datetime,
    ) -> WalletTransactionBody:
        """The payment of purchased credits arrived. Whoever says so second gets the same answer.

        Raises NotFound, NotAllowed (it failed) and Invalid (the wallet has ended).
        """
        check_provider(request.provider)
        row = await self._row(organization_id, transaction_id)
        asset = await self._rates.asset(organization_id, row.asset_code, now=now)
        money = await sold_for(
            self._rates, organization_id, asset, row.cost_basis_currency, now=now
        )
        command = Settle(row.id, asset, request.provider, money)
        try:
            reply = await self._submit("settle", row, command, now=now)
        except NotAllowed:
            row = await self._row(organization_id, transaction_id)
            if row.status != "settled":
                raise
            return (await self._show([row], now=now))[0]
        except NotFound:
            raise Invalid("wallet_id", "wallet_is_terminated") from None
        return msgspec.json.decode(reply, type=_One).wallet_transaction

    async def fail(
        self, organization_id: UUID, transaction_id: UUID, *, now: datetime
    ) -> WalletTransactionBody:
        """The payment of purchased credits failed for good.

        Raises NotFound and NotAllowed (it is settled).
        """
        row = await self._row(organization_id, transaction_id)
        if row.status != "failed":
            asset = await self._rates.asset(organization_id, row.asset_code, now=now)
            await self._submit("fail", row, Fail(row.id, asset), now=now)
        return await self.find(organization_id, transaction_id, now=now)

    async def find(
        self, organization_id: UUID, transaction_id: UUID, *, now: datetime
    ) -> WalletTransactionBody:
        """A transaction, and what is left of its credits. Raises NotFound."""
        row = await self._row(organization_id, transaction_id)
        return (await self._show([row], now=now))[0]

    async def find_all(
        self,
        organization_id: UUID,
        wallet_id: UUID,
        wanted: TransactionFilter,
        *,
        window: Window,
        now: datetime,
    ) -> Page[WalletTransactionBody]:
        """A page of a wallet's transactions, newest first. Raises NotFound."""
        async with self._database.tenant(organization_id) as connection:
            if await find_row(connection, organization_id, wallet_id) is None:
                raise NotFound("wallet")
            place = {
                "organization_id": organization_id,
                "wallet_id": wallet_id,
                **msgspec.structs.asdict(wanted),
            }
            found = _queries.list_transactions(
                connection, **place, limit=window.size, offset=window.offset
            )
            rows = [TransactionRow.of(row) async for row in found]
            count = await _queries.count_transactions(connection, **place, count_max=COUNT_MAX)
        return Page(await self._show(rows, now=now), count)

    # -- parts

    async def _wallet(self, organization_id: UUID, wallet_id: str | None) -> WalletRow:
        if not wallet_id:
            raise Invalid("wallet_id", "value_is_mandatory")
        try:
            known = read_uuid(wallet_id)
        except ValueError:
            raise Invalid("wallet_id", "wallet_not_found") from None
        async with self._database.tenant(organization_id) as connection:
            row = await find_row(connection, organization_id, known)
        if row is None:
            raise Invalid("wallet_id", "wallet_not_found")
        return row

    async def _row(self, organization_id: UUID, transaction_id: UUID) -> TransactionRow:
        async with self._database.tenant(organization_id) as connection:
            row = await _queries.find_transaction(
                connection, organization_id=organization_id, id=transaction_id
            )
        if row is None:
            raise NotFound("wallet_transaction")
        return TransactionRow.of(row)

    async def _submit(
        self, kind: str, row: TransactionRow, command: Settle | Fail, *, now: datetime
    ) -> bytes:
        """One key a transaction, whoever asks.

        The caller and a provider's webhook may both come.
        """
        return await self._committer.submit(
            operation(
                row.organization_id,
                kind,
                str(row.id),
                command,
                customer_id=row.customer_id,
                body=_ANY_SETTLEMENT,
                now=now,
            )
        )

    async def _show(
        self, rows: Sequence[TransactionRow], *, now: datetime
    ) -> list[WalletTransactionBody]:
        states = await self._hot.get_all(list({row.customer for row in rows}))
        return [
            _body(
                row,
                await self._rates.asset(row.organization_id, row.asset_code, now=now),
                states[row.customer],
            )
            for row in rows
        ]


_ANY_SETTLEMENT: Final = SettleRequest()


async def sold_for(
    rates: RateCardCache,
    organization_id: UUID,
    asset: Asset,
    currency: str | None,
    *,
    now: datetime,
) -> Asset | None:
    """The money that native units of a cost basis are sold for; None where nothing says so."""
    if currency is None or not asset.is_unit:
        return None
    return await rates.asset(organization_id, currency, now=now)


def _body(row: TransactionRow, asset: Asset, state: CustomerState) -> WalletTransactionBody:
    columns: dict[str, Any] = {
        name: getattr(row, name, None) for name in TransactionTerms.__struct_fields__
    }
    body = wallet_transaction_body(TransactionTerms(**columns), asset, at=row.created_at)
    body.settled_at = None if row.settled_at is None else iso(row.settled_at)
    body.failed_at = None if row.failed_at is None else iso(row.failed_at)
    if row.grant_id is not None:
        grant = state.grant(row.grant_id)
        left = 0 if grant is None else grant.available + grant.held
        body.remaining_amount_cents = cents_of(left, asset)
        body.remaining_credit_amount = decimal_text(
            credits_of(left, rate=row.rate_amount, asset=asset)
        )
    return body
