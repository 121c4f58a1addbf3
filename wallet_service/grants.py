"""Grants: one funding of a wallet each, paid or promotional, with cost basis, priority and expiry.

A resource of ours. Amounts are decimal texts in the asset's unit, not credits; the grant is there
with the answer.
"""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Final, Literal
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from invoicing import customers
from invoicing.pages import Page, Window
from invoicing.records import Connection, Record, load_queries
from ledger import money
from ledger.errors import InvalidAmount
from wallet_service.committer import Committer
from wallet_service.credit_amounts import credits_of
from wallet_service.database import Database
from wallet_service.decision import Asset, CustomerKey, CustomerState
from wallet_service.decision.commands import Funding, MoveCredits
from wallet_service.errors import Invalid, NotFound
from wallet_service.hot_customers import HotCustomers
from wallet_service.operations import check_key, operation
from wallet_service.rate_card_cache import RateCardCache
from wallet_service.replies import iso
from wallet_service.texts import read_time, read_uuid
from wallet_service.wallet_terms import DecimalText, Name, Word, check_priority
from wallet_service.wallet_transaction_requests import cost_basis_of
from wallet_service.wallet_transactions import sold_for
from wallet_service.wallets import COUNT_MAX, WalletRow, find_row, find_row_by_code

__all__ = ["GrantBody", "GrantRequest", "Grants"]

_queries: Final[Any] = load_queries(__file__)


