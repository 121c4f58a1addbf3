"""Rules that say when a subscription becomes active: once what it costs in advance is paid. Pure.

Until then it is `incomplete`: nothing is priced by it, and its first invoice waits to be paid. What
is not paid in time cancels it. Source: Lago, activation rules of type `payment`.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from msgspec import Struct, structs

__all__ = ["TIMEOUT_HOURS_MAX", "ActivationRule", "read_rules"]

TIMEOUT_HOURS_MAX: Final = 24 * 365
"""A year; 0 waits for ever."""


class ActivationRule(Struct, frozen=True, kw_only=True):
    """A condition of a subscription's beginning."""

    id: UUID
    type: str = "payment"
    timeout_hours: int = 0
    status: str = "inactive"
    """inactive (not begun), pending, satisfied, failed, expired, not_applicable."""
    expires_at: datetime | None = None
    created_at: datetime
    updated_at: datetime

    def begun(self, at: datetime) -> "ActivationRule":
        """The rule from the time on at which the subscription is to begin."""
        expires_at = None
        if self.timeout_hours:
            try:
                expires_at = at + timedelta(hours=self.timeout_hours)
            except OverflowError:
                expires_at = datetime.max.replace(tzinfo=UTC)
        return structs.replace(self, status="pending", expires_at=expires_at)


def read_rules(rules: Sequence[ActivationRule]) -> dict[str, list[str]]:
    """What is wrong with rules, by field."""
    problems: dict[str, list[str]] = {}
    for position, rule in enumerate(rules):
        if rule.type != "payment":
            problems[f"activation_rules.{position}.type"] = ["value_is_invalid"]
        if not 0 <= rule.timeout_hours <= TIMEOUT_HOURS_MAX:
            problems[f"activation_rules.{position}.timeout_hours"] = ["value_is_out_of_range"]
    if len(rules) > 1:
        problems["activation_rules"] = ["invalid_count"]
    return problems
