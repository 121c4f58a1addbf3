"""Wallets: a customer's prepaid balances, in Lago's words.

Decided in the committer (see decision/credits.py).

What is shown is the row and the hot balances: one read, however many grants there are.
"""

import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, ClassVar, Final
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from invoicing import customers
from invoicing.currencies import CURRENCIES
from invoicing.pages import Page, Window
from invoicing.records import Connection, Record, load_queries
from ledger import money
from ledger.errors import InvalidAmount
from ledger.ids import new_uuid
from wallet_service.committer import Committer
from wallet_service.credit_amounts import cents_to_minor, read_funding
from wallet_service.customer_state import CustomerKey
from wallet_service.database import Database
from wallet_service.decision import Asset, CustomerState
from wallet_service.decision.commands import AMOUNT_CODE, CreateWallet, Funding, UpdateWallet
from wallet_service.errors import Invalid, NotFound
from wallet_service.hot_customers import HotCustomers
from wallet_service.operations import check_key, operation
from wallet_service.rate_card_cache import RateCardCache
from wallet_service.texts import read_decimal, read_time

__all__ = [
    "COUNT_MAX",
    "AppliesTo",
    "WalletRequest",
    "WalletRow",
    "WalletView",
    "Wallets",
    "check_limits",
    "check_pairs",
    "check_priority",
    "find_row",
]

COUNT_MAX: Final = 100_000
"""Lists are counted up to here."""

PRIORITY_DEFAULT: Final = 50
_PRIORITY_MAX: Final = 50
_CODE_LENGTH_MAX: Final = 255
_METADATA_MAX: Final = 50
_PAIRS_MAX: Final = 15
_FEE_TYPES: Final = frozenset(
    {"charge", "subscription", "commitment", "add_on", "credit", "fixed_charge", "product"}
)
_NOT_IN_CODE: Final = re.compile(r"[^a-z0-9]+", re.ASCII)

_queries: Final[Any] = load_queries(__file__)

Name = Annotated[str, Meta(max_length=255)]
Word = Annotated[str, Meta(max_length=64)]
DecimalText = Annotated[str, Meta(max_length=5000, description="A decimal, as text: `12.5`.")]
CentsNumber = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Metadata = Annotated[
    dict[Annotated[str, Meta(min_length=1, max_length=40)], Name | None],
    Meta(max_length=_METADATA_MAX),
]
Pairs = Annotated[
    list[Annotated[dict[Word, Name], Meta(max_length=2)]], Meta(max_length=_PAIRS_MAX)
]


class AppliesTo(Struct, frozen=True):
    """What a wallet may pay for; an empty list means everything."""

    fee_types: Annotated[list[Word], Meta(max_length=20)] | None = None
    billable_metric_codes: Annotated[list[Name], Meta(max_length=100)] | None = None


class WalletRequest(Struct, frozen=True, kw_only=True):
    """What a caller says of a wallet.

    What is left out stays as it is; null clears what may be empty.
    """

    external_customer_id: Name | None = None
    transaction_id: str | None = None
    name: Name | UnsetType | None = UNSET
    code: Name | UnsetType | None = UNSET
    currency: Word | UnsetType | None = UNSET
    asset_code: Word | UnsetType | None = UNSET
    rate_amount: DecimalText | UnsetType | None = UNSET
    priority: int | UnsetType | None = UNSET
    paid_credits: DecimalText | UnsetType | None = UNSET
    granted_credits: DecimalText | UnsetType | None = UNSET
    expiration_at: Word | UnsetType | None = UNSET
    applies_to: AppliesTo | UnsetType | None = UNSET
    metadata: Metadata | UnsetType | None = UNSET
    paid_top_up_min_amount_cents: CentsNumber | UnsetType | None = UNSET
    paid_top_up_max_amount_cents: CentsNumber | UnsetType | None = UNSET
    ignore_paid_top_up_limits_on_creation: bool | UnsetType | None = UNSET
    invoice_requires_successful_payment: bool | UnsetType | None = UNSET
    transaction_name: Name | UnsetType | None = UNSET
    transaction_metadata: Pairs | UnsetType | None = UNSET
    recurring_transaction_rules: list[Any] | dict[str, Any] | UnsetType | None = UNSET
    on_shortfall: Word | UnsetType | None = UNSET
    overdraft_limit: DecimalText | UnsetType | None = UNSET
    frozen: bool | UnsetType | None = UNSET


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
        _refuse_rules(request)
        async with self._database.tenant(organization_id) as connection:
            customer = await customers.find(
                connection, organization_id, request.external_customer_id or ""
            )
            if customer is None:
                raise Invalid("external_customer_id", "customer_not_found")
            await _check_metrics(connection, organization_id, request)
        asset = await self._asset(organization_id, request, customer.currency, now=now)
        command = _creation(request, customer.external_id, asset, wallet_id=new_uuid(now))
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
        _refuse_rules(request)
        async with self._database.tenant(organization_id) as connection:
            await _check_metrics(connection, organization_id, request)
        asset = await self._rates.asset(organization_id, row.asset_code, now=now)
        changes = _changes(request, row, asset)
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
        if len(merged) > _METADATA_MAX:
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


