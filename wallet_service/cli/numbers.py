"""Numbers on the command line: in ASCII digits, with nothing around or between them."""

from decimal import Decimal, InvalidOperation
from typing import Any

import click

from wallet_service.decimal_texts import is_plain

__all__ = ["Exact", "Whole"]


class Whole(click.IntRange):
    """A whole number; `int` itself would take Arabic digits, `1_000` and ` 12`."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Read a whole number, or say that it is none."""
        digits = str(value).removeprefix("-")
        if not (digits.isascii() and digits.isdigit()):
            self.fail(f"{value!r} is not a whole number", param, ctx)
        return super().convert(value, param, ctx)


class Exact(click.ParamType[Decimal]):
    """An exact number that is not negative."""

    name = "number"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Decimal:
        """Read a decimal, or say that it is none."""
        try:
            number = Decimal(value) if is_plain(str(value)) else Decimal(-1)
        except InvalidOperation:  # an exponent that none can hold
            number = Decimal(-1)
        if not number.is_finite() or number < 0:
            self.fail(f"{value!r} is not a number from 0 up", param, ctx)
        return number
