"""Which options of a charge go together: with its metric, its model, and each other. Pure.

Source: Lago, charges (its aggregations payable in advance, its prorated and recurring metrics, its
options of invoicing). What is in native units is ours.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from invoicing.currencies import CURRENCIES
from invoicing.errors import Invalid

if TYPE_CHECKING:
    from invoicing.charges import PlanCharge

_IN_ADVANCE: Final = frozenset({"count_agg", "sum_agg", "unique_count_agg"})
"""The aggregations that know what one event adds."""
_PRORATED_IN_ADVANCE: Final = frozenset({"standard"})
_PRORATED_IN_ARREARS: Final = frozenset({"standard", "volume", "graduated"})


def check_options(charge: "PlanCharge") -> None:
    """Raise Invalid with all that does not go together."""
    problems: dict[str, list[str]] = {}
    for field, code in (
        *_of_itself(charge),
        *_of_timing(charge),
        *_of_models(charge),
        *_of_assets(charge),
    ):
        problems.setdefault(field, [code])
    if problems:
        raise Invalid(problems)


def _of_itself(charge: "PlanCharge") -> Iterator[tuple[str, str]]:
    if not charge.code.strip():
        yield "code", "value_is_mandatory"
    if charge.min_amount_cents < 0:
        yield "min_amount_cents", "value_is_out_of_range"
    if charge.regroup_paid_fees not in {None, "invoice"}:
        yield "regroup_paid_fees", "value_is_invalid"


def _of_timing(charge: "PlanCharge") -> Iterator[tuple[str, str]]:
    """When it is charged for, and what one event adds to a price."""
    if charge.pay_in_advance and charge.aggregation_type not in _IN_ADVANCE:
        yield "pay_in_advance", "invalid_aggregation_type_or_charge_model"
    if charge.min_amount_cents > 0 and charge.pay_in_advance:
        yield "min_amount_cents", "not_compatible_with_pay_in_advance"
    if not charge.invoiceable and not charge.pay_in_advance:
        yield "invoiceable", "only_compatible_with_pay_in_advance"
    if charge.regroup_paid_fees and (charge.invoiceable or not charge.pay_in_advance):
        yield "regroup_paid_fees", "only_compatible_with_pay_in_advance_and_non_invoiceable"


def _of_models(charge: "PlanCharge") -> Iterator[tuple[str, str]]:
    """Which models take part of a period, and which need sums or the period's end."""
    can_prorate = charge.recurring and charge.aggregation_type != "weighted_sum_agg"
    prorated = _PRORATED_IN_ADVANCE if charge.pay_in_advance else _PRORATED_IN_ARREARS
    alternatives = [entry.charge_model for entry in charge.alternatives]
    if charge.prorated and not (
        can_prorate and prorated.issuperset((charge.charge_model, *alternatives))
    ):
        yield "prorated", "invalid_billable_metric_or_charge_model"
    if charge.pay_in_advance and charge.charge_model == "volume":
        yield "pay_in_advance", "invalid_aggregation_type_or_charge_model"
    if charge.charge_model == "dynamic" and charge.aggregation_type != "sum_agg":
        yield "charge_model", "invalid_aggregation_type_or_charge_model"
    for position, charge_model in enumerate(alternatives):
        if (charge_model == "volume" and charge.pay_in_advance) or (
            charge_model == "dynamic" and charge.aggregation_type != "sum_agg"
        ):
            field = f"alternatives.{position}.charge_model"
            yield field, "invalid_aggregation_type_or_charge_model"


def _of_assets(charge: "PlanCharge") -> Iterator[tuple[str, str]]:
    """A price in cents, which events bring or a period costs at least, is one of money."""
    is_money = charge.asset_code in CURRENCIES
    if charge.min_amount_cents > 0 and not is_money:
        yield "min_amount_cents", "value_is_invalid"
    if charge.charge_model == "dynamic" and not is_money:
        yield "asset_code", "value_is_invalid"
    if charge.applied_pricing_unit and not is_money:
        yield "applied_pricing_unit", "value_is_invalid"
    taken = {charge.asset_code}
    for position, entry in enumerate(charge.alternatives):
        field = f"alternatives.{position}.asset_code"
        if entry.asset_code in taken:
            yield field, "value_is_duplicated"
        elif entry.charge_model == "dynamic" and entry.asset_code not in CURRENCIES:
            yield field, "value_is_invalid"
        taken.add(entry.asset_code)
