"""Wallets: a customer's prepaid balances, in Lago's words.

Decided in the committer (see decision/wallets.py).

What is shown is the row and the hot balances: one read, however many grants there are.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, ClassVar, Final
from uuid import UUID

import msgspec
from msgspec import Struct

from invoicing import customers
from invoicing.currencies import CURRENCIES
from invoicing.pages import Page, Window
from invoicing.records import Connection, Record, load_queries
from ledger.ids import new_uuid
from wallet_service.committer import Committer
from wallet_service.database import Database
from wallet_service.decision import Asset, CustomerKey, CustomerState
from wallet_service.decision.commands import AMOUNT_CODE, UpdateWallet
from wallet_service.errors import Invalid, NotFound
from wallet_service.hot_customers import HotCustomers
from wallet_service.operations import check_key, operation
from wallet_service.rate_card_cache import RateCardCache
from wallet_service.wallet_terms import (
    FEE_TYPES,
    METADATA_MAX,
    AppliesTo,
    WalletRequest,
    changes_of,
    creation,
    refuse_rules,
)

__all__ = ["COUNT_MAX", "WalletRow", "WalletView", "Wallets", "find_row", "find_row_by_code"]

COUNT_MAX: Final = 100_000
"""Lists are counted up to here."""

_queries: Final[Any] = load_queries(__file__)


class WalletRow(Record, frozen=True, kw_only=True):
    """A wallet as stored."""

    json_columns: ClassVar[tuple[str, ...]] = ("metadata",)

    organization_id: UUID
    id: UUID
    customer_id: UUID
    external_customer_id: str
    code: str
    name: str | None
    asset_code: str
    rate_amount: Decimal
    priority: int
    status: str
    fee_types: list[str]
    billable_metric_codes: list[str]
    on_shortfall: str
    frozen: bool
    overdraft_limit_minor: int
    overdraft_grant_id: UUID | None
    paid_top_up_min_minor: int | None
    paid_top_up_max_minor: int | None
    invoice_requires_successful_payment: bool
    metadata: dict[str, str | None]
    expiration_at: datetime | None
    terminated_at: datetime | None
    created_at: datetime
    updated_at: datetime
    funded_minor: Decimal

    @property
    def customer(self) -> CustomerKey:
        """Whose balances these are."""
        return self.organization_id, self.customer_id


class WalletView(Struct, frozen=True):
    """A wallet and what is in it.

    ``posted`` is what was not used yet, ``held`` what of it is in holds; both fall below zero by
    what is used
    of the overdraft. ``available`` can be spent now, the overdraft included. ``consumed`` was ever
    used.
    """

    row: WalletRow
    asset: Asset
    posted_minor: int
    held_minor: int
    available_minor: int
    consumed_minor: int


def view(row: WalletRow, asset: Asset, state: CustomerState | None, *, now: datetime) -> WalletView:
    """A wallet as it is shown; without a state there is nothing in it."""
    grants = [g for g in (state.grants if state else ()) if g.wallet.id == row.id]
    posted = held = unswept = overdrawn = 0
    for grant in grants:
        held += grant.held
        if grant.kind == "overdraft":
            overdrawn += row.overdraft_limit_minor - grant.available - grant.held
        elif grant.available and not grant.is_spendable(now):
            unswept += grant.available
            posted += grant.held
        else:
            posted += grant.available + grant.held
    is_usable = (
        row.status == "active"
        and not row.frozen
        and (row.expiration_at is None or row.expiration_at > now)
    )
    return WalletView(
        row,
        asset,
        posted_minor=posted - overdrawn,
        held_minor=held,
        available_minor=sum(g.available for g in grants if g.is_spendable(now)) if is_usable else 0,
        consumed_minor=max(0, int(row.funded_minor) - posted - unswept + overdrawn),
    )


class Wallets:
    """Opens, changes, ends and shows wallets."""

    def __init__(
        self, *, database: Database, committer: Committer, rates: RateCardCache, hot: HotCustomers
    ) -> None:
        self._database = database
        self._committer = committer
        self._rates = rates
        self._hot = hot

    async def create(
        self, organization_id: UUID, request: WalletRequest, *, now: datetime
    ) -> WalletView:
        """Open a wallet: granted credits are there at once, purchased ones are pending.

        Raises Invalid.
        """
        key = _key(request.transaction_id)
        refuse_rules(request)
        async with self._database.tenant(organization_id) as connection:
            customer = await customers.find(
                connection, organization_id, request.external_customer_id or ""
            )
            if customer is None:
                raise Invalid("external_customer_id", "customer_not_found")
            await _check_metrics(connection, organization_id, request)
        asset = await self._asset(organization_id, request, customer.currency, now=now)
        command = creation(request, customer.external_id, asset, wallet_id=new_uuid(now))
        reply = await self._committer.submit(
            operation(
                organization_id,
                "wallet",
                key,
                command,
                customer_id=customer.id,
                body=request,
                now=now,
            )
        )
        return await self.find(
            organization_id, msgspec.json.decode(reply, type=_Created).wallet_id, now=now
        )

    async def update(
        self, organization_id: UUID, row: WalletRow, request: WalletRequest, *, now: datetime
    ) -> WalletView:
        """Change a wallet's terms, or freeze it. Raises Invalid."""
        refuse_rules(request)
        async with self._database.tenant(organization_id) as connection:
            await _check_metrics(connection, organization_id, request)
        asset = await self._rates.asset(organization_id, row.asset_code, now=now)
        limits = row.paid_top_up_min_minor, row.paid_top_up_max_minor
        changes = changes_of(request, asset, limits=limits)
        if changes:
            await self._change(row, asset, changes, now=now)
        return await self.find(organization_id, row.id, now=now)

    async def terminate(self, row: WalletRow, *, now: datetime) -> WalletView:
        """End a wallet: what is free of its credits is voided.

        Ending it twice is ending it once.
        """
        if row.status == "active":
            asset = await self._rates.asset(row.organization_id, row.asset_code, now=now)
            try:
                await self._change(row, asset, {"status": "terminated"}, now=now)
            except Invalid as error:
                if error.code != "wallet_is_terminated":
                    raise
        return await self.find(row.organization_id, row.id, now=now)

    async def change_metadata(
        self, row: WalletRow, changes: dict[str, Any], *, now: datetime
    ) -> dict[str, str | None]:
        """Replace, merge or remove entries: ``metadata``, ``metadata_merge``.

        ``metadata_remove``.
        """
        merged = {**row.metadata, **changes.get("metadata_merge", {})}
        if len(merged) > METADATA_MAX:
            raise Invalid("metadata", "invalid_count")
        asset = await self._rates.asset(row.organization_id, row.asset_code, now=now)
        await self._change(row, asset, changes, now=now)
        return (await self.row(row.organization_id, row.id)).metadata

    async def find(self, organization_id: UUID, wallet_id: UUID, *, now: datetime) -> WalletView:
        """A wallet by its id. Raises NotFound."""
        row = await self.row(organization_id, wallet_id)
        return (await self._show([row], now=now))[0]

    async def row(self, organization_id: UUID, wallet_id: UUID) -> WalletRow:
        """A wallet's row. Raises NotFound."""
        async with self._database.tenant(organization_id) as connection:
            row = await find_row(connection, organization_id, wallet_id)
        if row is None:
            raise NotFound("wallet")
        return row

    async def row_by_code(
        self, organization_id: UUID, external_customer_id: str, code: str
    ) -> WalletRow:
        """A customer's wallet by its code: the active one, or else the last. Raises NotFound."""
        async with self._database.tenant(organization_id) as connection:
            customer = await customers.get(connection, organization_id, external_customer_id)
            row = await find_row_by_code(connection, organization_id, customer.id, code)
        if row is None:
            raise NotFound("wallet")
        return row

    async def find_all(
        self,
        organization_id: UUID,
        *,
        external_customer_id: str | None,
        window: Window,
        now: datetime,
    ) -> Page[WalletView]:
        """A page of wallets, newest first. Raises NotFound for a customer that is not there."""
        async with self._database.tenant(organization_id) as connection:
            wanted: dict[str, Any] = {"organization_id": organization_id, "customer_id": None}
            if external_customer_id is not None:
                customer = await customers.get(connection, organization_id, external_customer_id)
                wanted["customer_id"] = customer.id
            found = _queries.list_wallets(
                connection, **wanted, limit=window.size, offset=window.offset
            )
            rows = [WalletRow.of(row) async for row in found]
            count = await _queries.count_wallets(connection, **wanted, count_max=COUNT_MAX)
        return Page(await self._show(rows, now=now), count)

    # -- parts

    async def show(self, row: WalletRow, *, now: datetime) -> WalletView:
        """What is in a wallet."""
        return (await self._show([row], now=now))[0]

    async def _show(self, rows: Sequence[WalletRow], *, now: datetime) -> list[WalletView]:
        states = await read_states(self._hot, rows)
        return [
            view(
                row,
                await self._rates.asset(row.organization_id, row.asset_code, now=now),
                states.get(row.customer),
                now=now,
            )
            for row in rows
        ]

    async def _change(
        self, row: WalletRow, asset: Asset, changes: dict[str, Any], *, now: datetime
    ) -> None:
        command = UpdateWallet(wallet_id=row.id, asset=asset, changes=changes)
        try:
            await self._committer.submit(
                operation(
                    row.organization_id,
                    "update_wallet",
                    None,
                    command,
                    customer_id=row.customer_id,
                    body=_NOTHING,
                    now=now,
                )
            )
        except NotFound:
            # Ended wallets without anything in them are not even looked at under the lock.
            raise Invalid("wallet_id", "wallet_is_terminated") from None

    async def _asset(
        self, organization_id: UUID, request: WalletRequest, currency: str | None, *, now: datetime
    ) -> Asset:
        named = [code for code in (request.asset_code, request.currency) if isinstance(code, str)]
        if len(set(named)) > 1:
            raise Invalid("asset_code", "currencies_does_not_match")
        if isinstance(request.currency, str) and request.currency not in CURRENCIES:
            raise Invalid("currency", "value_is_invalid")
        code = named[0] if named else currency
        if code is None:
            raise Invalid("currency", "value_is_mandatory", "the customer has no currency")
        try:
            return await self._rates.asset(organization_id, code, now=now)
        except NotFound:
            raise Invalid("asset_code", "asset_not_found") from None