def check_priority(priority: int | UnsetType | None) -> int:
    """A priority from 1 (first) to 50. Raises Invalid."""
    if not isinstance(priority, int):
        return PRIORITY_DEFAULT
    if not 1 <= priority <= _PRIORITY_MAX:
        raise Invalid("priority", "value_is_out_of_range", "from 1 (first) to 50")
    return priority


def check_limits(
    amount_minor: int, *, minimum: int | None, maximum: int | None, asset: Asset
) -> None:
    """Raise Invalid where a purchase is outside the wallet's limits."""
    if minimum is not None and amount_minor < minimum:
        message = f"at least {asset.format(minimum)} {asset.code}"
        raise Invalid("paid_credits", "amount_below_minimum", message)
    if maximum is not None and amount_minor > maximum:
        message = f"at most {asset.format(maximum)} {asset.code}"
        raise Invalid("paid_credits", "amount_above_maximum", message)


def check_pairs(pairs: Any, *, field: str) -> list[dict[str, str]]:
    """Metadata of a transaction: a list of `{"key", "value"}`. Raises Invalid."""
    if not isinstance(pairs, list):
        return []
    listed: list[dict[str, str]] = pairs  # pyright: ignore[reportUnknownVariableType]
    if any(pair.keys() != {"key", "value"} for pair in listed):
        raise Invalid(field, "invalid_key_value_pair")
    return listed


def _key(transaction_id: str | None) -> str | None:
    return None if transaction_id is None else check_key(transaction_id)


def _refuse_rules(request: WalletRequest) -> None:
    if request.recurring_transaction_rules:
        raise Invalid(
            "recurring_transaction_rules", "value_is_invalid", "recurring rules: not available yet"
        )


async def _check_metrics(
    connection: Connection, organization_id: UUID, request: WalletRequest
) -> None:
    given = request.applies_to
    if not isinstance(given, AppliesTo):
        return
    if not set(given.fee_types or ()) <= _FEE_TYPES:
        raise Invalid("applies_to.fee_types", "value_is_invalid", ", ".join(sorted(_FEE_TYPES)))
    wanted = set(given.billable_metric_codes or ()) - {AMOUNT_CODE}
    rows = _queries.known_metrics(connection, organization_id=organization_id, codes=sorted(wanted))
    unknown = wanted - {row["code"] async for row in rows}
    if unknown:
        raise Invalid("applies_to.billable_metric_codes", "billable_metric_not_found", min(unknown))


def _creation(
    request: WalletRequest, external_customer_id: str, asset: Asset, *, wallet_id: UUID
) -> CreateWallet:
    rate = Decimal(1)
    if isinstance(request.rate_amount, str):
        rate = read_decimal(request.rate_amount, field="rate_amount", code="invalid_rate")
        if not rate:
            raise Invalid("rate_amount", "invalid_rate", "a credit is worth something")
    minimum, maximum = _top_up_limits(request, asset, None, None)
    applies_to = request.applies_to if isinstance(request.applies_to, AppliesTo) else AppliesTo()
    name = _text(request.name)
    code = _text(request.code)
    return CreateWallet(
        wallet_id=wallet_id,
        external_customer_id=external_customer_id,
        asset=asset,
        code=code or _derived_code(name),
        name=name,
        rate_amount=rate,
        priority=check_priority(request.priority),
        fee_types=tuple(dict.fromkeys(applies_to.fee_types or ())),
        billable_metric_codes=tuple(dict.fromkeys(applies_to.billable_metric_codes or ())),
        on_shortfall=_shortfall(request) or "overage",
        overdraft_limit_minor=_overdraft(request, asset) or 0,
        expiration_at=_expiration(request),
        metadata=request.metadata if isinstance(request.metadata, dict) else {},
        fundings=_first_fundings(request, rate, asset, (minimum, maximum)),
        paid_top_up_min_minor=minimum,
        paid_top_up_max_minor=maximum,
        invoice_requires_successful_payment=request.invoice_requires_successful_payment is True,
        is_code_derived=code is None,
    )


