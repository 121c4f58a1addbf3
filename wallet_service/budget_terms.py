"""What callers may say of a budget, and what that means. No I/O."""

import re
import zoneinfo
from functools import cache
from typing import Annotated, Final, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from ledger import money
from ledger.errors import InvalidAmount
from wallet_service.decision import Asset
from wallet_service.decision.budget_windows import Calendar, Rolling
from wallet_service.errors import Invalid
from wallet_service.wallet_terms import DecimalText, Name, Word

__all__ = [
    "AlertThreshold",
    "BudgetChanges",
    "BudgetRequest",
    "check_code",
    "read_given",
    "read_limit",
    "read_name",
    "read_thresholds",
    "read_window",
]

_CODE: Final = re.compile(r"[A-Za-z0-9_.:-]{1,255}", re.ASCII)
_REARM_POINTS: Final = 10

FilterValues = Annotated[
    list[Annotated[str, Meta(min_length=1, max_length=255)]], Meta(min_length=1, max_length=100)
]
Filters = Annotated[
    dict[Annotated[str, Meta(min_length=1, max_length=255)], FilterValues], Meta(max_length=20)
]


class AlertThreshold(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Percentages of the limit: an alert at the one, armed again below the other."""

    percentage: Annotated[int, Meta(ge=1, le=1000)]
    rearm_below: Annotated[int, Meta(ge=0, le=1000)] | UnsetType = UNSET


Thresholds = Annotated[list[AlertThreshold], Meta(max_length=20)]
Mode = Literal["hard", "soft"]


class BudgetRequest(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A budget to make. What is left out of its scope means all there are."""

    code: Name
    limit: DecimalText
    asset_code: Word
    name: Name | UnsetType = UNSET
    mode: Mode = "hard"
    external_customer_id: Name | UnsetType = UNSET
    external_subscription_id: Name | UnsetType = UNSET
    billable_metric_code: Name | UnsetType = UNSET
    api_key_id: Name | UnsetType = UNSET
    filters: Filters = {}
    per: Name | UnsetType = UNSET
    window: Calendar | Rolling | UnsetType = UNSET
    alert_thresholds: Thresholds = []


class BudgetChanges(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What may change of a budget; what is left out stays."""

    name: Name | UnsetType = UNSET
    limit: DecimalText | UnsetType = UNSET
    mode: Mode | UnsetType = UNSET
    alert_thresholds: Thresholds | UnsetType = UNSET


def check_code(code: str) -> str:
    """A code that can stand in an address. Raises Invalid."""
    if not _CODE.fullmatch(code):
        raise Invalid("code", "invalid_format", "letters, digits and _ . : -, at most 255")
    return code


def read_given(field: str, value: str | UnsetType) -> str | None:
    """A text that may be left out, but not be empty. Raises Invalid."""
    if value is UNSET:
        return None
    if not value:
        raise Invalid(field, "value_is_mandatory", "leave it out")
    return value


def read_name(value: str | UnsetType) -> str | None:
    """A name for people, if there is one. Raises Invalid."""
    return None if value is UNSET else read_given("name", value.strip())


def read_limit(text: str, asset: Asset) -> int:
    """A limit in the asset's smallest unit. Raises Invalid."""
    try:
        return money.parse_amount(text, money.Asset(asset.code, asset.scale))
    except InvalidAmount as error:
        raise Invalid("limit", error.reason, str(error)) from None


def read_window(given: Calendar | Rolling | UnsetType) -> Calendar | Rolling | None:
    """The window; None is for ever. Raises Invalid where there is no such time zone."""
    if isinstance(given, Calendar) and given.timezone not in _timezones():
        raise Invalid("window.timezone", "value_is_invalid", "a name such as Europe/Berlin")
    return None if given is UNSET else given


def read_thresholds(given: list[AlertThreshold]) -> list[dict[str, int]]:
    """Thresholds as they are stored and shown, the lowest first. Raises Invalid."""
    shown: list[dict[str, int]] = []
    for position, threshold in enumerate(given):
        percentage, rearm_below = threshold.percentage, threshold.rearm_below
        if rearm_below is UNSET:
            rearm_below = max(0, percentage - _REARM_POINTS)
        if rearm_below > percentage:
            raise Invalid(
                f"alert_thresholds.{position}.rearm_below",
                "value_is_out_of_range",
                "not above the percentage",
            )
        shown.append({"percentage": percentage, "rearm_below": rearm_below})
    if len({one["percentage"] for one in shown}) < len(shown):
        raise Invalid("alert_thresholds", "value_is_duplicated", "one alert a percentage")
    return sorted(shown, key=lambda one: one["percentage"])


@cache
def _timezones() -> frozenset[str]:
    return frozenset(zoneinfo.available_timezones())