class _Created(Struct):
    wallet_id: UUID


_NOTHING: Final = WalletRequest()


async def find_row(
    connection: Connection, organization_id: UUID, wallet_id: UUID
) -> WalletRow | None:
    """A wallet's row by its id."""
    row = await _queries.find_wallet(connection, organization_id=organization_id, id=wallet_id)
    return None if row is None else WalletRow.of(row)


async def find_row_by_code(
    connection: Connection, organization_id: UUID, customer_id: UUID, code: str
) -> WalletRow | None:
    """A customer's wallet by its code: the active one, or else the last."""
    row = await _queries.find_wallet_by_code(
        connection, organization_id=organization_id, customer_id=customer_id, code=code
    )
    return None if row is None else WalletRow.of(row)


async def read_states(
    hot: HotCustomers, rows: Iterable[WalletRow]
) -> dict[CustomerKey, CustomerState]:
    """The balances of these wallets' customers: one read of Redis.

    A wallet that was opened a moment ago may be missing there; then the ledger is asked, never zero
    assumed.
    """
    rows = list(rows)
    states = await hot.get_all(list({row.customer for row in rows}))
    late = {
        row.customer
        for row in rows
        if row.status == "active" and row.id not in states[row.customer].wallets
    }
    return states | await hot.load(list(late)) if late else states


def _key(transaction_id: str | None) -> str | None:
    return None if transaction_id is None else check_key(transaction_id)


async def _check_metrics(
    connection: Connection, organization_id: UUID, request: WalletRequest
) -> None:
    given = request.applies_to
    if not isinstance(given, AppliesTo):
        return
    if not set(given.fee_types or ()) <= FEE_TYPES:
        raise Invalid("applies_to.fee_types", "value_is_invalid", ", ".join(sorted(FEE_TYPES)))
    wanted = set(given.billable_metric_codes or ()) - {AMOUNT_CODE}
    rows = _queries.known_metrics(connection, organization_id=organization_id, codes=sorted(wanted))
    unknown = wanted - {row["code"] async for row in rows}
    if unknown:
        raise Invalid("applies_to.billable_metric_codes", "billable_metric_not_found", min(unknown))
