"""The forms in which a document can be had: what is made of it, and what the file is called."""

import re
from enum import StrEnum
from typing import Final

from msgspec import Struct

from wallet_service.documents.document import Document

__all__ = ["File", "Form", "file_name"]


class Form(StrEnum):
    """`xml` is EN 16931 in the CII syntax, `ubl` in the UBL syntax."""

    PDF = "pdf"
    XML = "xml"
    UBL = "ubl"
    CSV = "csv"
    JSON = "json"


MEDIA_TYPES: Final = {
    Form.PDF: "application/pdf",
    Form.XML: "application/xml",
    Form.UBL: "application/xml",
    Form.CSV: "text/csv; charset=utf-8",
    Form.JSON: "application/json",
}
_ENDINGS: Final = {Form.UBL: "ubl.xml"}
_STRANGE: Final = re.compile(r"[^A-Za-z0-9._-]+")
_NAME_MAX: Final = 80


class File(Struct, frozen=True, kw_only=True):
    """A document as bytes."""

    name: str
    media_type: str
    content: bytes


def file_name(document: Document, form: Form) -> str:
    r"""The document's number, with nothing in it that a file name or a header cannot hold.

    >>> from datetime import date
    >>> from wallet_service.documents.document import Party
    >>> nobody = Party(name="")
    >>> one = Document(kind=Kind.INVOICE, currency="EUR", number='A/1 "x"\r\n',
    ...     issued_on=date(2026, 1, 1), seller=nobody, buyer=nobody)
    >>> file_name(one, Form.PDF)
    'A-1-x.pdf'
    """
    name = _STRANGE.sub("-", document.number)[:_NAME_MAX].strip("-.") or document.kind.value
    return f"{name}.{_ENDINGS.get(form, form.value)}"
