"""Package prices: a package begun is paid. Goldens: reference of Lago, charge models, item 4."""

from __future__ import annotations

from decimal import Decimal

import pytest

from rating import InvalidModel, Package
from rating.charge_models import read_model
from tests.rating.playing import marginal_amounts, price_events


@pytest.mark.parametrize(
    ("units", "free_units", "expected"),
    [
        ("121", 0, "1300"),  # package_service_spec
        ("121", 10, "1200"),
        ("121", 200, "0"),
        ("120", 0, "1200"),
        ("120.000000000000000001", 0, "1300"),
        ("0", 0, "0"),
        ("-5", 0, "0"),
    ],
)
def test_a_package_begun_is_paid(units: str, free_units: int, expected: str) -> None:
    hundred_per_ten = Package(amount=Decimal(100), package_size=10, free_units=free_units)
    assert hundred_per_ten.price(Decimal(units)) == Decimal(expected)


def test_five_dollars_per_hundred_units_with_a_hundred_free() -> None:
    # Lago's documentation of package charges.
    assert price_events(
        Package(amount=Decimal(5), package_size=100, free_units=100), [Decimal(201)]
    ) == Decimal(10)


def test_paid_in_advance_each_event_pays_the_packages_it_opens() -> None:
    # pay_in_advance_charges_spec: package 100 / size 2 / free 3 with 3, 1, 2 units.
    hundred_per_two = Package(amount=Decimal(100), package_size=2, free_units=3)
    assert marginal_amounts(hundred_per_two, 3, 1, 2) == [0, 100, 100]


@pytest.mark.parametrize(
    ("properties", "field", "reason"),
    [
        ({"amount": "1"}, "package_size", "invalid_package_size"),
        ({"amount": "1", "package_size": 0}, "package_size", "invalid_package_size"),
        ({"amount": "1", "package_size": True}, "package_size", "invalid_package_size"),
        ({"amount": "1", "package_size": "10"}, "package_size", "invalid_package_size"),
        (
            {"amount": "1", "package_size": 10**19},
            "package_size",
            "invalid_package_size",
        ),
        (
            {"amount": "1", "package_size": 1, "free_units": -1},
            "free_units",
            "invalid_free_units",
        ),
        ({"package_size": 1}, "amount", "invalid_amount"),
    ],
)
def test_settings_that_make_no_package_are_refused(
    properties: dict[str, object], field: str, reason: str
) -> None:
    with pytest.raises(InvalidModel) as refused:
        read_model("package", properties)
    assert (refused.value.field, refused.value.reason) == (field, reason)
