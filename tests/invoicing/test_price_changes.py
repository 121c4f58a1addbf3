"""What a version that waits takes over from what is published meanwhile; what a summary says."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec
from msgspec import structs

from invoicing.charge_filters import PlanChargeFilter
from invoicing.charges import PlanCharge
from invoicing.fixed_charges import PlanFixedCharge
from invoicing.price_changes import CHANGES_MAX, Prices, carry, summarize

NOW = datetime(2026, 3, 10, tzinfo=UTC)


def charge(code: str, amount: str = "1", **terms: Any) -> PlanCharge:
    """A standard charge; its id is made of its code."""
    known = {
        "id": UUID(int=sum(code.encode())),
        "code": code,
        "billable_metric_id": UUID(int=2),
        "billable_metric_code": "metric",
        "aggregation_type": "sum_agg",
        "field_name": "n",
        "metric_filters": {"model": ["o1", "o3"]},
        "charge_model": "standard",
        "properties": {"amount": amount},
        "asset_code": "USD",
        "created_at": NOW,
    }
    return PlanCharge(**known | terms)


def priced(model: str, amount: str) -> PlanChargeFilter:
    return PlanChargeFilter(
        id=UUID(int=sum(model.encode())),
        values={"model": [model]},
        properties={"amount": amount},
        created_at=NOW,
    )


def seats(units: int, **terms: Any) -> PlanFixedCharge:
    known = {
        "id": UUID(int=9),
        "code": "seats",
        "add_on_id": UUID(int=8),
        "add_on_code": "seat",
        "add_on_name": "Seat",
        "charge_model": "standard",
        "properties": {"amount": "10"},
        "units": Decimal(units),
        "created_at": NOW,
    }
    return PlanFixedCharge(**known | terms)


def prices(*charges: PlanCharge, fixed: tuple[PlanFixedCharge, ...] = ()) -> Prices:
    return Prices(charges=list(charges), fixed_charges=list(fixed))


def test_what_was_added_or_taken_out_meanwhile_is_so_later_too() -> None:
    before = prices(charge("a"), charge("b"))
    later = prices(charge("a", "5"), charge("b"), charge("d"))
    after = prices(charge("a"), charge("c"))
    assert carry(before, after, later) == prices(charge("a", "5"), charge("d"), charge("c"))


def test_the_price_that_waits_wins_over_the_one_of_today() -> None:
    before, later = prices(charge("a", "1")), prices(charge("a", "3"))
    assert carry(before, prices(charge("a", "2")), later) == later


def test_another_field_of_the_same_charge_is_taken_over() -> None:
    before, later = prices(charge("a", "1")), prices(charge("a", "3"))
    after = prices(charge("a", "2", invoice_display_name="A", min_amount_cents=500))
    carried = prices(charge("a", "3", invoice_display_name="A", min_amount_cents=500))
    assert carry(before, after, later) == carried


def test_filters_are_taken_over_one_by_one() -> None:
    before = prices(charge("a", filters=[priced("o1", "1"), priced("o3", "3")]))
    later = prices(charge("a", filters=[priced("o1", "10"), priced("o3", "3")]))
    after = prices(charge("a", filters=[priced("o1", "2"), priced("o3", "4"), priced("x", "5")]))
    carried = [priced("o1", "10"), priced("o3", "4"), priced("x", "5")]
    assert carry(before, after, later) == prices(charge("a", filters=carried))


def test_a_charge_that_waits_to_be_taken_out_is_not_brought_back() -> None:
    before, later = prices(charge("a"), charge("b")), prices(charge("a"))
    after = prices(charge("a"), charge("b", "2"))
    assert carry(before, after, later) == later


def test_what_would_not_go_together_stays_as_it_was_to_be() -> None:
    volume = {"volume_ranges": [{"from_value": 0, "per_unit_amount": "1", "flat_amount": "0"}]}
    before = prices(charge("a", "1"))
    later = prices(charge("a", "3"))
    after = prices(charge("a", charge_model="volume", properties=volume))
    assert carry(before, after, later) == later
    in_advance = prices(charge("a", pay_in_advance=True))
    minimum = prices(charge("a", min_amount_cents=5))
    assert carry(before, in_advance, minimum) == minimum


def test_fixed_charges_are_taken_over_in_the_same_way() -> None:
    before, later = prices(fixed=(seats(5),)), prices(fixed=(seats(9),))
    after = prices(charge("a"), fixed=(seats(6, invoice_display_name="S"),))
    carried = prices(charge("a"), fixed=(seats(9, invoice_display_name="S"),))
    assert carry(before, after, later) == carried
    volume = seats(5, charge_model="volume", properties=_volume())
    in_advance = prices(fixed=(seats(5, pay_in_advance=True),))
    assert carry(before, in_advance, prices(fixed=(volume,))) == prices(fixed=(volume,))


def _volume() -> dict[str, Any]:
    return {"volume_ranges": [{"from_value": 0, "per_unit_amount": "1", "flat_amount": "0"}]}


def test_a_summary_says_of_each_charge_what_became_of_it() -> None:
    before = prices(charge("a"), charge("b"), fixed=(seats(5),))
    after = prices(charge("a", "2", invoice_display_name="A"), charge("c"), fixed=(seats(6),))
    summary = msgspec.to_builtins(summarize(before, after))
    assert summary["count"] == 4
    assert summary["entries"] == [
        {"code": "b", "kind": "charge", "change": "removed"},
        {
            "code": "a",
            "kind": "charge",
            "change": "changed",
            "fields": {
                "properties": {"before": {"amount": "1"}, "after": {"amount": "2"}},
                "invoice_display_name": {"before": None, "after": "A"},
            },
        },
        {"code": "c", "kind": "charge", "change": "added"},
        {
            "code": "seats",
            "kind": "fixed_charge",
            "change": "changed",
            "fields": {"units": {"before": "5", "after": "6"}},
        },
    ]
    assert summarize(None, after).count == 3
    assert summarize(after, after).count == 0


def test_a_summary_of_many_filters_lists_some_and_counts_all() -> None:
    many = [priced(f"model-{'x' * number}", "1") for number in range(CHANGES_MAX + 50)]
    before = prices(charge("a", filters=[*many[:10], priced("gone", "1")]))
    dearer = structs.replace(many[0], properties={"amount": "2"})
    after = prices(charge("a", filters=[dearer, *many[1:]]))
    (entry,) = summarize(before, after).entries
    assert entry.filters_changed == 1 + 1 + len(many) - 10
    assert len(entry.filters) == CHANGES_MAX
    assert entry.filters[0].values == {"model": ["gone"]}
    assert entry.filters[0].after is None
    assert (entry.filters[1].before, entry.filters[1].after) == ({"amount": "1"}, {"amount": "2"})
    assert entry.filters[2].before is None


def test_a_summary_says_how_many_values_a_metric_declares_and_not_all_of_them() -> None:
    before = prices(charge("a"))
    after = prices(charge("a", metric_filters={"model": ["o1", "o3", "o5"]}))
    (entry,) = summarize(before, after).entries
    assert entry.fields["metric_filters"].before == {"model": 2}
    assert entry.fields["metric_filters"].after == {"model": 3}
