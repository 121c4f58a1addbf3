"""Numbers, times and ids as they are written: in ASCII, with nothing around or between them."""

import click
import pytest

from wallet_service.cli.numbers import Exact, Whole
from wallet_service.cli.times import Time
from wallet_service.decimal_texts import is_plain
from wallet_service.errors import Invalid
from wallet_service.texts import read_decimal, read_time, read_uuid

FOREIGN = ["\u0661\u0662", "\uff11\uff12", "1_2", " 12", "12\n", "1" + "0" * 5000 + "_"]


@pytest.mark.parametrize("text", FOREIGN)
def test_what_python_would_take_for_a_number_is_none(text: str) -> None:
    assert not is_plain(text)
    with pytest.raises(Invalid):
        read_decimal(text, field="amount")
    for kind in (Whole(1, 100), Exact()):
        with pytest.raises(click.BadParameter):
            kind.convert(text, None, None)


def test_numbers_on_the_command_line_are_what_they_say() -> None:
    assert Whole(1, 100).convert("12", None, None) == 12
    assert [str(Exact().convert(text, None, None)) for text in ("1.20", "0")] == ["1.20", "0"]
    for kind, text in (
        (Whole(1, 100), "-12"),
        (Exact(), "-1"),
        (Exact(), "NaN"),
        (Exact(), ""),
        (Exact(), "1e9999999999999999999"),
    ):
        with pytest.raises(click.BadParameter):
            kind.convert(text, None, None)


@pytest.mark.parametrize("text", ["2026-01-01\u066010:00", "2026-01-0\uff11", " 2026-01-01"])
def test_times_are_ascii(text: str) -> None:
    with pytest.raises(Invalid):
        read_time(text, field="at")
    with pytest.raises(click.BadParameter):
        Time().convert(text, None, None)


@pytest.mark.parametrize("end", ["\u0661", "_1", " 1", "\n"])
def test_ids_are_ascii(end: str) -> None:
    with pytest.raises(ValueError, match=r"^$"):
        read_uuid("01900000000070008000000000000000"[: -len(end)] + end)
