"""What one subscription has otherwise than its plan, on the wire."""

from decimal import Decimal
from typing import Annotated

from msgspec import UNSET, Struct
from msgspec import Meta as Limits

from invoicing.charge_changes import CHARGES_MAX
from invoicing.fixed_charges import FIXED_CHARGES_MAX
from invoicing.plan_overrides import PlanOverrides
from wallet_service.api.schemas.formats import Cents, Code, Given, Name, ShortList, Text, Word
from wallet_service.api.schemas.formats import changes as changes_of
from wallet_service.api.schemas.plan_charges import ChargeInput
from wallet_service.api.schemas.plan_fixed_charges import FixedChargeInput
from wallet_service.api.schemas.plans import (
    MinimumCommitmentInput,
    UsageThresholdInput,
    threshold_changes,
)
from wallet_service.wallet_terms import Metadata

__all__ = ["PlanOverridesInput"]


class PlanOverridesInput(Struct):
    """What is to be different for one subscription; what is left out stays as in the plan."""

    name: Given[Name] = UNSET
    invoice_display_name: Given[Name] = UNSET
    description: Given[Text] = UNSET
    amount_cents: Given[Cents] = UNSET
    amount_currency: Given[Word] = UNSET
    trial_period: Given[Decimal] = UNSET
    tax_codes: Given[ShortList[Code]] = UNSET
    metadata: Given[Metadata] = UNSET
    minimum_commitment: Given[MinimumCommitmentInput] = UNSET
    usage_thresholds: Given[ShortList[UsageThresholdInput]] = UNSET
    charges: Given[Annotated[list[ChargeInput], Limits(max_length=CHARGES_MAX)]] = UNSET
    fixed_charges: Given[
        Annotated[list[FixedChargeInput], Limits(max_length=FIXED_CHARGES_MAX)]
    ] = UNSET

    def changes(self) -> PlanOverrides:
        """The same for the domain; raises Invalid."""
        commitment = self.minimum_commitment
        return changes_of(
            self,
            PlanOverrides,
            minimum_commitment=commitment.changes()
            if isinstance(commitment, MinimumCommitmentInput)
            else UNSET,
            usage_thresholds=threshold_changes(self.usage_thresholds),
            charges=[one.changes() for one in self.charges or []],
            fixed_charges=[one.changes() for one in self.fixed_charges or []],
        )
