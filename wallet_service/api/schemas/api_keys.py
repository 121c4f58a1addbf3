"""API keys on the wire. Ours, so unknown fields are refused."""

from msgspec import UNSET, Struct, UnsetType

from wallet_service.api.pagination import Meta
from wallet_service.api.schemas.formats import Name, ShortList, Word, iso_seconds, optional_iso
from wallet_service.api_keys import ApiKey


class ApiKeyInput(Struct, forbid_unknown_fields=True):
    """What a new key is for. Without `scopes` it opens everything, and without an end for ever."""

    name: Name | UnsetType = UNSET
    scopes: ShortList[Word] | UnsetType = UNSET
    expires_at: Word | UnsetType = UNSET


class ApiKeyRequest(Struct, forbid_unknown_fields=True):
    """The envelope of a key to create."""

    api_key: ApiKeyInput


class ApiKeyBody(Struct, kw_only=True):
    """A key as it may be shown. `value` is the key itself, shown once: when it is created."""

    id: str
    name: str | None
    prefix: str
    scopes: list[str]
    expires_at: str | None
    revoked_at: str | None
    created_at: str
    value: str | UnsetType = UNSET

    @classmethod
    def of(cls, key: ApiKey, *, value: str | UnsetType = UNSET) -> "ApiKeyBody":
        """Show a key."""
        return cls(
            id=str(key.id),
            name=key.name,
            prefix=key.prefix,
            scopes=key.scopes,
            expires_at=optional_iso(key.expires_at),
            revoked_at=optional_iso(key.revoked_at),
            created_at=iso_seconds(key.created_at),
            value=value,
        )


class ApiKeyReply(Struct):
    """The envelope of a key."""

    api_key: ApiKeyBody


class ApiKeysReply(Struct):
    """A page of keys."""

    api_keys: list[ApiKeyBody]
    meta: Meta
