"""Numbers, money and dates as a language writes them. Nothing is rounded here: every digit shows.

>>> from decimal import Decimal
>>> Formats.of("en", "JPY").cents(1200)
'¥1,200'
>>> " ".join(Formats.of("en", "KWD").cents(1200).split())
'KWD 1.200'
>>> Formats.of("en", "USD").money(Decimal("0.0000025"))
'$0.0000025'
"""

import re
from collections.abc import Generator
from contextlib import contextmanager
from copy import copy
from datetime import date
from decimal import Context, Decimal, localcontext
from typing import Any, Final, Self

from babel import Locale, UnknownLocaleError
from babel.dates import format_interval, format_skeleton
from babel.numbers import get_currency_symbol
from msgspec import Struct

from invoicing.currencies import CURRENCIES

_LOCALE: Final = re.compile(r"[A-Za-z]{2,3}(?:[-_][A-Za-z0-9]{2,4}){0,2}", re.ASCII)
_EXACT: Final = Context(prec=400)
_DECIMALS_MAX: Final = 60


def find_locale(name: str) -> Locale:
    """The locale of a name such as `fr`, `de-AT` or `pt_BR`; English where there is none such.

    >>> str(find_locale("de-AT")), str(find_locale("../etc")), str(find_locale("xx"))
    ('de_AT', 'en', 'en')
    """
    if _LOCALE.fullmatch(name):
        try:
            return Locale.parse(name.replace("-", "_"))
        except (UnknownLocaleError, ValueError):
            pass
    return Locale("en")


class Formats(Struct, frozen=True):
    """How one document writes what it counts."""

    locale: Locale
    currency: str
    exponent: int

    @classmethod
    def of(cls, locale: str | Locale, currency: str) -> Self:
        """The formats of a language and a currency; a currency that is unknown has two decimals."""
        found = locale if isinstance(locale, Locale) else find_locale(locale)
        return cls(found, currency, CURRENCIES.get(currency, 2))

    def amount(self, cents: int) -> Decimal:
        """The minor unit's amount in the currency itself, with the currency's decimals."""
        digits = tuple(map(int, str(abs(cents))))
        return Decimal((1 if cents < 0 else 0, digits, -self.exponent))

    def cents(self, cents: int) -> str:
        """An amount of the currency's minor unit."""
        return self.money(self.amount(cents))

    def money(self, amount: Decimal) -> str:
        """An exact amount: at least the currency's decimals, and as many more as it has."""
        pattern = self._pattern(self.locale.currency_formats["standard"])
        most = max(self.exponent, decimals_of(amount))
        pattern.frac_prec = (self.exponent, most)
        with _exactly():
            text: str = pattern.apply(
                amount, self.locale, currency=self.currency, currency_digits=False
            )
        return self._apart(text)

    def number(self, value: Decimal) -> str:
        """A quantity, with all its digits."""
        pattern = self._pattern(self.locale.decimal_formats[None])
        pattern.frac_prec = (0, decimals_of(value))
        with _exactly():
            text: str = pattern.apply(value, self.locale)
        return text

    def percent(self, rate: Decimal) -> str:
        """A rate that is given in hundredths, as tax rates are: 20 is 20 %."""
        pattern = self._pattern(self.locale.percent_formats[None])
        with _exactly():
            share = rate.scaleb(-2)
            pattern.frac_prec = (0, max(decimals_of(share) - 2, 0))
            text: str = pattern.apply(share, self.locale)
        return text

    def day(self, day: date) -> str:
        """A date with the month's name, so that nobody takes the month for the day."""
        return format_skeleton("yMMMd", day, locale=self.locale)

    def days(self, first: date, last: date) -> str:
        """A period, both days included."""
        return format_interval(first, last, "yMMMd", locale=self.locale)

    def country(self, code: str) -> str:
        """A country's name; what is no country's code stays as it is."""
        names: Any = self.locale.territories
        name: str = names.get(code.upper(), code)
        return name

    def _apart(self, text: str) -> str:
        """Put a space between letters that stand for a currency and the digits after them."""
        symbol = get_currency_symbol(self.currency, locale=self.locale)
        if not symbol[-1:].isalpha():
            return text
        return re.sub(f"({re.escape(symbol)})(?=[0-9-])", "\\1\N{NO-BREAK SPACE}", text)

    @staticmethod
    def _pattern(pattern: Any) -> Any:
        return copy(pattern)


@contextmanager
def _exactly() -> Generator[None]:
    """Babel computes in the context that it finds, which would keep 28 digits only."""
    with localcontext(_EXACT):
        yield


def decimals_of(value: Decimal) -> int:
    """How many decimals a value needs."""
    with _exactly():
        exponent = value.normalize().as_tuple().exponent
    assert isinstance(exponent, int), "a stored amount is a finite number"
    return min(max(-exponent, 0), _DECIMALS_MAX)
