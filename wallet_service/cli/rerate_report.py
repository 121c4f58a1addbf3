"""How `wallet rerate` says what it found: a table, JSON or CSV. Amounts are exact, not rounded."""

import csv
import io
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

import click
from msgspec import UNSET, Struct, UnsetType

if TYPE_CHECKING:
    from rich.table import Table

    from wallet_service.rerating import Comparison, Cost

_LINES_MAX: Final = 200
"""Lines of a table; JSON and CSV have all."""

_TABLE_DIGITS: Final = 12
"""Digits after the point in a table: a share of days may have no end. JSON and CSV have all."""

_KINDS: Final = {
    "usage": "Usage",
    "minimum": "Minimum",
    "fixed_charge": "Fixed charge",
    "subscription": "Plan fee",
    "commitment": "Commitment",
}


class Line(Struct, kw_only=True):
    """A line of the answer: a subscription's costs of one kind, or for one thing, in one asset."""

    external_customer_id: str | UnsetType = UNSET
    external_subscription_id: str | UnsetType = UNSET
    plan_code: str | UnsetType = UNSET
    kind: str | UnsetType = UNSET
    code: str | UnsetType | None = UNSET
    asset_code: str
    events: int
    was: str
    would_be_events: int
    would_be: str
    difference: str


def show(comparison: "Comparison", *, output: str, by: str) -> None:
    """Print the answer; `by` is what a line stands for."""
    names = ["external_customer_id", "external_subscription_id", "plan_code", "kind"]
    if by == "metric":
        names.append("code")
    lines = _lines(comparison.costs, names)
    if output == "json":
        click.echo(_json(comparison, lines))
    elif output == "csv":
        click.echo(_csv(lines, names), nl=False)
        for note in _notes(comparison):
            click.echo(note, err=True)
    else:
        _print(comparison, lines, names)


def _lines(costs: "Iterable[Cost]", names: Sequence[str]) -> list[Line]:
    """What the costs come to by these names, and by asset."""
    groups: dict[tuple[Any, ...], list[Cost]] = {}
    for cost in costs:
        place = *(getattr(cost, name) for name in names), cost.asset_code
        groups.setdefault(place, []).append(cost)
    return [
        _line(some, **dict(zip(names, place, strict=False)), asset_code=place[-1])
        for place, some in groups.items()
    ]


def _line(costs: "Sequence[Cost]", **names: Any) -> Line:
    from rating.exact import EXACT, ZERO

    was = would_be = ZERO
    for cost in costs:
        was, would_be = EXACT.add(was, cost.was), EXACT.add(would_be, cost.would_be)
    return Line(
        **names,
        events=sum(cost.events for cost in costs),
        was=_text(was),
        would_be_events=sum(cost.would_be_events for cost in costs),
        would_be=_text(would_be),
        difference=_text(EXACT.subtract(would_be, was)),
    )


def _text(amount: Decimal) -> str:
    """The shortest text that says exactly this much."""
    text = format(amount, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _json(comparison: "Comparison", lines: Sequence[Line]) -> str:
    import msgspec

    answer = {
        "plan_code": comparison.plan_code,
        "version": comparison.version,
        "from": _time(comparison.start),
        "to": _time(comparison.end),
        "costs": lines,
        "totals": _lines(comparison.costs, []),
        "unpriced": comparison.unpriced,
    }
    return msgspec.json.format(msgspec.json.encode(answer)).decode()


def _time(at: datetime) -> str:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _csv(lines: Sequence[Line], names: Sequence[str]) -> str:
    written = io.StringIO()
    columns = [*names, *(name for name in Line.__struct_fields__ if name in _AMOUNTS)]
    writer = csv.DictWriter(written, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: getattr(line, name) for name in columns} for line in lines)
    return written.getvalue()


_AMOUNTS: Final = frozenset(
    {"asset_code", "events", "was", "would_be_events", "would_be", "difference"}
)


def _notes(comparison: "Comparison") -> list[str]:
    """What the plan cannot price, a line each."""
    return [
        f"not priced: {one.events:,} of {one.billable_metric_code}: {one.reason}"
        + (f" ({one.field})" if one.field else "")
        for one in comparison.unpriced
    ]


def _print(comparison: "Comparison", lines: Sequence[Line], names: Sequence[str]) -> None:
    from rich.console import Console

    console = Console()
    console.print(
        f"{comparison.plan_code}, version {comparison.version}: usage from "
        f"{_time(comparison.start)} to {_time(comparison.end)}",
        markup=False,
        highlight=False,
    )
    if lines:
        console.print(_table(lines, names, totals=_lines(comparison.costs, [])))
    else:
        console.print("nothing was used, and nothing else was due")
    if len(lines) > _LINES_MAX:
        console.print(f"… {len(lines) - _LINES_MAX:,} more lines: --format csv has all of them")
    for note in _notes(comparison):
        console.print(note, markup=False, highlight=False)


def _table(lines: Sequence[Line], names: Sequence[str], *, totals: Sequence[Line]) -> "Table":
    from rich.markup import escape
    from rich.table import Table

    titles = {
        "external_customer_id": "Customer",
        "external_subscription_id": "Subscription",
        "plan_code": "Plan",
        "kind": "For",
        "code": "Of",
    }
    table = Table(*(titles[name] for name in names), "Asset")
    for title in ("Events", "Was", "Priced", "Would be", "Difference"):
        table.add_column(title, justify="right")
    shown = [*lines[:_LINES_MAX]]
    for line in (*shown, *totals):
        is_total = line.external_customer_id is UNSET
        if is_total and line is totals[0]:
            table.add_section()
        values = [_shown(name, getattr(line, name)) for name in names]
        table.add_row(
            *(
                "All" if is_total and not place else "" if is_total else escape(value)
                for place, value in enumerate(values)
            ),
            line.asset_code,
            f"{line.events:,}",
            _short(line.was),
            f"{line.would_be_events:,}",
            _short(line.would_be),
            _short(line.difference),
        )
    return table


def _shown(name: str, value: Any) -> str:
    """A cell that says what a line is about; empty where it is about the plan itself."""
    if value is UNSET or value is None:
        return ""
    return _KINDS[value] if name == "kind" else str(value)


def _short(amount: str) -> str:
    """An amount as a table has room for it: what is left out is said to be there.

    >>> _short("92.857142857142857142857"), _short("0.5")
    ('92.857142857142…', '0.5')
    """
    whole, _, fraction = amount.partition(".")
    return amount if len(fraction) <= _TABLE_DIGITS else f"{whole}.{fraction[:_TABLE_DIGITS]}…"
