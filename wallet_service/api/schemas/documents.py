"""Documents on the wire: where a file that was made can be had."""

from uuid import UUID

from msgspec import Struct


class FileBody(Struct, kw_only=True):
    """Where the file is; the address opens for a day, without a key."""

    lago_id: UUID
    file_url: str | None = None
    xml_url: str | None = None


class InvoiceFileReply(Struct):
    """An invoice's file."""

    invoice: FileBody
