"""Fees on the wire."""

from decimal import Decimal

from msgspec import UNSET, Struct, UnsetType

from invoicing.fee_changes import AdjustmentChanges
from wallet_service.api.pagination import Meta
from wallet_service.api.schemas.formats import Given, Name, Word
from wallet_service.fee_bodies import FeeBody


class FeeInput(Struct):
    """What a caller says of a fee: of one that is paid by itself, or of a line of a draft."""

    payment_status: Given[Word] = UNSET
    units: Given[Decimal] = UNSET
    unit_precise_amount: Given[Decimal] = UNSET
    invoice_display_name: Given[Name] = UNSET

    def adjustment(self) -> AdjustmentChanges | None:
        """What is to stand instead of what was computed; None where nothing is said of it."""
        changes = AdjustmentChanges(
            units=self.units,
            unit_precise_amount=self.unit_precise_amount,
            invoice_display_name=self.invoice_display_name
            if isinstance(self.invoice_display_name, UnsetType)
            else self.invoice_display_name or None,
        )
        return None if changes == AdjustmentChanges() else changes


class FeeRequest(Struct):
    """The envelope of a fee to change."""

    fee: FeeInput


class FeeReply(Struct):
    """The envelope of a fee."""

    fee: FeeBody


class FeesReply(Struct):
    """A page of fees."""

    fees: list[FeeBody]
    meta: Meta
