"""Links to documents that open without a key: they say what they open, until when, and are signed.

A link is `base64url(version, kind, form, organization, id, expiry) . HMAC-SHA256`, with a secret of
the organization. It opens that one document in that form, and nothing else.
"""

import base64
import binascii
import hashlib
import hmac
import secrets
import struct
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from msgspec import Struct

from invoicing.records import Connection, load_queries
from wallet_service.document_forms import Form
from wallet_service.documents.document import Kind

__all__ = ["Link", "find_secret", "read", "secret_of", "sign"]

_queries: Final = load_queries(__file__)

_VERSION: Final = 1
_SHAPE: Final = struct.Struct(">BBB16s16sQ")
_SIGNATURE_BYTES: Final = 32
_SECRET_BYTES: Final = 32
_TOKEN_LENGTH: Final = len(base64.urlsafe_b64encode(bytes(_SHAPE.size + _SIGNATURE_BYTES)))
_KINDS: Final[tuple[Kind, ...]] = tuple(Kind)
_FORMS: Final[tuple[Form, ...]] = tuple(Form)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Link(Struct, frozen=True, kw_only=True):
    """What a link opens, and until when."""

    organization_id: UUID
    kind: Kind
    form: Form
    document_id: UUID
    expires_at: datetime


def sign(link: Link, secret: bytes) -> str:
    """The link as a word that fits into an address."""
    seconds = (link.expires_at - _EPOCH) // timedelta(seconds=1)
    said = _SHAPE.pack(
        _VERSION,
        _KINDS.index(link.kind),
        _FORMS.index(link.form),
        link.organization_id.bytes,
        link.document_id.bytes,
        seconds,
    )
    return base64.urlsafe_b64encode(said + _signature(said, secret)).decode().rstrip("=")


def read(token: str) -> tuple[Link, bytes, bytes] | None:
    """What a link claims, what was signed of it, and the signature, which is yet to be checked."""
    if len(token) > _TOKEN_LENGTH or not token.isascii():
        return None
    try:
        decoded = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except binascii.Error:
        return None
    if len(decoded) != _SHAPE.size + _SIGNATURE_BYTES:
        return None
    said, signature = decoded[: _SHAPE.size], decoded[_SHAPE.size :]
    numbers: tuple[int, int, int, bytes, bytes, int] = _SHAPE.unpack(said)
    version, kind, form, organization_id, document_id, seconds = numbers
    if version != _VERSION or kind >= len(_KINDS) or form >= len(_FORMS):
        return None
    try:
        expires_at = _EPOCH + timedelta(seconds=seconds)
    except OverflowError:
        return None
    link = Link(
        organization_id=UUID(bytes=organization_id),
        kind=_KINDS[kind],
        form=_FORMS[form],
        document_id=UUID(bytes=document_id),
        expires_at=expires_at,
    )
    return link, said, signature


def is_signed(said: bytes, signature: bytes, secret: bytes) -> bool:
    """Whether it was signed with this secret."""
    return hmac.compare_digest(_signature(said, secret), signature)


def _signature(said: bytes, secret: bytes) -> bytes:
    return hmac.new(secret, b"document link:" + said, hashlib.sha256).digest()


async def secret_of(connection: Connection, organization_id: UUID, *, now: datetime) -> bytes:
    """The organization's secret; it is made when it is asked for first."""
    found = await find_secret(connection, organization_id)
    if found is None:
        await _queries.insert_secret(
            connection,
            organization_id=organization_id,
            secret=secrets.token_bytes(_SECRET_BYTES),
            created_at=now,
        )
        found = await find_secret(connection, organization_id)
    assert found is not None, "one was there, or was just made"
    return found


async def find_secret(connection: Connection, organization_id: UUID) -> bytes | None:
    """The organization's secret, if it has ever given out a link."""
    found: bytes | None = await _queries.find_secret(connection, organization_id=organization_id)
    return found
