"""Metadata on the wire: what a caller wants to remember of a wallet or a plan."""

from msgspec import Struct

from wallet_service.wallet_terms import Metadata


class MetadataEnvelope(Struct):
    """The envelope of metadata to set."""

    metadata: Metadata


class MetadataReply(Struct):
    """All that is remembered."""

    metadata: dict[str, str | None] | None
