"""A charge as it is stored, and as rating takes it."""

import doctest
from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

import msgspec
from msgspec import structs

from invoicing import codes
from invoicing.charge_assets import AppliedPricingUnit, PlanChargeAlternative
from invoicing.charge_filters import PlanChargeFilter
from invoicing.charge_properties import PresentationKey
from invoicing.charges import PlanCharge
from invoicing.records import to_json
from rating.charge_models import Package, Standard
from rating.charges import Charge, ChargeFilter, Conversion

NOW = datetime(2026, 3, 10, tzinfo=UTC)
PACKAGE = {"amount": "5", "package_size": 10, "free_units": 1}

FULL = PlanCharge(
    id=UUID(int=1),
    code="output",
    billable_metric_id=UUID(int=2),
    billable_metric_code="tokens",
    aggregation_type="sum_agg",
    field_name="n",
    recurring=True,
    rounding_function="ceil",
    rounding_precision=-2,
    expression="event.properties.n * 2",
    metric_filters={"model": ["o1", "o3"]},
    charge_model="standard",
    properties={"amount": "0.5"},
    filters=[
        PlanChargeFilter(
            id=UUID(int=3), values={"model": ["o3"]}, properties={"amount": "2"}, created_at=NOW
        )
    ],
    pricing_group_keys=["region"],
    presentation_group_keys=[PresentationKey(value="team", display_in_invoice=False)],
    asset_code="JPY",
    alternatives=[
        PlanChargeAlternative(
            id=UUID(int=4),
            asset_code="TOKEN",
            charge_model="package",
            properties=PACKAGE,
            filters=[
                PlanChargeFilter(
                    id=UUID(int=5), values={"model": ["o1"]}, properties=PACKAGE, created_at=NOW
                )
            ],
            created_at=NOW,
        )
    ],
    applied_pricing_unit=AppliedPricingUnit(code="CREDIT", conversion_rate=Decimal(3), scale=4),
    pay_in_advance=True,
    invoiceable=False,
    prorated=True,
    min_amount_cents=700,
    accepts_target_wallet=True,
    created_at=NOW,
)


def test_nothing_that_rating_asks_for_is_lost() -> None:
    package = Package(amount=Decimal(5), package_size=10, free_units=1)
    common = {
        "code": "output",
        "billable_metric_code": "tokens",
        "aggregation": "sum_agg",
        "field_name": "n",
        "metric_filters": {"model": ("o1", "o3")},
        "recurring": True,
        "prorated": True,
        "expression": "event.properties.n * 2",
        "rounding_function": "ceil",
        "rounding_precision": -2,
        "pricing_group_keys": ("region",),
        "presentation_group_keys": ("team",),
        "accepts_target_wallet": True,
        "pay_in_advance": True,
        "invoiceable": False,
    }
    alternative = Charge(
        id=UUID(int=4),
        asset_code="TOKEN",
        model=package,
        filters=(ChargeFilter(id=UUID(int=5), values={"model": ("o1",)}, model=package),),
        **common,
    )
    wanted = Charge(
        id=UUID(int=1),
        asset_code="JPY",
        model=Standard(amount=Decimal("0.5")),
        filters=(
            ChargeFilter(
                id=UUID(int=3), values={"model": ("o3",)}, model=Standard(amount=Decimal(2))
            ),
        ),
        alternatives=(alternative,),
        conversion=Conversion(code="CREDIT", scale=4, rate=Decimal(3)),
        min_amount=Decimal(700),  # a yen has no cents
        **common,
    )
    rated = FULL.for_rating()
    assert {name for name in Charge.__struct_fields__ if not getattr(rated, name)} == {
        "invoiceable"
    }
    assert rated == wanted


def test_a_minimum_is_in_units_of_its_currency() -> None:
    for code, amount in (("USD", "7.00"), ("KWD", "0.700"), ("JPY", "700")):
        charge = structs.replace(FULL, asset_code=code)
        assert str(charge.for_rating().min_amount) == amount


def test_a_stored_charge_is_read_back_as_it_was() -> None:
    decoder = msgspec.json.Decoder(list[PlanCharge], float_hook=Decimal)
    assert decoder.decode(to_json([FULL])) == [FULL]


def test_the_examples_run() -> None:
    assert doctest.testmod(codes).failed == 0
