"""Plans and their charges on the wire."""

from decimal import Decimal
from typing import Annotated

from msgspec import UNSET, Struct, UnsetType, field
from msgspec import Meta as Limits

from invoicing.charge_changes import CHARGES_MAX, ChargeChanges
from invoicing.fixed_charges import FIXED_CHARGES_MAX
from invoicing.minimum_commitments import CommitmentChanges, MinimumCommitment
from invoicing.plans import Plan, PlanChanges
from invoicing.usage_thresholds import ThresholdChanges, UsageThreshold
from wallet_service.api.pagination import Meta
from wallet_service.api.schemas.formats import (
    Cents,
    Code,
    Given,
    Name,
    ShortList,
    Text,
    Word,
    changes,
    iso_seconds,
)
from wallet_service.api.schemas.plan_charges import (
    ChargeBody,
    ChargeInput,
    Time,
    read_effective_at,
    refuse_times_of_parts,
)
from wallet_service.api.schemas.plan_fixed_charges import FixedChargeBody, FixedChargeInput
from wallet_service.api.schemas.taxes import ShownTaxes, TaxBody
from wallet_service.wallet_terms import Metadata


class MinimumCommitmentInput(Struct):
    """What a period of the plan is to cost at least; one that says nothing ends it."""

    amount_cents: Given[Cents] = UNSET
    invoice_display_name: Given[Name] = UNSET
    tax_codes: Given[ShortList[Code]] = UNSET

    def changes(self) -> CommitmentChanges | None:
        """The same for the domain; None ends what was agreed."""
        wanted = changes(self, CommitmentChanges)
        return None if wanted == CommitmentChanges() else wanted


class UsageThresholdInput(Struct):
    """What a caller says of a sum of lifetime usage at which usage is billed."""

    id: Given[Word] = UNSET
    amount_cents: Given[Cents] = UNSET
    threshold_display_name: Given[Name] = UNSET
    recurring: Given[bool] = UNSET

    def changes(self) -> ThresholdChanges:
        """The same for the domain."""
        return changes(self, ThresholdChanges)


def threshold_changes(
    given: list[UsageThresholdInput] | UnsetType | None,
) -> list[ThresholdChanges] | UnsetType:
    """The thresholds to have; null leaves them as they are."""
    return [one.changes() for one in given] if isinstance(given, list) else UNSET


class PlanInput(Struct):
    """What a caller says of a plan.

    `default` (the plan of customers who agreed to none) and `effective_at` (from when on other
    charges than before are in force) are ours.
    """

    name: Given[Name] = UNSET
    code: Given[Code] = UNSET
    invoice_display_name: Given[Name] = UNSET
    description: Given[Text] = UNSET
    interval: Given[Word] = UNSET
    amount_cents: Given[Cents] = UNSET
    amount_currency: Given[Word] = UNSET
    trial_period: Given[Annotated[Decimal, Limits(description="Days.")]] = UNSET
    pay_in_advance: Given[bool] = UNSET
    bill_charges_monthly: Given[bool] = UNSET
    bill_fixed_charges_monthly: Given[bool] = UNSET
    is_default: Given[bool] = field(default=UNSET, name="default")
    metadata: Given[Metadata] = UNSET
    charges: Given[Annotated[list[ChargeInput], Limits(max_length=CHARGES_MAX)]] = UNSET
    fixed_charges: Given[
        Annotated[list[FixedChargeInput], Limits(max_length=FIXED_CHARGES_MAX)]
    ] = UNSET
    usage_thresholds: Given[ShortList[UsageThresholdInput]] = UNSET
    minimum_commitment: Given[MinimumCommitmentInput] = UNSET
    tax_codes: Given[ShortList[Code]] = UNSET
    effective_at: Given[Time] = UNSET

    def changes(self) -> PlanChanges:
        """The same for the domain; raises a field error for a time that is none."""
        fixed = self.fixed_charges if isinstance(self.fixed_charges, list) else []
        refuse_times_of_parts("fixed_charges", fixed)
        return changes(
            self,
            PlanChanges,
            effective_at=read_effective_at(self.effective_at),
            wanted_commitment=self.minimum_commitment.changes()
            if isinstance(self.minimum_commitment, MinimumCommitmentInput)
            else self.minimum_commitment,
            wanted_thresholds=threshold_changes(self.usage_thresholds),
            wanted_fixed_charges=[charge.changes() for charge in fixed]
            if isinstance(self.fixed_charges, list)
            else UNSET,
        )

    def charge_changes(self) -> list[ChargeChanges] | UnsetType:
        """The charges to have from now on; UNSET leaves them as they are."""
        if not isinstance(self.charges, list):
            return UNSET
        refuse_times_of_parts("charges", self.charges)
        return [charge.changes() for charge in self.charges]


