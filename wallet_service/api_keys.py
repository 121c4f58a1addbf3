"""API keys: 256 bits of chance that open one organization's door, to the rooms their scopes name.

A key reads `wk_` + 43 characters of chance + 8 of checksum. Only its SHA-256 is stored, so nobody
can show a key again; its first characters are kept to tell keys apart. The checksum lets a mistyped
or invented key be refused without a look into the database.
"""

import asyncio
import hashlib
import hmac
import secrets
import time
import zlib
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from msgspec import Struct

from invoicing.errors import Invalid, NotFound
from invoicing.pages import Page, Window
from invoicing.records import Connection, Record, load_queries
from ledger.ids import new_uuid
from wallet_service.database import Database

_queries: Final = load_queries(__file__)

_MARK: Final = "wk_"
_CHANCE_BYTES: Final = 32
_CHANCE_LENGTH: Final = 43
_CHECKSUM_LENGTH: Final = 8
_LENGTH: Final = len(_MARK) + _CHANCE_LENGTH + _CHECKSUM_LENGTH
_PREFIX_LENGTH: Final = 10
_CACHED_KEYS_MAX: Final = 10_000

ALL: Final = "*"
RESOURCES: Final = (
    "add_ons",
    "api_keys",
    "applied_coupons",
    "assets",
    "authorizations",
    "balances",
    "billable_metrics",
    "billing_entities",
    "budgets",
    "coupons",
    "credit_notes",
    "customers",
    "documents",
    "entitlements",
    "events",
    "features",
    "fees",
    "grants",
    "invoice_custom_sections",
    "invoices",
    "ledger",
    "organizations",
    "payment_receipts",
    "payments",
    "plans",
    "subscriptions",
    "taxes",
    "usage",
    "wallet_transactions",
    "wallets",
)
SCOPES: Final = frozenset(
    {ALL, *(f"{resource}:{action}" for resource in RESOURCES for action in ("read", "write"))}
)


class ApiKey(Record, frozen=True, kw_only=True):
    """A key as it may be shown: everything but the key."""

    organization_id: UUID
    id: UUID
    name: str | None
    prefix: str
    scopes: list[str]
    expires_at: datetime | None
    revoked_at: datetime | None
    created_at: datetime


class Holder(Struct, frozen=True, kw_only=True):
    """Who came with a key, and what they may do."""

    organization_id: UUID
    api_key_id: UUID
    scopes: frozenset[str]
    expires_at: datetime | None

    def may(self, action: str, resource: str) -> bool:
        """Whether the key opens this room: action is `read` or `write`."""
        return ALL in self.scopes or f"{resource}:{action}" in self.scopes


async def create(
    connection: Connection,
    organization_id: UUID,
    name: str | None = None,
    *,
    scopes: Sequence[str] = (ALL,),
    expires_at: datetime | None = None,
    now: datetime,
) -> tuple[ApiKey, str]:
    """Make a key; the text of it exists only in what is returned. Raises Invalid."""
    problems: dict[str, list[str]] = {}
    if not scopes or not set(scopes) <= SCOPES:
        problems["scopes"] = ["value_is_invalid"]
    if expires_at is not None and expires_at <= now:
        problems["expires_at"] = ["value_is_invalid"]
    if problems:
        raise Invalid(problems)
    text = _new_key()
    row = await _queries.insert_api_key(
        connection,
        organization_id=organization_id,
        id=new_uuid(now),
        name=name,
        prefix=text[:_PREFIX_LENGTH],
        hash=_digest(text),
        scopes=sorted(set(scopes)),
        expires_at=expires_at,
        created_at=now,
    )
    return ApiKey.of(row), text


async def find_all(
    connection: Connection, organization_id: UUID, *, window: Window
) -> Page[ApiKey]:
    """A page of keys, newest first, revoked ones included."""
    rows = _queries.list_api_keys(
        connection, organization_id=organization_id, limit=window.size, offset=window.offset
    )
    items = [ApiKey.of(row) async for row in rows]
    return Page(items, await _queries.count_api_keys(connection, organization_id=organization_id))


async def get(connection: Connection, organization_id: UUID, key_id: UUID) -> ApiKey:
    """The key with this id; raises NotFound."""
    row = await _queries.find_api_key_by_id(connection, organization_id=organization_id, id=key_id)
    if row is None:
        raise NotFound("api_key")
    return ApiKey.of(row)


async def revoke(
    connection: Connection, organization_id: UUID, key_id: UUID, *, now: datetime
) -> ApiKey:
    """Make a key useless, within the time that lookups are cached for; raises NotFound."""
    await _queries.revoke_api_key(connection, organization_id=organization_id, id=key_id, now=now)
    return await get(connection, organization_id, key_id)


class KeyRing:
    """Finds who holds a key. Answers are kept for seconds, which is how late a revocation works.

    They are kept by the key itself, since a digest for each request costs more than all that is
    asked of it. Keys that nobody holds are not kept, so that a new key works at once. Concurrent
    requests with the same key wait for one look-up.
    """

    def __init__(
        self,
        database: Database,
        *,
        cache_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._cache_s = cache_s
        self._clock = clock
        self._known: dict[str, tuple[float, Holder]] = {}
        self._looked_up: dict[str, asyncio.Task[Holder | None]] = {}

    async def find(self, text: str) -> Holder | None:
        """The holder of a key that is valid now, else None."""
        kept = self._known.get(text)
        if kept is not None and self._clock() < kept[0]:
            return _if_not_expired(kept[1])
        if not _is_well_formed(text):
            return None
        task = self._looked_up.get(text)
        if task is None:
            task = asyncio.create_task(self._look_up(text))
            self._looked_up[text] = task
            task.add_done_callback(lambda _: self._looked_up.pop(text, None))
        return await asyncio.shield(task)  # one caller that goes away must not fail the others

    def forget(self) -> None:
        """Look every key up anew."""
        self._known.clear()

    async def _look_up(self, text: str) -> Holder | None:
        digest = _digest(text)
        valid_until = self._clock() + self._cache_s
        async with self._database.api.acquire() as connection:
            row = await _queries.find_api_key(connection, hash=digest)
        if (
            row is None
            or row["revoked_at"] is not None
            or not hmac.compare_digest(row["hash"], digest)
        ):
            self._known.pop(text, None)
            return None
        holder = Holder(
            organization_id=row["organization_id"],
            api_key_id=row["id"],
            scopes=frozenset(row["scopes"]),
            expires_at=row["expires_at"],
        )
        self._known.pop(text, None)
        while len(self._known) >= _CACHED_KEYS_MAX:
            self._known.pop(next(iter(self._known)))  # the oldest
        self._known[text] = (valid_until, holder)
        return _if_not_expired(holder)


def _if_not_expired(holder: Holder) -> Holder | None:
    if holder.expires_at is not None and holder.expires_at <= datetime.now(UTC):
        return None
    return holder


def _new_key() -> str:
    body = _MARK + secrets.token_urlsafe(_CHANCE_BYTES)
    return body + _checksum(body)


def _checksum(body: str) -> str:
    return f"{zlib.crc32(body.encode()):08x}"


def _is_well_formed(text: str) -> bool:
    return (
        len(text) == _LENGTH
        and text.isascii()
        and text.startswith(_MARK)
        and text.endswith(_checksum(text[:-_CHECKSUM_LENGTH]))
    )


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()
