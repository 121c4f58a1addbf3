"""Word between workers that an organization's prices changed, over Redis pub/sub.

They say of whom, not what: who hears it looks. Messages may be lost: whoever misses one notices by
the catalogue's version, a few seconds later.
"""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any, Final
from uuid import UUID

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

__all__ = ["CatalogueNews"]

log = structlog.get_logger()

_CHANNEL: Final = "wallet:catalogue"
_RETRY_S: Final = 1.0


class CatalogueNews:
    """Tells, and listens for ever."""

    def __init__(self, url: str, hear: Callable[[UUID], None]) -> None:
        self._redis: Any = Redis.from_url(  # pyright: ignore[reportUnknownMemberType]
            url.replace("redis+cluster://", "redis://"), socket_timeout=2, socket_connect_timeout=2
        )
        self._hear = hear
        self._task: asyncio.Task[None] | None = None
        self._is_open = True

    def start(self) -> None:
        """Begin to listen."""
        self._task = asyncio.create_task(self._listen())

    async def tell(self, organization_id: UUID) -> None:
        """Let the other workers know; goes on without a Redis."""
        with contextlib.suppress(RedisError, OSError):
            await self._redis.publish(_CHANNEL, str(organization_id))

    async def close(self) -> None:
        """Stop listening."""
        # The driver may take a cancellation for the end of its own timeout, and go on.
        self._is_open = False
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        await self._redis.aclose()

    async def _listen(self) -> None:
        while self._is_open:
            try:
                async with self._redis.pubsub(ignore_subscribe_messages=True) as channel:
                    await channel.subscribe(_CHANNEL)
                    while self._is_open:
                        message = await channel.get_message(timeout=1.0)
                        if message is not None:
                            self._hear(UUID(message["data"].decode()))
            except (RedisError, OSError, ValueError) as error:
                log.info("catalogue_news_interrupted", reason=repr(error))
                await asyncio.sleep(_RETRY_S)
