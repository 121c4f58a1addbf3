"""Which options of a charge go together: the whole of Lago's matrix, and what native units add."""

from datetime import UTC, datetime
from decimal import Decimal
from itertools import product
from typing import Any
from uuid import UUID

import pytest
from msgspec import structs

from invoicing.charge_assets import AppliedPricingUnit, PlanChargeAlternative
from invoicing.charge_options import check_options
from invoicing.charges import PlanCharge
from invoicing.errors import Invalid

NOW = datetime(2026, 3, 10, tzinfo=UTC)
AGGREGATIONS = {"count_agg", "sum_agg", "max_agg", "latest_agg", "unique_count_agg"} | {
    "weighted_sum_agg"
}
MODELS = {"standard", "graduated", "graduated_percentage", "package", "percentage"} | {
    "volume",
    "dynamic",
}
IN_ADVANCE = {"count_agg", "sum_agg", "unique_count_agg"}

CHARGE = PlanCharge(
    id=UUID(int=1),
    code="charge",
    billable_metric_id=UUID(int=2),
    billable_metric_code="metric",
    aggregation_type="sum_agg",
    field_name="n",
    metric_filters={},
    charge_model="standard",
    properties={"amount": "1"},
    asset_code="USD",
    created_at=NOW,
)


def problems(**terms: Any) -> dict[str, list[str]]:
    """What is wrong with a standard charge of a sum, once it has these terms."""
    try:
        check_options(structs.replace(CHARGE, **terms))
    except Invalid as error:
        return error.details
    return {}


def alternative(asset_code: str = "GPU_HOUR", charge_model: str = "standard"):
    return PlanChargeAlternative(
        id=UUID(int=3),
        asset_code=asset_code,
        charge_model=charge_model,
        properties={"amount": "1"},
        created_at=NOW,
    )


@pytest.mark.parametrize(("aggregation", "model"), sorted(product(AGGREGATIONS, MODELS)))
def test_in_advance_is_paid_what_one_event_can_add_to(aggregation: str, model: str) -> None:
    # Source: Lago, charges payable in advance: count, sum and unique count, but not by volume.
    told = problems(aggregation_type=aggregation, charge_model=model, pay_in_advance=True)
    allowed = aggregation in IN_ADVANCE and model != "volume"
    assert ("pay_in_advance" not in told) is allowed
    in_arrears = problems(aggregation_type=aggregation, charge_model=model)
    assert "pay_in_advance" not in in_arrears


@pytest.mark.parametrize("aggregation", sorted(AGGREGATIONS))
def test_only_sums_have_dynamic_prices(aggregation: str) -> None:
    told = problems(aggregation_type=aggregation, charge_model="dynamic")
    wanted = {"charge_model": ["invalid_aggregation_type_or_charge_model"]}
    assert told == ({} if aggregation == "sum_agg" else wanted)


@pytest.mark.parametrize(("model", "in_advance"), sorted(product(MODELS, (False, True))))
def test_only_some_models_take_part_of_a_period(model: str, in_advance: bool) -> None:
    # Source: Lago, prorated charges: in advance standard, in arrears standard, volume, graduated.
    allowed = {"standard"} if in_advance else {"standard", "volume", "graduated"}
    told = problems(charge_model=model, pay_in_advance=in_advance, prorated=True, recurring=True)
    assert ("prorated" not in told) is (model in allowed)


@pytest.mark.parametrize(
    ("aggregation", "recurring", "allowed"),
    [
        ("sum_agg", True, True),
        ("unique_count_agg", True, True),
        ("sum_agg", False, False),
        ("weighted_sum_agg", True, False),
        ("count_agg", False, False),
    ],
)
def test_only_recurring_metrics_are_prorated_and_never_weighted_sums(
    aggregation: str, recurring: bool, allowed: bool
) -> None:
    told = problems(aggregation_type=aggregation, recurring=recurring, prorated=True)
    assert told == ({} if allowed else {"prorated": ["invalid_billable_metric_or_charge_model"]})


def test_what_is_not_invoiced_is_paid_in_advance() -> None:
    assert problems(invoiceable=False) == {"invoiceable": ["only_compatible_with_pay_in_advance"]}
    assert problems(invoiceable=False, pay_in_advance=True) == {}


def test_paid_fees_are_gathered_where_they_are_not_invoiced_one_by_one() -> None:
    code = "only_compatible_with_pay_in_advance_and_non_invoiceable"
    for in_advance, invoiceable in ((True, True), (False, True)):
        told = problems(
            regroup_paid_fees="invoice", pay_in_advance=in_advance, invoiceable=invoiceable
        )
        assert told == {"regroup_paid_fees": [code]}
    told = problems(regroup_paid_fees="invoice", pay_in_advance=True, invoiceable=False)
    assert told == {}
    told = problems(regroup_paid_fees="mail", pay_in_advance=True, invoiceable=False)
    assert told == {"regroup_paid_fees": ["value_is_invalid"]}


def test_a_minimum_is_of_a_period_that_is_paid_at_its_end_in_money() -> None:
    assert problems(min_amount_cents=100) == {}
    assert problems(min_amount_cents=100, pay_in_advance=True) == {
        "min_amount_cents": ["not_compatible_with_pay_in_advance"]
    }
    assert problems(min_amount_cents=100, asset_code="GPU_HOUR") == {
        "min_amount_cents": ["value_is_invalid"]
    }


def test_prices_that_come_in_cents_are_in_money() -> None:
    assert problems(charge_model="dynamic", asset_code="GPU_HOUR") == {
        "asset_code": ["value_is_invalid"]
    }
    assert problems(alternatives=[alternative(charge_model="dynamic")]) == {
        "alternatives.0.asset_code": ["value_is_invalid"]
    }


def test_a_pricing_unit_is_worth_money() -> None:
    unit = AppliedPricingUnit(code="CREDIT", conversion_rate=Decimal(2), scale=2)
    assert problems(applied_pricing_unit=unit) == {}
    assert problems(applied_pricing_unit=unit, asset_code="GPU_HOUR") == {
        "applied_pricing_unit": ["value_is_invalid"]
    }


def test_alternatives_are_in_other_assets_and_under_the_same_options() -> None:
    assert problems(alternatives=[alternative(), alternative("EUR")]) == {}
    assert problems(alternatives=[alternative("USD")]) == {
        "alternatives.0.asset_code": ["value_is_duplicated"]
    }
    assert problems(alternatives=[alternative(), alternative()]) == {
        "alternatives.1.asset_code": ["value_is_duplicated"]
    }
    assert problems(alternatives=[alternative(charge_model="volume")], pay_in_advance=True) == {
        "alternatives.0.charge_model": ["invalid_aggregation_type_or_charge_model"]
    }
    prorated = problems(
        alternatives=[alternative(charge_model="package")], prorated=True, recurring=True
    )
    assert prorated == {"prorated": ["invalid_billable_metric_or_charge_model"]}


def test_all_that_does_not_go_together_is_told_at_once() -> None:
    told = problems(
        code=" ",
        aggregation_type="max_agg",
        pay_in_advance=True,
        prorated=True,
        min_amount_cents=-1,
        regroup_paid_fees="invoice",
    )
    assert set(told) == {
        "code",
        "pay_in_advance",
        "prorated",
        "min_amount_cents",
        "regroup_paid_fees",
    }
