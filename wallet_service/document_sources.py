"""What is stored of an invoice, a credit note or a payment, as the document that it is.

A final invoice says what it said when it was finalised: who was billed is kept with it.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

from msgspec import Struct

from invoicing import credit_notes, fees, invoice_credits, invoices, payment_receipts, payments
from invoicing.credit_notes import CreditNote
from invoicing.errors import NotFound
from invoicing.invoices import Invoice
from invoicing.records import Connection, from_json, load_queries
from invoicing.settlements import Settlement
from ledger.money import to_decimal
from wallet_service.assets import MONEY_SCALE
from wallet_service.document_lines import SubscriptionName, groups_of, line_of, note_line
from wallet_service.documents.document import (
    Document,
    Given,
    GrantShare,
    Group,
    Kind,
    Line,
    Party,
    Payment,
    Prepaid,
    Reduction,
    Section,
    State,
    TaxShare,
)

__all__ = ["Paper", "credit_note_paper", "invoice_paper", "receipt_paper"]

_queries: Final = load_queries(__file__)

_STATES: Final = {"finalized": State.FINAL, "voided": State.VOID}
_PERIOD_FEES: Final = frozenset({"charge", "commitment"})


class Paper(Struct, frozen=True, kw_only=True):
    """A document, and whether its issuer wants the data of an e-invoice in its PDF."""

    document: Document
    einvoicing: bool


class _Parties(Struct, frozen=True):
    """Who is billed and in whose name, by column."""

    customer: Mapping[str, Any]
    entity: Mapping[str, Any]

    @property
    def locale(self) -> str:
        """The customer's language, else the issuer's."""
        configuration: dict[str, Any] = self.customer.get("billing_configuration") or {}
        own = configuration.get("document_locale")
        return str(own or self.entity.get("document_locale") or "en")

    def common(self) -> dict[str, Any]:
        """What every document has of them."""
        shown: list[dict[str, Any]] = self.customer.get("metadata") or []
        return {
            "locale": self.locale,
            "seller": _party(self.entity),
            "buyer": _party(self.customer),
            "logo": self.entity.get("logo_url"),
            "facts": [
                (str(entry.get("key") or ""), str(entry.get("value") or ""))
                for entry in shown
                if entry.get("display_in_invoice")
            ],
        }


async def invoice_paper(connection: Connection, organization_id: UUID, invoice_id: UUID) -> Paper:
    """The document of an invoice. Raises NotFound."""
    invoice = await invoices.get(connection, organization_id, invoice_id)
    lines = (await fees.of_invoices(connection, organization_id, [invoice.id]))[invoice.id]
    lowered = (await invoice_credits.of_invoices(connection, organization_id, [invoice.id]))[
        invoice.id
    ]
    parties = await _parties(connection, invoice)
    zone = ZoneInfo(invoice.timezone)
    groups = await _groups(
        connection, organization_id, [(fee.subscription_id, line_of(fee, zone)) for fee in lines]
    )
    period = _period(line for group in groups for line in group.lines)
    document = Document(
        kind=Kind.INVOICE,
        state=_STATES.get(invoice.status, State.DRAFT),
        invoice_type=invoice.invoice_type,
        self_billed=invoice.self_billed,
        currency=invoice.currency,
        number=invoice.number,
        issued_on=invoice.issuing_date,
        due_on=invoice.payment_due_date,
        net_payment_term=invoice.net_payment_term,
        purchase_order_number=invoice.purchase_order_number,
        groups=groups,
        before_taxes=_reductions(one for one in lowered if one.before_taxes),
        taxes=_taxes(invoice.applied_taxes),
        after_taxes=_reductions(one for one in lowered if not one.before_taxes),
        prepaid=await _prepaid(connection, invoice),
        fees_cents=invoice.fees_amount_cents,
        without_taxes_cents=invoice.sub_total_excluding_taxes_amount_cents,
        taxes_cents=invoice.taxes_amount_cents,
        with_taxes_cents=invoice.sub_total_including_taxes_amount_cents,
        total_cents=invoice.total_amount_cents,
        sections=_sections(invoice.custom_sections),
        footer=parties.entity.get("invoice_footer"),
        **period,
        **parties.common(),
    )
    return Paper(document=document, einvoicing=bool(parties.entity.get("einvoicing")))


async def credit_note_paper(connection: Connection, organization_id: UUID, note_id: UUID) -> Paper:
    """The document of a credit note. Raises NotFound."""
    note = await credit_notes.get(connection, organization_id, note_id)
    invoice = await invoices.find(connection, organization_id, note.invoice_id)
    assert invoice is not None, "a note is of an invoice"
    parties = await _parties(connection, invoice)
    document = Document(
        kind=Kind.CREDIT_NOTE,
        state=State.FINAL if note.status == "finalized" else State.DRAFT,
        self_billed=invoice.self_billed,
        currency=note.currency,
        number=note.number,
        issued_on=note.issuing_date,
        groups=await _note_groups(connection, note, ZoneInfo(invoice.timezone)),
        before_taxes=_coupons_of_note(note),
        taxes=_taxes(note.applied_taxes),
        fees_cents=note.sub_total_excluding_taxes_amount_cents
        + note.coupons_adjustment_amount_cents,
        without_taxes_cents=note.sub_total_excluding_taxes_amount_cents,
        taxes_cents=note.taxes_amount_cents,
        with_taxes_cents=note.total_amount_cents,
        total_cents=note.total_amount_cents,
        invoice_number=invoice.number,
        invoice_issued_on=invoice.issuing_date,
        reason=note.reason,
        given=Given(
            credit_cents=note.credit_amount_cents,
            refund_cents=note.refund_amount_cents,
            offset_cents=note.offset_amount_cents,
        ),
        sections=[Section(text=note.description)] if note.description else [],
        footer=parties.entity.get("invoice_footer"),
        **parties.common(),
    )
    return Paper(document=document, einvoicing=bool(parties.entity.get("einvoicing")))


async def receipt_paper(connection: Connection, organization_id: UUID, receipt_id: UUID) -> Paper:
    """The document of a payment receipt. Raises NotFound."""
    receipt = await payment_receipts.get(connection, organization_id, receipt_id)
    payment = await payments.get(connection, organization_id, receipt.payment_id)
    invoice = await invoices.get(connection, organization_id, payment.invoice_id)
    parties = await _parties(connection, invoice)
    paid_on = _day(payment.paid_at or receipt.created_at, invoice.timezone)
    document = Document(
        kind=Kind.PAYMENT_RECEIPT,
        currency=payment.amount_currency,
        number=receipt.number,
        issued_on=_day(receipt.created_at, invoice.timezone),
        payment=Payment(
            paid_on=paid_on,
            provider=payment.provider,
            reference=payment.reference,
            invoice_number=invoice.number,
            invoice_issued_on=invoice.issuing_date,
            invoice_total_cents=invoice.total_amount_cents,
            amount_cents=payment.amount_cents,
        ),
        total_cents=payment.amount_cents,
        **parties.common(),
    )
    return Paper(document=document, einvoicing=False)


# --- parts


async def _parties(connection: Connection, invoice: Invoice) -> _Parties:
    """Those whom the invoice keeps; what it does not keep, as they are now."""
    row = await _queries.find_parties(
        connection,
        organization_id=invoice.organization_id,
        customer_id=invoice.customer_id,
        billing_entity_id=invoice.billing_entity_id,
    )
    if row is None:
        raise NotFound("customer")
    return _Parties(
        {**from_json(row["customer"]), **(invoice.customer_as_billed or {})},
        {**from_json(row["entity"]), **(invoice.entity_as_billing or {})},
    )


def _party(stored: Mapping[str, Any]) -> Party:
    person = " ".join(filter(None, (stored.get("firstname"), stored.get("lastname"))))
    name = stored.get("name") or person or stored.get("external_id") or stored.get("code") or ""
    columns = (
        "legal_name",
        "address_line1",
        "address_line2",
        "city",
        "zipcode",
        "state",
        "country",
        "email",
        "phone",
        "legal_number",
        "tax_identification_number",
    )
    return Party(name=name, **{column: stored.get(column) or None for column in columns})


async def _groups(
    connection: Connection, organization_id: UUID, lines: Sequence[tuple[UUID | None, Line]]
) -> list[Group]:
    ids = sorted({found for found, _ in lines if found is not None})
    rows = _queries.find_subscriptions(connection, organization_id=organization_id, ids=ids)
    names = {
        row["id"]: SubscriptionName(
            external_id=row["external_id"], name=row["name"], plan_name=row["plan_name"]
        )
        async for row in rows
    }
    return groups_of(lines, names)


async def _note_groups(connection: Connection, note: CreditNote, zone: ZoneInfo) -> list[Group]:
    items = await credit_notes.items_of(connection, note.organization_id, [note.id])
    of_invoice = await fees.of_invoices(connection, note.organization_id, [note.invoice_id])
    by_id = {fee.id: fee for fee in of_invoice[note.invoice_id]}
    lines: list[tuple[UUID | None, Line]] = []
    for item in items[note.id]:
        fee = by_id[item.fee_id]
        lines.append((fee.subscription_id, note_line(item, fee, zone)))
    return await _groups(connection, note.organization_id, lines)


def _coupons_of_note(note: CreditNote) -> list[Reduction]:
    cents = note.coupons_adjustment_amount_cents
    return [Reduction(kind="coupons", name="", amount_cents=cents)] if cents else []


def _reductions(lowered: Iterable[invoice_credits.InvoiceCredit]) -> list[Reduction]:
    return [
        Reduction(kind=one.kind, name=one.item_name or one.item_code, amount_cents=one.amount_cents)
        for one in lowered
    ]


def _taxes(applied: Iterable[Mapping[str, Any]]) -> list[TaxShare]:
    return [
        TaxShare(
            code=str(tax.get("tax_code") or ""),
            name=str(tax.get("tax_name") or ""),
            rate=Decimal(str(tax.get("tax_rate") or 0)),
            base_cents=int(tax.get("fees_amount_cents") or tax.get("base_amount_cents") or 0),
            amount_cents=int(tax.get("amount_cents") or 0),
        )
        for tax in applied
    ]


def _sections(stored: Iterable[Mapping[str, Any]]) -> list[Section]:
    return [
        Section(
            title=section.get("display_name") or section.get("name"),
            text=str(section.get("details") or ""),
        )
        for section in stored
    ]


def _period(lines: Iterable[Line]) -> dict[str, Any]:
    """The days that usage on the document is of, or else all that is on it."""
    bounds = [(one.kind, one.from_on, one.to_on) for one in lines if one.from_on and one.to_on]
    of_usage = [bound for bound in bounds if bound[0] in _PERIOD_FEES] or bounds
    starts = [start for _, start, _ in of_usage if start]
    ends = [end for _, _, end in of_usage if end]
    return {"from_on": min(starts, default=None), "to_on": max(ends, default=None)}


async def _prepaid(connection: Connection, invoice: Invoice) -> Prepaid | None:
    """What the book has said when the invoice was settled."""
    if invoice.settlement is None or "wallets_minor" not in invoice.settlement:
        return None
    settled = Settlement.of(invoice.settlement)
    paid = settled.wallets_minor - settled.refunded_minor
    if not (settled.debited_minor or paid or invoice.prepaid_credit_amount_cents):
        return None
    ids = sorted({part.wallet_id for part in settled.grants})
    rows = _queries.find_wallets(connection, organization_id=invoice.organization_id, ids=ids)
    names = {row["id"]: row["name"] async for row in rows}
    return Prepaid(
        debited=_money(settled.debited_minor),
        settled=_money(paid),
        credited=_money(settled.credited_minor),
        total_cents=invoice.prepaid_credit_amount_cents,
        granted_cents=invoice.prepaid_granted_credit_amount_cents,
        purchased_cents=invoice.prepaid_purchased_credit_amount_cents,
        grants=[
            GrantShare(
                wallet=names.get(part.wallet_id, ""),
                kind=part.kind,
                amount=_money(part.amount_minor),
            )
            for part in settled.grants
        ],
    )


def _money(minor: int) -> Decimal:
    return to_decimal(minor, MONEY_SCALE).normalize()


def _day(at: datetime, zone: str) -> Any:
    return at.astimezone(ZoneInfo(zone) if zone else UTC).date()
