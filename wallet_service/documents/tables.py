"""Documents for spreadsheets and programs: CSV, a row for each amount, and JSON, all that is known.

Amounts are in the currency, with a point, as exact as they are; nothing is written in a language.
"""

import csv
from collections.abc import Callable, Iterator
from decimal import Decimal
from io import StringIO
from typing import Final

import msgspec

from wallet_service.documents.document import Document, Line, Reduction
from wallet_service.documents.formats import Formats
from wallet_service.documents.plain_texts import unbroken

COLUMNS: Final[tuple[str, ...]] = (
    "document",
    "number",
    "issued_on",
    "currency",
    "record",
    "subscription",
    "plan",
    "type",
    "code",
    "name",
    "from",
    "to",
    "units",
    "unit_amount",
    "tax_rate",
    "amount",
)
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")

_encode: Final = msgspec.json.Encoder(decimal_format="string").encode


def as_json(document: Document) -> bytes:
    """Everything that the document says. A logo is left out: it says nothing."""
    return _encode(msgspec.structs.replace(document, logo=None))


def as_csv(document: Document) -> bytes:
    """A row for each line, and for each sum below the lines, named by the column `record`.

    `line` rows add up to `subtotal`; with `coupon`, `progressive_billing` and `tax` rows to
    `subtotal_with_taxes`; with `credit_note` and `prepaid` rows to `total`.
    """
    written = StringIO()
    writer: csv.DictWriter[str] = csv.DictWriter(
        written, COLUMNS, restval="", lineterminator="\r\n"
    )
    writer.writeheader()
    head = {
        "document": document.kind.value,
        "number": _cell(document.number),
        "issued_on": document.issued_on.isoformat(),
        "currency": document.currency,
    }
    for row in _rows(document, Formats.of("en", document.currency)):
        writer.writerow(head | row)
    return written.getvalue().encode()


def _rows(document: Document, formats: Formats) -> Iterator[dict[str, str]]:
    def amount(record: str, cents: int, name: str = "") -> dict[str, str]:
        return {"record": record, "name": _cell(name), "amount": f"{formats.amount(cents):f}"}

    for group in document.groups:
        of_group = {"subscription": _cell(group.external_id), "plan": _cell(group.plan)}
        for line in group.lines:
            yield amount("line", line.amount_cents, line.name) | of_group | _of_line(line)
    if document.lines:
        yield amount("subtotal", document.fees_cents)
    yield from (_reduced(amount, one) for one in document.before_taxes)
    for tax in document.taxes:
        row = amount("tax", tax.amount_cents, tax.name)
        yield row | {"code": _cell(tax.code), "tax_rate": f"{tax.rate:f}"}
    if document.lines:
        yield amount("subtotal_with_taxes", document.with_taxes_cents)
    yield from (_reduced(amount, one) for one in document.after_taxes)
    if document.prepaid and document.prepaid.total_cents:
        yield amount("prepaid", -document.prepaid.total_cents)
    if document.payment:
        yield amount("payment", document.payment.amount_cents, document.payment.invoice_number)
    yield amount("total", document.total_cents)


def _reduced(amount: Callable[[str, int, str], dict[str, str]], one: Reduction) -> dict[str, str]:
    return amount(one.kind, -one.amount_cents, one.name)


def _of_line(line: Line) -> dict[str, str]:
    return {
        "type": line.kind,
        "code": _cell(line.code),
        "name": _cell(" · ".join(filter(None, (line.name, line.filters, *line.group.values())))),
        "from": line.from_on.isoformat() if line.from_on else "",
        "to": line.to_on.isoformat() if line.to_on else "",
        "units": _number(line.units),
        "unit_amount": _number(line.unit_amount),
        "tax_rate": f"{line.taxes_rate:f}",
    }


def _number(value: Decimal | None) -> str:
    return "" if value is None else f"{value:f}"


def _cell(text: str | None) -> str:
    """A text that no spreadsheet takes for a formula.

    Source: OWASP, CSV injection.
    """
    clean = unbroken(text)
    return f"'{clean}" if clean.startswith(_FORMULA) else clean
