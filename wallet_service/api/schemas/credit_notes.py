"""Credit notes on the wire."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType

from invoicing.credit_note_amounts import Item, Parts
from invoicing.errors import Invalid
from wallet_service.api.pagination import Meta as PageMeta
from wallet_service.api.schemas.formats import Cents, Given, Text, Word, read_id
from wallet_service.credit_note_bodies import CreditNoteBody, EstimateBody
from wallet_service.credit_notes import Wanted
from wallet_service.wallet_terms import Metadata


class ItemInput(Struct, omit_defaults=True):
    """How much of a fee is to be credited, before coupons and taxes."""

    fee_id: Given[Word] = UNSET
    amount_cents: Given[Cents] = UNSET


Items = Annotated[list[ItemInput], Meta(max_length=1000)]


class CreditNoteInput(Struct, omit_defaults=True):
    """What a caller says of a credit note."""

    invoice_id: Given[Word] = UNSET
    reason: Given[Word] = UNSET
    description: Given[Text] = UNSET
    credit_amount_cents: Given[Cents] = UNSET
    refund_amount_cents: Given[Cents] = UNSET
    offset_amount_cents: Given[Cents] = UNSET
    items: Given[Items] = UNSET
    metadata: Given[Metadata] = UNSET

    def wanted(self) -> Wanted:
        """The same for the domain. Raises Invalid and NotFound."""
        return Wanted(
            items=read_items(self.items),
            parts=Parts(
                credit_cents=_cents(self.credit_amount_cents),
                refund_cents=_cents(self.refund_amount_cents),
                offset_cents=_cents(self.offset_amount_cents),
            ),
            reason=self.reason if isinstance(self.reason, str) else "other",
            description=self.description if isinstance(self.description, str) else None,
            metadata=self.metadata if isinstance(self.metadata, dict) else {},
        )


class EstimateInput(Struct):
    """What is to be estimated."""

    invoice_id: Given[Word] = UNSET
    items: Given[Items] = UNSET


class CreditNoteUpdate(Struct):
    """What may be said of a note that is out."""

    refund_status: Given[Word] = UNSET
    metadata: Given[Metadata] = UNSET


class CreditNoteRequest(Struct):
    """The envelope of a note to issue."""

    credit_note: CreditNoteInput


class EstimateRequest(Struct):
    """The envelope of a note to estimate."""

    credit_note: EstimateInput


class CreditNoteUpdateRequest(Struct):
    """The envelope of a note to change."""

    credit_note: CreditNoteUpdate


class CreditNoteReply(Struct):
    """The envelope of a note."""

    credit_note: CreditNoteBody


class CreditNotesReply(Struct):
    """A page of notes."""

    credit_notes: list[CreditNoteBody]
    meta: PageMeta


class EstimateReply(Struct):
    """The envelope of an estimate."""

    estimated_credit_note: EstimateBody


def read_items(given: Sequence[ItemInput] | UnsetType | None) -> list[Item]:
    """The items of a note. Raises Invalid, and NotFound for what can be no fee."""
    if not given:
        raise Invalid.field("items", "value_is_mandatory")
    items: list[Item] = []
    for position, one in enumerate(given):
        if not isinstance(one.fee_id, str):
            raise Invalid.field(f"items.{position}.fee_id", "value_is_mandatory")
        if not isinstance(one.amount_cents, int):
            raise Invalid.field(f"items.{position}.amount_cents", "value_is_mandatory")
        fee_id = read_id(one.fee_id, "fee")
        if any(item.fee_id == fee_id for item in items):
            raise Invalid.field(f"items.{position}.fee_id", "value_is_duplicated")
        items.append(
            Item(
                fee_id=fee_id,
                amount_cents=one.amount_cents,
                precise_amount_cents=Decimal(one.amount_cents),
            )
        )
    return items


def _cents(given: int | UnsetType | None) -> int:
    return given if isinstance(given, int) else 0