class GrantRequest(
    Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """A funding. The wallet is named by its id, or by its customer and code."""

    amount: DecimalText
    kind: Literal["paid", "promotional"] = "promotional"
    wallet_id: Name | UnsetType = UNSET
    external_customer_id: Name | UnsetType = UNSET
    wallet_code: Name | UnsetType = UNSET
    transaction_id: str | UnsetType = UNSET
    name: Name | UnsetType = UNSET
    priority: Annotated[int, Meta(ge=1, le=50)] = 50
    expires_at: Word | UnsetType = UNSET
    cost_basis: DecimalText | UnsetType = UNSET
    cost_basis_currency: Word | UnsetType = UNSET


class GrantBody(Struct, kw_only=True):
    """A grant: `available` can be spent, `held` is set aside in authorizations."""

    id: UUID
    wallet_id: UUID
    wallet_code: str
    external_customer_id: str
    asset_code: str
    kind: str
    name: str | None
    priority: int
    amount: str
    available: str
    held: str
    expired_amount: str
    voided_amount: str
    cost_basis: str | None
    cost_basis_currency: str | None
    expires_at: str | None
    wallet_transaction_id: UUID | None
    created_at: str


class GrantRow(Record, frozen=True, kw_only=True):
    """A grant as stored."""

    organization_id: UUID
    id: UUID
    customer_id: UUID
    wallet_id: UUID
    wallet_code: str
    external_customer_id: str
    asset_code: str
    kind: str
    name: str | None
    priority: int
    amount_minor: int
    expired_minor: int
    voided_minor: int
    cost_basis: Decimal | None
    cost_basis_currency: str | None
    expires_at: datetime | None
    wallet_transaction_id: UUID | None
    is_open: bool
    created_at: datetime

    @property
    def customer(self) -> CustomerKey:
        """Whose balances these are."""
        return self.organization_id, self.customer_id


class _Transaction(Struct):
    grant_id: UUID


class _Moved(Struct):
    wallet_transactions: list[_Transaction]


class Grants:
    """Funds wallets, and shows what is left of each funding."""

    def __init__(
        self, *, database: Database, committer: Committer, rates: RateCardCache, hot: HotCustomers
    ) -> None:
        self._database = database
        self._committer = committer
        self._rates = rates
        self._hot = hot

    async def create(
        self, organization_id: UUID, request: GrantRequest, *, now: datetime
    ) -> GrantBody:
        """Fund a wallet at once; a paid grant was paid elsewhere. Raises Invalid."""
        key = check_key(_given(request.transaction_id))
        wallet = await self._wallet(organization_id, request)
        asset = await self._rates.asset(organization_id, wallet.asset_code, now=now)
        funding = _funding(request, wallet, asset)
        currency = funding.cost_basis_currency
        command = MoveCredits(
            wallet_id=wallet.id,
            asset=asset,
            fundings=(funding,),
            money=await sold_for(self._rates, organization_id, asset, currency, now=now),
        )
        try:
            reply = await self._committer.submit(
                operation(
                    organization_id,
                    "grant",
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
        grant_id = msgspec.json.decode(reply, type=_Moved).wallet_transactions[0].grant_id
        return await self.find(organization_id, grant_id, now=now)

    async def find(self, organization_id: UUID, grant_id: UUID, *, now: datetime) -> GrantBody:
        """A grant and what is left of it. Raises NotFound."""
        async with self._database.tenant(organization_id) as connection:
            row = await _queries.find_grant(
                connection, organization_id=organization_id, id=grant_id
            )
        if row is None:
            raise NotFound("grant")
        return (await self._show([GrantRow.of(row)], now=now))[0]

    async def find_all(
        self,
        organization_id: UUID,
        *,
        wallet_id: UUID | None,
        external_customer_id: str | None,
        window: Window,
        now: datetime,
    ) -> Page[GrantBody]:
        """A page of grants, newest first.

        Raises NotFound for a wallet or customer that is not there.
        """
        async with self._database.tenant(organization_id) as connection:
            wanted: dict[str, Any] = {
                "organization_id": organization_id,
                "wallet_id": wallet_id,
                "customer_id": None,
            }
            if (
                wallet_id is not None
                and await find_row(connection, organization_id, wallet_id) is None
            ):
                raise NotFound("wallet")
            if external_customer_id is not None:
                customer = await customers.get(connection, organization_id, external_customer_id)
                wanted["customer_id"] = customer.id
            found = _queries.list_grants(
                connection, **wanted, limit=window.size, offset=window.offset
            )
            rows = [GrantRow.of(row) async for row in found]
            count = await _queries.count_grants(connection, **wanted, count_max=COUNT_MAX)
        return Page(await self._show(rows, now=now), count)

    # -- parts

    async def _wallet(self, organization_id: UUID, request: GrantRequest) -> WalletRow:
        async with self._database.tenant(organization_id) as connection:
            if isinstance(request.wallet_id, str):
                field, row = "wallet_id", None
                wallet_id = _uuid(request.wallet_id)
                if wallet_id is not None:
                    row = await find_row(connection, organization_id, wallet_id)
            elif isinstance(request.external_customer_id, str):
                field = "wallet_code"
                row = await _by_code(
                    connection,
                    organization_id,
                    request.external_customer_id,
                    _given(request.wallet_code),
                )
            else:
                raise Invalid(
                    "wallet_id", "value_is_mandatory", "or external_customer_id and wallet_code"
                )
        if row is None:
            raise Invalid(field, "wallet_not_found")
        return row

    async def _show(self, rows: Sequence[GrantRow], *, now: datetime) -> list[GrantBody]:
        states = await self._hot.get_all(list({row.customer for row in rows}))
        late = {
            row.customer
            for row in rows
            if row.is_open and states[row.customer].grant(row.id) is None
        }
        if late:  # funded a moment ago, perhaps not shown yet: the ledger knows
            states |= await self._hot.load(list(late))
        return [
            _body(
                row,
                await self._rates.asset(row.organization_id, row.asset_code, now=now),
                states[row.customer],
                now=now,
            )
            for row in rows
        ]


async def _by_code(
    connection: Connection, organization_id: UUID, external_customer_id: str, code: str | None
) -> WalletRow | None:
    if code is None:
        raise Invalid("wallet_code", "value_is_mandatory")
    customer = await customers.find(connection, organization_id, external_customer_id)
    if customer is None:
        raise Invalid("external_customer_id", "customer_not_found")
    return await find_row_by_code(connection, organization_id, customer.id, code)


def _funding(request: GrantRequest, wallet: WalletRow, asset: Asset) -> Funding:
    try:
        amount = money.parse_amount(request.amount, money.Asset(asset.code, asset.scale))
    except InvalidAmount as error:
        raise Invalid("amount", "invalid_amount", str(error)) from None
    if not amount:
        raise Invalid("amount", "value_is_out_of_range", "a grant is of something")
    expires_at = _given(request.expires_at)
    basis, currency = cost_basis_of(_given(request.cost_basis), _given(request.cost_basis_currency))
    return Funding(
        kind=request.kind,
        amount_minor=amount,
        credit_amount=credits_of(amount, rate=wallet.rate_amount, asset=asset),
        priority=check_priority(request.priority),
        name=_given(request.name),
        expires_at=None if expires_at is None else read_time(expires_at, field="expires_at"),
        cost_basis=basis,
        cost_basis_currency=currency,
    )


def _given(value: str | UnsetType) -> str | None:
    return value if isinstance(value, str) else None


def _uuid(text: str) -> UUID | None:
    try:
        return read_uuid(text)
    except ValueError:
        return None


def _body(row: GrantRow, asset: Asset, state: CustomerState, *, now: datetime) -> GrantBody:
    grant = state.grant(row.id)
    is_spendable = grant is not None and grant.is_spendable(now)
    return GrantBody(
        id=row.id,
        wallet_id=row.wallet_id,
        wallet_code=row.wallet_code,
        external_customer_id=row.external_customer_id,
        asset_code=row.asset_code,
        kind=row.kind,
        name=row.name,
        priority=row.priority,
        amount=asset.format(row.amount_minor),
        available=asset.format(grant.available if grant and is_spendable else 0),
        held=asset.format(grant.held if grant else 0),
        expired_amount=asset.format(row.expired_minor),
        voided_amount=asset.format(row.voided_minor),
        cost_basis=None if row.cost_basis is None else f"{row.cost_basis:f}",
        cost_basis_currency=row.cost_basis_currency,
        expires_at=None if row.expires_at is None else iso(row.expires_at),
        wallet_transaction_id=row.wallet_transaction_id,
        created_at=iso(row.created_at),
    )