class PlanRequest(Struct):
    """The envelope of a plan to create or change."""

    plan: PlanInput


class MinimumCommitmentBody(Struct, kw_only=True):
    """What a period of a plan costs at least."""

    lago_id: str
    plan_code: str
    amount_cents: int
    invoice_display_name: str | None
    interval: str
    taxes: list[TaxBody]
    created_at: str
    updated_at: str

    @classmethod
    def of(
        cls, commitment: MinimumCommitment, plan: Plan, taxes: ShownTaxes
    ) -> "MinimumCommitmentBody":
        """Show the commitment of a plan; `taxes` has those that it names."""
        return cls(
            lago_id=str(commitment.id),
            plan_code=plan.code,
            amount_cents=commitment.amount_cents,
            invoice_display_name=commitment.invoice_display_name,
            interval=plan.interval,
            taxes=taxes.of(commitment.tax_codes),
            created_at=iso_seconds(commitment.created_at),
            updated_at=iso_seconds(commitment.updated_at),
        )


class UsageThresholdBody(Struct, kw_only=True):
    """A sum of lifetime usage at which usage is billed."""

    lago_id: str
    amount_cents: int
    threshold_display_name: str | None
    recurring: bool
    created_at: str
    updated_at: str

    @classmethod
    def of(cls, threshold: UsageThreshold) -> "UsageThresholdBody":
        """Show a threshold."""
        return cls(
            lago_id=str(threshold.id),
            amount_cents=threshold.amount_cents,
            threshold_display_name=threshold.threshold_display_name,
            recurring=threshold.recurring,
            created_at=iso_seconds(threshold.created_at),
            updated_at=iso_seconds(threshold.updated_at),
        )


class PlanBody(Struct, kw_only=True):
    """A plan. `default`, `version` and `lago_version_id` are ours."""

    lago_id: str
    name: str
    code: str
    invoice_display_name: str | None
    description: str | None
    interval: str
    amount_cents: int
    amount_currency: str
    trial_period: float | None
    pay_in_advance: bool
    bill_charges_monthly: bool | None
    bill_fixed_charges_monthly: bool | None
    is_default: bool = field(name="default")
    version: int
    lago_version_id: str
    active_subscriptions_count: int
    charges: list[ChargeBody]
    fixed_charges: list[FixedChargeBody]
    usage_thresholds: list[UsageThresholdBody]
    minimum_commitment: MinimumCommitmentBody | None
    taxes: list[TaxBody]
    metadata: dict[str, str | None]
    created_at: str

    @classmethod
    def of(cls, plan: Plan, taxes: ShownTaxes) -> "PlanBody":
        """Show a plan; `taxes` has those that it and its charges name."""
        return cls(
            lago_id=str(plan.id),
            name=plan.name,
            code=plan.code,
            invoice_display_name=plan.invoice_display_name,
            description=plan.description,
            interval=plan.interval,
            amount_cents=plan.amount_cents,
            amount_currency=plan.amount_currency,
            trial_period=None if plan.trial_period is None else float(plan.trial_period),
            pay_in_advance=plan.pay_in_advance,
            bill_charges_monthly=plan.bill_charges_monthly,
            bill_fixed_charges_monthly=plan.bill_fixed_charges_monthly,
            is_default=plan.is_default,
            version=plan.version,
            lago_version_id=str(plan.current_version_id),
            active_subscriptions_count=plan.active_subscriptions_count,
            charges=[ChargeBody.of(charge, taxes) for charge in plan.charges],
            fixed_charges=[FixedChargeBody.of(charge, taxes) for charge in plan.fixed_charges],
            usage_thresholds=[UsageThresholdBody.of(one) for one in plan.usage_thresholds],
            minimum_commitment=MinimumCommitmentBody.of(plan.minimum_commitment, plan, taxes)
            if plan.minimum_commitment
            else None,
            taxes=taxes.of(plan.tax_codes),
            metadata=plan.metadata,
            created_at=iso_seconds(plan.created_at),
        )


class PlanReply(Struct):
    """The envelope of a plan."""

    plan: PlanBody


class PlansReply(Struct):
    """A page of plans."""

    plans: list[PlanBody]
    meta: Meta
