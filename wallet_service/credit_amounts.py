"""Credits and the money behind them: a wallet's `rate_amount` says what one credit is worth.

Credits are counted in 5 decimals, as in Lago. Credits that are paid or granted are worth whole
cents;
voided ones are worth exactly what they say. Wallets in native units count exactly, without any
cents.
"""

from decimal import Context, Decimal, localcontext
from typing import Final

from msgspec import Struct

from invoicing.currencies import CURRENCIES
from ledger.errors import InvalidAmount
from ledger.money import Rounding, rescale, to_decimal, to_minor
from wallet_service.decision import Asset
from wallet_service.errors import Invalid
from wallet_service.texts import read_decimal

__all__ = ["Credits", "cents_of", "cents_to_minor", "credits_of", "read_funding", "read_void"]

_CREDIT_DECIMALS: Final = 5
_SHOWN_DECIMALS: Final = 9
_PRECISE: Final = Context(prec=100)


class Credits(Struct, frozen=True):
    """So many credits, and what they are worth."""

    credits: Decimal
    amount_minor: int


def read_funding(text: str, *, rate: Decimal, asset: Asset, field: str) -> Credits | None:
    """Credits to be paid or granted; None for zero.

    Money is snapped to whole cents, and the credits follow.

    Raises Invalid: no decimal, too much, or so little that it rounds to nothing.

    >>> usd = Asset("USD", 9, 1)
    >>> read_funding("17.96999999", rate=Decimal(1), asset=usd, field="paid_credits")
    Credits(credits=Decimal('17.97'), amount_minor=17970000000)
    """
    wanted = read_decimal(text, field=field, code="invalid_amount")
    if asset.is_unit:
        return _exactly(wanted, rate=rate, asset=asset, field=field)
    if not wanted:
        return None
    wanted = _floor(wanted, _CREDIT_DECIMALS)
    cents = _minor(wanted, rate, _exponent(asset), Rounding.HALF_AWAY, field)
    if not cents:
        raise Invalid(field, "amount_rounds_to_zero", "that is less than half a cent")
    amount = cents_to_minor(cents, asset, field=field)
    with localcontext(_PRECISE):
        worth = _floor(to_decimal(amount, asset.scale) / rate, _CREDIT_DECIMALS)
    return Credits(worth, amount)


def read_void(text: str, *, rate: Decimal, asset: Asset, field: str) -> Credits | None:
    """Credits to be voided; None for zero.

    They are worth what they say, to the asset's last decimal.

    >>> read_void("14.28444999", rate=Decimal(1), asset=Asset("USD", 9, 1), field="voided_credits")
    Credits(credits=Decimal('14.28444'), amount_minor=14284440000)
    """
    wanted = read_decimal(text, field=field, code="invalid_amount")
    if asset.is_unit:
        return _exactly(wanted, rate=rate, asset=asset, field=field)
    if not wanted:
        return None
    wanted = _floor(wanted, _CREDIT_DECIMALS)
    amount = _minor(wanted, rate, asset.scale, Rounding.DOWN, field)
    if not amount:
        raise Invalid(field, "amount_rounds_to_zero")
    return Credits(wanted, amount)


def credits_of(amount_minor: int, *, rate: Decimal, asset: Asset) -> Decimal:
    """How many credits an amount is; a quotient without end stops after 9 decimals, rounded down.

    >>> credits_of(85_715_560_000, rate=Decimal(1), asset=Asset("USD", 9, 1))
    Decimal('85.715560000')
    """
    decimals = max(_SHOWN_DECIMALS, asset.scale)
    with localcontext(_PRECISE):
        quotient = to_decimal(amount_minor, asset.scale) / rate
        scaled = quotient.scaleb(decimals)
        down = Rounding.UP if amount_minor < 0 else Rounding.DOWN
        return scaled.to_integral_value(down.value).scaleb(-decimals)


def cents_of(amount_minor: int, asset: Asset) -> int:
    """Whole cents, never more than there is; of a native unit, its own smallest units.

    >>> cents_of(85_715_560_000, Asset("USD", 9, 1)), cents_of(-1, Asset("USD", 9, 1))
    (8571, -1)
    """
    return rescale(
        amount_minor,
        scale=asset.scale,
        to_scale=_exponent(asset),
        rounding=Rounding.UP if amount_minor < 0 else Rounding.DOWN,
    )


def cents_to_minor(cents: int, asset: Asset, *, field: str) -> int:
    """Cents in the asset's smallest unit; raises Invalid where that is too much."""
    try:
        return to_minor(
            Decimal(cents).scaleb(-_exponent(asset), _PRECISE), asset.scale, Rounding.DOWN
        )
    except InvalidAmount as error:
        raise Invalid(field, "value_is_out_of_range", str(error)) from None


def _exponent(asset: Asset) -> int:
    return asset.scale if asset.is_unit else CURRENCIES[asset.code]


def _exactly(wanted: Decimal, *, rate: Decimal, asset: Asset, field: str) -> Credits | None:
    if not wanted:
        return None
    amount = _minor(wanted, rate, asset.scale, Rounding.DOWN, field)
    with localcontext(_PRECISE):
        if to_decimal(amount, asset.scale) != wanted * rate:
            raise Invalid(field, "invalid_amount", f"{asset.code} has {asset.scale} decimals")
    return Credits(wanted, amount)


def _minor(wanted: Decimal, rate: Decimal, scale: int, rounding: Rounding, field: str) -> int:
    try:
        with localcontext(_PRECISE):
            return to_minor(wanted * rate, scale, rounding)
    except InvalidAmount as error:
        raise Invalid(field, "value_is_out_of_range", str(error)) from None


def _floor(number: Decimal, decimals: int) -> Decimal:
    with localcontext(_PRECISE):
        scaled = number.scaleb(decimals).to_integral_value(Rounding.DOWN)
        return scaled.scaleb(-decimals).normalize()
