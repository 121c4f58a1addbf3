"""Usage thresholds: sums of lifetime usage at which usage is billed before its period ends. Pure.

Source of the rules: Lago, progressive billing.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from msgspec import Struct, UnsetType

from invoicing.errors import Invalid
from ledger.ids import new_uuid

__all__ = ["ThresholdChanges", "UsageThreshold", "merge_thresholds"]

_AMOUNT_CENTS_MAX: Final = 2**63 - 1
_THRESHOLDS_MAX: Final = 50


class UsageThreshold(Struct, frozen=True, kw_only=True):
    """A sum of lifetime usage at which an invoice is made before the period ends."""

    id: UUID
    amount_cents: int
    threshold_display_name: str | None = None
    recurring: bool = False
    """After the last of the others, again and again after so much more."""
    created_at: datetime
    updated_at: datetime


class ThresholdChanges(Struct, kw_only=True):
    """A threshold as a caller gives it: one that names an `id` keeps it, and so does an amount."""

    id: str | None = None
    amount_cents: int | None = None
    threshold_display_name: str | None = None
    recurring: bool | None = None


def merge_thresholds(
    before: Sequence[UsageThreshold],
    wanted: Sequence[ThresholdChanges] | UnsetType,
    *,
    now: datetime,
) -> list[UsageThreshold]:
    """The thresholds after a change, by amount, the recurring one last; UNSET leaves them.

    At most one is recurring, and no two others have the same amount. Raises Invalid.
    """
    if isinstance(wanted, UnsetType):
        return list(before)
    if len(wanted) > _THRESHOLDS_MAX:
        raise Invalid.field("usage_thresholds", "invalid_count")
    merged: list[UsageThreshold] = []
    taken: set[int | None] = set()
    for position, changes in enumerate(wanted):
        name = f"usage_thresholds.{position}.amount_cents"
        amount, recurring = changes.amount_cents, changes.recurring is True
        if amount is None:
            raise Invalid.field(name, "value_is_mandatory")
        if not 0 < amount <= _AMOUNT_CENTS_MAX:
            raise Invalid.field(name, "value_is_out_of_range")
        key = None if recurring else amount
        if key in taken:
            raise Invalid.field(name, "value_is_duplicated")
        taken.add(key)
        known = _known(before, changes)
        merged.append(
            UsageThreshold(
                id=known.id if known else new_uuid(now),
                amount_cents=amount,
                threshold_display_name=changes.threshold_display_name,
                recurring=recurring,
                created_at=known.created_at if known else now,
                updated_at=now,
            )
        )
    return sorted(merged, key=lambda one: (one.recurring, one.amount_cents))


def _known(before: Sequence[UsageThreshold], changes: ThresholdChanges) -> UsageThreshold | None:
    """The threshold that is meant, where there is one."""
    for one in before:
        if changes.id is not None:
            if str(one.id) == changes.id:
                return one
        elif one.recurring == (changes.recurring is True) and (
            one.recurring or one.amount_cents == changes.amount_cents
        ):
            return one
    return None
