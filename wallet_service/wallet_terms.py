"""A wallet's terms: what callers may ask for, and what that means. No I/O."""

import re
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Final
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType

from ledger import money
from ledger.errors import InvalidAmount
from wallet_service.credit_amounts import cents_to_minor, read_funding
from wallet_service.decision import Asset
from wallet_service.decision.commands import CreateWallet, Funding
from wallet_service.errors import Invalid
from wallet_service.texts import read_decimal, read_time

__all__ = [
    "FEE_TYPES",
    "METADATA_MAX",
    "AppliesTo",
    "DecimalText",
    "Metadata",
    "Name",
    "Pairs",
    "WalletRequest",
    "Word",
    "changes_of",
    "check_limits",
    "check_pairs",
    "check_priority",
    "creation",
    "refuse_rules",
]

FEE_TYPES: Final = frozenset(
    {"charge", "subscription", "commitment", "add_on", "credit", "fixed_charge", "product"}
)
METADATA_MAX: Final = 50
_PRIORITY_DEFAULT: Final = 50
_PRIORITY_MAX: Final = 50
_CODE_LENGTH_MAX: Final = 255
_PAIRS_MAX: Final = 15
_NOT_IN_CODE: Final = re.compile(r"[^a-z0-9]+", re.ASCII)

Name = Annotated[str, Meta(max_length=255)]
Word = Annotated[str, Meta(max_length=64)]
DecimalText = Annotated[str, Meta(max_length=5000, description="A decimal, as text: `12.5`.")]
CentsNumber = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Metadata = Annotated[
    dict[Annotated[str, Meta(min_length=1, max_length=40)], Name | None],
    Meta(max_length=METADATA_MAX),
]
Pairs = Annotated[
    list[Annotated[dict[Word, Name], Meta(max_length=2)]], Meta(max_length=_PAIRS_MAX)
]


class AppliesTo(Struct, frozen=True):
    """What a wallet may pay for; an empty list means everything."""

    fee_types: Annotated[list[Word], Meta(max_length=20)] | None = None
    billable_metric_codes: Annotated[list[Name], Meta(max_length=100)] | None = None


class WalletRequest(Struct, frozen=True, kw_only=True, omit_defaults=True):
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


def check_priority(priority: int | UnsetType | None) -> int:
    """A priority from 1 (first) to 50. Raises Invalid."""
    if not isinstance(priority, int):
        return _PRIORITY_DEFAULT
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


def refuse_rules(request: WalletRequest) -> None:
    """Raise Invalid for what costs something and is not there yet."""
    if request.recurring_transaction_rules:
        raise Invalid(
            "recurring_transaction_rules", "value_is_invalid", "recurring rules: not available yet"
        )


def creation(
    request: WalletRequest, external_customer_id: str, asset: Asset, *, wallet_id: UUID
) -> CreateWallet:
    """The command that opens a wallet as asked for. Raises Invalid."""
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
                priority=_PRIORITY_DEFAULT,
                name=_text(request.transaction_name),
                settled=not is_paid,
                metadata=pairs,
                invoice_requires_successful_payment=is_paid
                and request.invoice_requires_successful_payment is True,
            )
        )
    return tuple(fundings)


def changes_of(  # noqa: C901 (a branch a field)
    request: WalletRequest, asset: Asset, *, limits: tuple[int | None, int | None]
) -> dict[str, Any]:
    """Columns that a request gives new values; what may not be empty ignores null.

    ``limits`` are the wallet's present ones of a purchase. Raises Invalid.
    """
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
        limits = _top_up_limits(request, asset, *limits)
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
