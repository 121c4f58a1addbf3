"""The tables of docs/reference/period-rating.md come out as the page says."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path

from ledger.money import Rounding, format_minor, to_minor
from rating import Event, Graduated, Package, Standard, rate_events
from rating.advance import fees_in_advance
from rating.fixed_charges import FixedTerms, UnitsChange, fixed_fees_in_advance
from tests.rating.metering import added, at, period, ranges, removed, terms, used

PAGE = (Path(__file__).parents[2] / "docs/reference/period-rating.md").read_text()
SEPTEMBER = period("2023-09-01", "2023-10-01")
JUNE = period("2024-06-01", "2024-07-01")


def rows(section: str, header: str) -> list[list[str]]:
    """The rows of the table with this header in a section."""
    text = PAGE.split(f"\n## {section}\n", 1)[1].split("\n## ", 1)[0]
    lines = text.split(f"| {header} |\n", 1)[1].split("\n\n", 1)[0].splitlines()
    return [line.strip("| ").split(" | ") for line in lines[1:]]


def money(amount: Decimal) -> str:
    text = format_minor(to_minor(amount, 2, Rounding.HALF_AWAY), 2)
    return f"{Decimal(text):.2f}"


def test_weighted_sums() -> None:
    table = rows("Weighted sums", "Event | GB | Period | Units | Costs")
    assert len(table) == 3
    weighted = terms("weighted_sum_agg", Standard(amount=Decimal(1)), recurring=True)
    months = {
        "March": period("2023-03-05", "2023-04-01", full_days=31),
        "April": period("2023-04-01", "2023-05-01"),
    }
    events: list[Event] = []
    for day, units, month, total, cost in table:
        events.append(used(day, units))
        usage = rate_events(weighted, events, months[month])
        assert (str(usage.units), money(usage.amount)) == (total, cost)


def test_prorated_seats() -> None:
    table = rows("Days", "Event | Seat | Units")
    assert len(table) == 5
    seats = terms("unique_count_agg", Standard(amount=Decimal(1)), recurring=True, prorated=True)
    events: list[Event] = []
    for day, seat, units in table:
        events.append((removed if seat[0] == "-" else added)(day, seat.strip("-")))
        assert str(rate_events(seats, events, SEPTEMBER).units) == units


def test_prorated_graduated_prices() -> None:
    table = rows("Days", "Event | Units | Period so far")
    assert len(table) == 6
    given = ranges((0, 5, 10, 100), (6, 15, 5, 50), (16, None, 2, 0))
    model = Graduated.from_properties({"graduated_ranges": given})
    prorated = terms("sum_agg", model, recurring=True, prorated=True)
    events: list[Event] = []
    for day, units, amount in table:
        events.append(used(day, units))
        assert money(rate_events(prorated, events, SEPTEMBER).amount) == amount
    october = rate_events(prorated, events, period("2023-10-01", "2023-11-01"))
    assert f"October begins with 75 units: {money(october.amount)} if nothing" in PAGE


def test_packages_in_advance() -> None:
    table = rows("Pay in advance", "Units | Fee")
    assert len(table) == 5
    model = Package(amount=Decimal(100), package_size=2, free_units=3)
    events = [used("2024-06-03", units, order=order) for order, (units, _) in enumerate(table)]
    billed = fees_in_advance(terms("sum_agg", model, pay_in_advance=True), [], events, JUNE)
    assert [money(fee) for fee in billed.events] == [fee for _, fee in table]


def test_prorated_prices_in_advance() -> None:
    table = rows("Pay in advance", "Event | Fee")
    assert len(table) == 3
    agreed = terms(
        "sum_agg",
        Standard(amount=Decimal("30.12")),
        recurring=True,
        prorated=True,
        pay_in_advance=True,
    )
    billed = fees_in_advance(agreed, [], [used(day) for day, _ in table], JUNE)
    assert [money(fee) for fee in billed.events] == [fee for _, fee in table]


def test_fixed_charges_in_advance() -> None:
    table = rows(
        "Fixed charges", "Units over the period | Billed at the start | Billed for changes"
    )
    assert len(table) == 3
    agreed = FixedTerms(model=Standard(amount=Decimal(10)), pay_in_advance=True)
    for units, start, fees in table:
        changes = [
            UnitsChange(at(f"2024-0{5 + (day > 1)}-{day:02}"), Decimal(each))
            for day, each in enumerate(re.split(", ", units), 1)
        ]
        billed = fixed_fees_in_advance(agreed, changes, JUNE)
        assert (money(billed.carried), [money(fee) for fee in billed.events]) == (
            start,
            fees.split(", "),
        )
