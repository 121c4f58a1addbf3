"""What stands on the page of a document: every text in its language, every number as it is written.

The template only places these; it knows no language and computes nothing.
"""

from decimal import Decimal
from typing import Final

from wallet_service.documents.document import (
    Detail,
    Document,
    Group,
    Kind,
    Line,
    Party,
    State,
    TaxShare,
)
from wallet_service.documents.formats import Formats, decimals_of
from wallet_service.documents.page_parts import (
    Block,
    Fact,
    Headline,
    Note,
    Page,
    Row,
    Sender,
    Sum,
    Table,
)
from wallet_service.documents.plain_texts import paragraphs, plain
from wallet_service.documents.words import Words, words_of

_LETTER: Final = frozenset({"US", "CA", "MX", "PH", "CL", "CO", "CR", "PA", "GT", "DO", "PR"})
"""Countries that print on US letter; all others on A4. Source: CLDR, measurementData/paperSize."""
_BESIDE_MAX: Final = 10
_PRICE_DECIMALS_MAX: Final = 12
_LABEL_MAX: Final = 24
_FACT_MAX: Final = 80
_CHARGED: Final = frozenset({"charge", "fixed_charge", "add_on"})


def page_of(document: Document) -> Page:
    """Say a document in its language."""
    writer = _Writer(document)
    return writer.page()


