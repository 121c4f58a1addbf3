"""What is wrong with a plan that is to be stored, but for its prices: codes by field."""

from datetime import datetime
from typing import TYPE_CHECKING, Final

from msgspec import UNSET, UnsetType

from invoicing import tax_codes
from invoicing.currencies import CURRENCIES
from invoicing.minimum_commitments import CommitmentChanges
from invoicing.records import Connection

if TYPE_CHECKING:
    from invoicing.plans import Plan, PlanChanges

__all__ = ["INTERVALS_A_YEAR", "cannot_wait", "problems_of", "unknown_taxes"]

INTERVALS_A_YEAR: Final = {
    "weekly": 52,
    "monthly": 12,
    "quarterly": 4,
    "semiannual": 2,
    "yearly": 1,
}
_AMOUNT_CENTS_MAX: Final = 2**63 - 1
_TRIAL_DAYS_MAX: Final = 3650
_CANNOT_WAIT: Final = (
    "amount_cents",
    "amount_currency",
    "interval",
    "minimum_commitment",
    "pay_in_advance",
    "trial_period",
)


def problems_of(plan: "Plan") -> dict[str, list[str]]:
    """What is wrong with a plan, but for its charges."""
    problems: dict[str, list[str]] = {}
    for name in ("name", "code", "interval", "amount_currency"):
        if not getattr(plan, name).strip():
            problems[name] = ["value_is_mandatory"]
    if plan.interval and plan.interval not in INTERVALS_A_YEAR:
        problems["interval"] = ["value_is_invalid"]
    if plan.amount_currency and plan.amount_currency not in CURRENCIES:
        problems["amount_currency"] = ["value_is_invalid"]
    if plan.amount_cents == -1:
        problems["amount_cents"] = ["value_is_mandatory"]
    elif not 0 <= plan.amount_cents <= _AMOUNT_CENTS_MAX:
        problems["amount_cents"] = ["value_is_out_of_range"]
    days = plan.trial_period
    if days is not None and not (days.is_finite() and 0 <= days <= _TRIAL_DAYS_MAX):
        problems["trial_period"] = ["value_is_out_of_range"]
    return problems


def cannot_wait(
    before: "Plan", plan: "Plan", effective_at: datetime | None
) -> dict[str, list[str]]:
    """What is asked to wait for its time, and cannot: all but the charges changes at once."""
    if effective_at is None:
        return {}
    return {
        name: ["value_is_invalid"]
        for name in _CANNOT_WAIT
        if getattr(before, name) != getattr(plan, name)
    }


async def unknown_taxes(
    connection: Connection, plan: "Plan", changes: "PlanChanges"
) -> dict[str, list[str]]:
    """What is wrong with the taxes that a plan is to have, if they are said."""
    commitment = changes.wanted_commitment
    given = {
        "tax_codes": changes.tax_codes,
        "minimum_commitment.tax_codes": commitment.tax_codes
        if isinstance(commitment, CommitmentChanges)
        else UNSET,
    }
    said = {field: codes for field, codes in given.items() if not isinstance(codes, UnsetType)}
    return await tax_codes.unknown(connection, plan.organization_id, said)