def _first_fundings(
    request: WalletRequest, rate: Decimal, asset: Asset, limits: tuple[int | None, int | None]
) -> tuple[Funding, ...]:
    pairs = check_pairs(request.transaction_metadata, field="transaction_metadata")
    fundings: list[Funding] = []
    for field, text in (
        ("paid_credits", request.paid_credits),
        ("granted_credits", request.granted_credits),
    ):
        worth = isinstance(text, str) and read_funding(text, rate=rate, asset=asset, field=field)
        if not worth:
            continue
        is_paid = field == "paid_credits"
        if is_paid and request.ignore_paid_top_up_limits_on_creation is not True:
            check_limits(worth.amount_minor, minimum=limits[0], maximum=limits[1], asset=asset)
        fundings.append(
            Funding(
                kind="paid" if is_paid else "promotional",
                amount_minor=worth.amount_minor,
                credit_amount=worth.credits,
                priority=PRIORITY_DEFAULT,
                name=_text(request.transaction_name),
                settled=not is_paid,
                metadata=pairs,
                invoice_requires_successful_payment=is_paid
                and request.invoice_requires_successful_payment is True,
            )
        )
    return tuple(fundings)


def _changes(  # noqa: C901 (a branch a field)
    request: WalletRequest, row: WalletRow, asset: Asset
) -> dict[str, Any]:
    """Columns that a request gives new values; what may not be empty ignores null."""
    changes: dict[str, Any] = {}
    if request.name is not UNSET:
        changes["name"] = _text(request.name)
    if request.expiration_at is not UNSET:
        changes["expiration_at"] = _expiration(request)
    if isinstance(request.priority, int):
        changes["priority"] = check_priority(request.priority)
    if isinstance(request.applies_to, AppliesTo):
        if request.applies_to.fee_types is not None:
            changes["fee_types"] = tuple(dict.fromkeys(request.applies_to.fee_types))
        if request.applies_to.billable_metric_codes is not None:
            codes = tuple(dict.fromkeys(request.applies_to.billable_metric_codes))
            changes["billable_metric_codes"] = codes
    if isinstance(request.metadata, dict):
        changes["metadata"] = request.metadata
    if _is_given(request.paid_top_up_min_amount_cents, request.paid_top_up_max_amount_cents):
        limits = _top_up_limits(
            request, asset, row.paid_top_up_min_minor, row.paid_top_up_max_minor
        )
        changes["paid_top_up_min_minor"], changes["paid_top_up_max_minor"] = limits
    if isinstance(request.invoice_requires_successful_payment, bool):
        changes["invoice_requires_successful_payment"] = request.invoice_requires_successful_payment
    on_shortfall = _shortfall(request)
    if on_shortfall is not None:
        changes["on_shortfall"] = on_shortfall
    overdraft = _overdraft(request, asset)
    if overdraft is not None:
        changes["overdraft_limit_minor"] = overdraft
    if isinstance(request.frozen, bool):
        changes["frozen"] = request.frozen
    return changes


def _is_given(*values: object) -> bool:
    return any(value is not UNSET for value in values)


def _text(value: str | UnsetType | None) -> str | None:
    """A text, or None where there is nothing to read."""
    return value.strip() or None if isinstance(value, str) else None


def _derived_code(name: str | None) -> str:
    """A code made of the name.

    >>> _derived_code("Prepaid credits (EU)"), _derived_code(None)
    ('prepaid_credits_eu', 'default')
    """
    slug = _NOT_IN_CODE.sub("_", (name or "").lower()).strip("_")
    return slug[: _CODE_LENGTH_MAX - 3] or "default"


def _expiration(request: WalletRequest) -> datetime | None:
    if not isinstance(request.expiration_at, str):
        return None
    return read_time(request.expiration_at, field="expiration_at")


def _shortfall(request: WalletRequest) -> str | None:
    if not isinstance(request.on_shortfall, str):
        return None
    if request.on_shortfall not in {"overage", "reject"}:
        raise Invalid("on_shortfall", "value_is_invalid", "overage or reject")
    return request.on_shortfall


def _overdraft(request: WalletRequest, asset: Asset) -> int | None:
    if not isinstance(request.overdraft_limit, str):
        return None
    try:
        return money.parse_amount(request.overdraft_limit, money.Asset(asset.code, asset.scale))
    except InvalidAmount as error:
        raise Invalid("overdraft_limit", "invalid_amount", str(error)) from None


def _top_up_limits(
    request: WalletRequest, asset: Asset, minimum: int | None, maximum: int | None
) -> tuple[int | None, int | None]:
    """The least and the most that one purchase may be, in minor units. Raises Invalid."""
    fields = "paid_top_up_min_amount_cents", "paid_top_up_max_amount_cents"
    limits = [minimum, maximum]
    for position, field in enumerate(fields):
        cents: int | UnsetType | None = getattr(request, field)
        if cents is not UNSET:
            limits[position] = None if cents is None else cents_to_minor(cents, asset, field=field)
    if limits[0] is not None and limits[1] is not None and limits[0] > limits[1]:
        raise Invalid(fields[0], "value_is_out_of_range", "more than the maximum")
    return limits[0], limits[1]
