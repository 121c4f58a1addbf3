"""How `wallet report` says what it found: a table, or CSV. Amounts are exact, not rounded."""

import csv
import sys
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from ledger.money import format_minor

if TYPE_CHECKING:
    from wallet_service.journals import Commodity
    from wallet_service.revenue_lines import IncomeLine, OwedLine, TrialLine

__all__ = ["Shown", "of_income", "of_owed", "of_trial_balance", "print_csv", "print_table"]

_LINES_MAX: Final = 500
"""Lines of a table; CSV has all."""

_NOT_INCOME: Final = "taxes"


class Shown(Struct, kw_only=True):
    """Rows under columns. Sums are shown in tables alone."""

    title: str
    words: Sequence[str]
    """Columns that say what a row is."""
    amounts: Sequence[str]
    """Columns of amounts."""
    rows: list[tuple[str, ...]]
    sums: list[tuple[str, ...]]


def of_income(
    lines: Sequence["IncomeLine"], commodities: Mapping[str, "Commodity"], *, by: str
) -> Shown:
    """Income by section and line; the sums are each asset's net income (and month's)."""
    has_group = by != "total"
    rows = [
        (
            line.asset_code,
            *([line.group] if has_group else []),
            line.section,
            line.name,
            _text(line.amount_minor, commodities[line.asset_code]),
        )
        for line in lines
    ]
    sums: list[tuple[str, ...]] = []
    for (asset, group), some in groupby(
        lines, key=lambda line: (line.asset_code, line.group if by == "month" else "")
    ):
        net = sum(line.amount_minor for line in some if line.section != _NOT_INCOME)
        words = [asset, *([group] if has_group else []), "net income", ""]
        sums.append((*words, _text(net, commodities[asset])))
    words = ("asset_code", *([by] if has_group else []), "section", "line")
    return Shown(title="Revenue", words=words, amounts=("amount",), rows=rows, sums=sums)


def of_owed(lines: Sequence["OwedLine"], commodities: Mapping[str, "Commodity"]) -> Shown:
    """What is owed by us and to us, with its changes."""
    rows = [
        (
            line.asset_code,
            line.section,
            line.name,
            *_texts(
                commodities[line.asset_code],
                line.opening_minor,
                line.increase_minor,
                line.decrease_minor,
                line.closing_minor,
            ),
        )
        for line in lines
    ]
    sums = [
        (asset, section, "", *_texts(commodities[asset], *_totals(some)))
        for (asset, section), some in groupby(
            lines, key=lambda line: (line.asset_code, line.section)
        )
    ]
    return Shown(
        title="Liabilities",
        words=("asset_code", "section", "line"),
        amounts=("opening", "increase", "decrease", "closing"),
        rows=rows,
        sums=sums,
    )


def of_trial_balance(lines: Sequence["TrialLine"], commodities: Mapping[str, "Commodity"]) -> Shown:
    """Every account; the sums of debits and credits are the same, those of balances nothing."""
    rows = [
        (
            line.asset_code,
            line.account.text,
            *_texts(
                commodities[line.asset_code],
                line.opening_minor,
                line.debits_minor,
                line.credits_minor,
                line.closing_minor,
            ),
        )
        for line in lines
    ]
    sums: list[tuple[str, ...]] = []
    for asset, found in groupby(lines, key=lambda line: line.asset_code):
        some = list(found)
        totals = (
            sum(line.opening_minor for line in some),
            sum(line.debits_minor for line in some),
            sum(line.credits_minor for line in some),
            sum(line.closing_minor for line in some),
        )
        sums.append((asset, "", *_texts(commodities[asset], *totals)))
    return Shown(
        title="Trial balance, debits less credits",
        words=("asset_code", "account"),
        amounts=("opening", "debits", "credits", "closing"),
        rows=rows,
        sums=sums,
    )


def print_csv(shown: Shown) -> None:
    """All rows, without sums."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow((*shown.words, *shown.amounts))
    writer.writerows([_harmless(cell) for cell in row] for row in shown.rows)


def print_table(shown: Shown, *, title: str) -> None:
    """Rows, then sums."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console()
    console.print(title, markup=False, highlight=False)
    if not shown.rows:
        console.print("nothing has moved")
        return
    table = Table()
    for name in shown.words:
        table.add_column(_heading(name))
    for name in shown.amounts:
        table.add_column(_heading(name), justify="right", no_wrap=True)
    for row in shown.rows[:_LINES_MAX]:
        table.add_row(*map(escape, row))
    table.add_section()
    for row in shown.sums:
        table.add_row(*map(escape, row), style="bold")
    console.print(table)
    if len(shown.rows) > _LINES_MAX:
        console.print(f"… {len(shown.rows) - _LINES_MAX:,} more lines: --format csv has all")


def _totals(lines: Iterable["OwedLine"]) -> tuple[int, int, int, int]:
    some = list(lines)
    return (
        sum(line.opening_minor for line in some),
        sum(line.increase_minor for line in some),
        sum(line.decrease_minor for line in some),
        sum(line.closing_minor for line in some),
    )


def _texts(commodity: "Commodity", *amounts: int) -> tuple[str, ...]:
    return tuple(_text(amount, commodity) for amount in amounts)


def _text(minor: int, commodity: "Commodity") -> str:
    return format_minor(minor, commodity.scale)


def _heading(name: str) -> str:
    return name.removesuffix("_code").replace("_", " ").capitalize()


def _harmless(cell: str) -> str:
    """A cell that a spreadsheet will not run: names are chosen by whoever calls the API."""
    if cell[:1] in {"=", "+", "@", "\t", "\r"} or (cell[:1] == "-" and not _is_number(cell)):
        return f"'{cell}"
    return cell


def _is_number(cell: str) -> bool:
    return cell[1:].replace(".", "", 1).isdigit()
