"""The minimum commitment of a plan: what its periods cost at least. Pure; `plans` stores it."""

from datetime import datetime
from uuid import UUID

from msgspec import UNSET, Struct, UnsetType, structs

from invoicing.errors import Invalid
from invoicing.records import apply
from ledger.ids import new_uuid

__all__ = ["CommitmentChanges", "MinimumCommitment", "merge_commitment"]


class MinimumCommitment(Struct, frozen=True, kw_only=True):
    """What a whole period costs at least, in the plan's currency."""

    id: UUID
    amount_cents: int
    invoice_display_name: str | None = None
    tax_codes: list[str] = []
    created_at: datetime
    updated_at: datetime


class CommitmentChanges(Struct, frozen=True, kw_only=True):
    """What to set: UNSET leaves a field as it is, None clears it."""

    amount_cents: int | UnsetType = UNSET
    invoice_display_name: str | UnsetType | None = UNSET
    tax_codes: list[str] | UnsetType = UNSET


def merge_commitment(
    before: MinimumCommitment | None,
    wanted: CommitmentChanges | UnsetType | None,
    *,
    now: datetime,
) -> MinimumCommitment | None:
    """The commitment after a change: UNSET leaves it, None ends it. Raises Invalid."""
    if isinstance(wanted, UnsetType):
        return before
    if wanted is None:
        return None
    if before is None and isinstance(wanted.amount_cents, UnsetType):
        raise Invalid.field("minimum_commitment.amount_cents", "value_is_mandatory")
    blank = before or MinimumCommitment(
        id=new_uuid(now), amount_cents=0, created_at=now, updated_at=now
    )
    return structs.replace(apply(wanted, blank), updated_at=now)