class _Writer:
    """One document on its way to the page."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.words: Words = words_of(document.locale)
        self.formats = Formats.of(self.words.locale, document.currency)

    def page(self) -> Page:
        document, words = self.document, self.words
        lines = document.lines
        seller = self._party(document.seller, words("from"), shows_name=False)
        prepaid = self._prepaid()
        return Page(
            lang=words.locale.language,
            region=words.locale.territory,
            paper="us-letter" if (document.seller.country or "") in _LETTER else "a4",
            title=self._title(),
            mark=words(document.state) if document.state is not State.FINAL else "",
            mark_note=words(f"{document.state}_note") if document.state is not State.FINAL else "",
            number=plain(document.number),
            facts=self._facts(),
            trade_name=plain(document.seller.name, most=60),
            seller=seller,
            buyer=self._party(document.buyer, words("bill_to")),
            headline=self._headline(),
            columns=self._columns(),
            has_units=any(line.units is not None for line in lines),
            has_taxes=any(line.taxes_rate for line in lines),
            blocks=self._receipt() if document.payment else list(map(self._block, document.groups)),
            sums=self._sums(),
            prepaid=prepaid,
            prepaid_fits=prepaid is None or len(prepaid.rows) <= _BESIDE_MAX,
            notes=self._notes(),
            footer=paragraphs(document.footer),
            page_of=words("page", page="{page}", pages="{pages}"),
            running=" · ".join(
                text
                for text in (
                    plain(document.seller.shown_name, most=_FACT_MAX),
                    self._title(),
                    plain(document.number, most=_FACT_MAX),
                )
                if text
            ),
        )

    def _title(self) -> str:
        is_self_billed = self.document.self_billed and self.document.kind is Kind.INVOICE
        return self.words("self_billed_invoice" if is_self_billed else self.document.kind)

    def _facts(self) -> list[Fact]:
        document, words, formats = self.document, self.words, self.formats
        facts = [Fact(words(f"number_{document.kind}"), document.number)]
        if document.payment is None:
            facts.append(Fact(words("issued_on"), formats.day(document.issued_on)))
        if document.due_on and document.kind is Kind.INVOICE:
            facts.append(Fact(words("due_on"), formats.day(document.due_on)))
        if document.from_on and document.to_on:
            facts.append(Fact(words("period"), formats.days(document.from_on, document.to_on)))
        if document.purchase_order_number:
            facts.append(Fact(words("purchase_order"), document.purchase_order_number))
        if document.invoice_number:
            facts.append(Fact(words("original_invoice"), document.invoice_number))
        if document.invoice_issued_on:
            facts.append(Fact(words("original_issued_on"), formats.day(document.invoice_issued_on)))
        if document.reason:
            reason = words.known(f"reason_{document.reason}", document.reason)
            facts.append(Fact(words("reason"), plain(reason)))
        if document.payment:
            provider = document.payment.provider
            facts += [
                Fact(words("paid_on"), formats.day(document.payment.paid_on)),
                Fact(words("paid_by"), plain(words.known(f"provider_{provider}", provider))),
                Fact(words("reference"), plain(document.payment.reference)),
            ]
        facts += [Fact(label, value) for label, value in document.facts]
        short = (
            Fact(plain(fact.label, most=_LABEL_MAX), plain(fact.value, most=_FACT_MAX))
            for fact in facts
        )
        return [fact for fact in short if fact.value]

    def _party(self, party: Party, label: str, *, shows_name: bool = True) -> Sender:
        """`shows_name`: also the name that is not the legal one; the issuer's stands above."""
        words = self.words
        other_name = party.name if shows_name and party.name != party.shown_name else None
        town = " ".join(filter(None, (party.zipcode, party.city)))
        lines = [
            other_name,
            party.address_line1,
            party.address_line2,
            ", ".join(filter(None, (town, party.state))),
            self.formats.country(party.country) if party.country else None,
            party.email,
            party.phone,
        ]
        ids = [
            Fact(words("vat_number"), plain(party.tax_identification_number)),
            Fact(words("legal_number"), plain(party.legal_number)),
        ]
        return Sender(
            label,
            plain(party.shown_name),
            [text for text in map(plain, lines) if text],
            [fact for fact in ids if fact.value],
        )

    def _headline(self) -> Headline:
        document, words, formats = self.document, self.words, self.formats
        amount = formats.cents(document.total_cents)
        if document.state is State.VOID:
            return Headline(amount, words("void"))
        if document.kind is Kind.CREDIT_NOTE:
            return Headline(
                amount, words("headline_credited", date=formats.day(document.issued_on))
            )
        if document.payment:
            return Headline(
                amount, words("headline_paid", date=formats.day(document.payment.paid_on))
            )
        if document.total_cents == 0 and document.prepaid and document.prepaid.total_cents:
            paid = formats.cents(document.prepaid.total_cents)
            return Headline(paid, words("headline_paid_prepaid"))
        if document.total_cents == 0 or document.due_on is None:
            return Headline(amount, words("headline_nothing_due"))
        return Headline(amount, words("headline_due", date=formats.day(document.due_on)))

    def _columns(self) -> list[str]:
        if self.document.payment:
            keys = ("receipt_invoice", "", "", "", "receipt_paid")
        else:
            keys = ("description", "units", "unit_price", "tax", "amount_without_tax")
        return [self.words(key) if key else "" for key in keys]

    # --- the lines

    def _block(self, group: Group) -> Block:
        name = plain(group.name or group.plan)
        notes = (plain(group.plan) if group.name else "", plain(group.external_id))
        title_differs = [note for note in dict.fromkeys(notes) if note and note != name]
        return Block(name, " · ".join(title_differs), list(map(self._row, group.lines)))

    def _row(self, line: Line) -> Row:
        words, formats = self.words, self.formats
        kind = words.known(f"line_{line.kind}", "") if line.kind not in _CHARGED else ""
        notes = [kind, plain(line.filters), plain(line.description)]
        notes += [f"{plain(key)}: {plain(value)}" for key, value in line.group.items()]
        if line.from_on and line.to_on and not self._is_whole_period(line):
            notes.append(formats.days(line.from_on, line.to_on))
        return Row(
            name=plain(line.name) or plain(line.code),
            notes=[note for note in notes if note],
            units=formats.number(line.units) if line.units is not None else "",
            unit_amount=formats.money(line.unit_amount)
            if line.unit_amount is not None and self._has_one_price(line)
            else "",
            tax=formats.percent(line.taxes_rate),
            amount=formats.cents(line.amount_cents),
            steps=[self._step(detail) for detail in line.details],
        )

    def _has_one_price(self, line: Line) -> bool:
        """Whether a unit's price is one, and not an average that has no end."""
        if line.units is None or line.unit_amount is None or line.details:
            return False
        return decimals_of(line.unit_amount) <= _PRICE_DECIMALS_MAX

    def _is_whole_period(self, line: Line) -> bool:
        return (line.from_on, line.to_on) == (self.document.from_on, self.document.to_on)

    def _step(self, detail: Detail) -> Row:
        formats = self.formats
        unit_amount = ""
        if detail.unit_amount is not None:
            unit_amount = formats.money(detail.unit_amount)
        elif detail.rate is not None:
            unit_amount = formats.percent(detail.rate)
        return Row(
            name=self._step_name(detail),
            units=formats.number(detail.units) if detail.units is not None else "",
            unit_amount=unit_amount,
            amount=formats.money(detail.amount) if detail.amount is not None else "",
        )

    def _step_name(self, detail: Detail) -> str:
        words = self.words
        if detail.kind == "tier":
            ends = {"from": self._number(detail.from_value), "to": self._number(detail.to_value)}
            if detail.to_value is None:
                return words("tier_above", **ends)
            return words("tier_to" if detail.from_value else "tier_first", **ends)
        if detail.kind == "package":
            return words("package", size=self._number(detail.package_size))
        return words.known(detail.kind, words("other"))

    def _number(self, value: Decimal | None) -> str:
        return "" if value is None else self.formats.number(value)

    def _receipt(self) -> list[Block]:
        payment = self.document.payment
        assert payment is not None
        issued = f"{self.words('issued_on')}: {self.formats.day(payment.invoice_issued_on)}"
        total = self.formats.cents(payment.invoice_total_cents)
        row = Row(
            name=plain(payment.invoice_number),
            notes=[issued, f"{self.words('receipt_invoice_total')}: {total}"],
            amount=self.formats.cents(payment.amount_cents),
        )
        return [Block("", "", [row])]

    # --- the sums

    def _sums(self) -> list[Sum]:
        document, words = self.document, self.words
        if document.payment:
            return [self._sum(words("total_paid"), document.total_cents, weight="total")]
        if not document.lines:
            return self._after_taxes()
        sums: list[Sum] = []
        if document.before_taxes:
            sums.append(self._sum(words("subtotal"), document.fees_cents))
            for reduction in document.before_taxes:
                label = words(reduction.kind, name=plain(reduction.name))
                sums.append(self._sum(label, -reduction.amount_cents))
        sums.append(self._sum(words("subtotal_without_tax"), document.without_taxes_cents, "sub"))
        sums += [self._sum(self._tax_label(tax), tax.amount_cents) for tax in document.taxes]
        if not document.taxes:
            sums.append(self._sum(words("no_tax"), document.taxes_cents))
        return [*sums, *self._after_taxes()]

    def _tax_label(self, tax: TaxShare) -> str:
        name = plain(tax.name)
        if "%" not in name:
            name = f"{name} {self.formats.percent(tax.rate)}"
        return self.words("tax_row", name=name, base=self.formats.cents(tax.base_cents))

    def _after_taxes(self) -> list[Sum]:
        document, words = self.document, self.words
        if document.kind is Kind.CREDIT_NOTE:
            sums = [self._sum(words("total_credited"), document.total_cents, "total")]
            given = document.given
            parts = (
                ("credited_to_balance", given.credit_cents if given else 0),
                ("refunded", given.refund_cents if given else 0),
                ("offset", given.offset_cents if given else 0),
            )
            return sums + [self._sum(words(key), cents) for key, cents in parts if cents]
        sums: list[Sum] = []
        paid = document.prepaid.total_cents if document.prepaid else 0
        if document.after_taxes or paid:
            sums.append(self._sum(words("subtotal_with_tax"), document.with_taxes_cents, "sub"))
        for used in document.after_taxes:
            label = words("credit_note_used", name=plain(used.name))
            sums.append(self._sum(label, -used.amount_cents))
        if paid:
            sums.append(self._sum(words("prepaid_row"), -paid))
        return [*sums, self._sum(words("total_due"), document.total_cents, "total")]

    def _sum(self, label: str, cents: int, weight: str = "row") -> Sum:
        return Sum(label=label, amount=self.formats.cents(cents), weight=weight)

    def _prepaid(self) -> Table | None:
        prepaid, words, formats = self.document.prepaid, self.words, self.formats
        if prepaid is None:
            return None
        total = formats.amount(prepaid.total_cents)
        key = "prepaid_settled" if prepaid.settled > 0 else "prepaid_returned"
        rows = [
            self._exact(words("prepaid_debited"), prepaid.debited),
            self._exact(words(key), prepaid.settled),
        ]
        for grant in prepaid.grants:
            kind = words.known(f"grant_{grant.kind}", grant.kind)
            rows.append(self._exact(f"{plain(grant.wallet)} ({kind})", grant.amount, "part"))
        rows.append(self._exact(words("prepaid_credited"), -prepaid.credited))
        rest = total - prepaid.debited - prepaid.settled + prepaid.credited
        rows.append(self._exact(words("prepaid_rounding"), rest))
        rows = [row for row in rows if row is not None]
        rows.append(Sum(label=words("prepaid_total"), amount=formats.money(total), weight="sub"))
        return Table(words("prepaid_title"), words("prepaid_intro"), rows)

    def _exact(self, label: str, amount: Decimal, weight: str = "row") -> Sum | None:
        """A row of an exact amount; none where it is nothing."""
        if not amount:
            return None
        return Sum(label=label, amount=self.formats.money(amount), weight=weight)

    # --- what stands below

    def _notes(self) -> list[Note]:
        notes = [Note(words_title, text) for words_title, text in self._own_notes() if text]
        sections = self.document.sections
        return notes + [Note(plain(one.title), paragraphs(one.text)) for one in sections]

    def _own_notes(self) -> list[tuple[str, str]]:
        document, words = self.document, self.words
        notes: list[tuple[str, str]] = []
        if document.kind is Kind.INVOICE:
            notes.append((words("payment_terms"), self._payment_terms()))
            if document.self_billed:
                notes.append(("", words("self_billed_note")))
        codes = {tax.code for tax in document.taxes}
        codes |= {code for line in document.lines for code in line.tax_codes}
        notes += [
            (words("tax_notes"), words(key))
            for key, mark in (("reverse_charge", "reverse_charge"), ("outside_of_tax", "exempt"))
            if any(mark in code for code in codes)
        ]
        return notes

    def _payment_terms(self) -> str:
        document, words = self.document, self.words
        if document.state is State.VOID or document.due_on is None:
            return ""
        date = self.formats.day(document.due_on)
        if document.total_cents <= 0:
            return words("payment_none") if document.prepaid else ""
        if document.net_payment_term:
            days = self.formats.number(Decimal(document.net_payment_term))
            return words("payment_net", days=days, date=date)
        return words("payment_at_once", date=date)
