"""Redis as the hot balances need it: one server or a cluster, with our function library loaded.

Both answer a call or raise HotBalancesUnavailable, connect in the background for as long as they
are open, and never send a command twice, except one that was refused because the library was gone.
"""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, Protocol
from urllib.parse import unquote, urlsplit

import structlog
from redis.asyncio import RedisCluster
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ClusterError, RedisClusterException, RedisError, ResponseError

from wallet_service.hot_connection import (
    BACKOFF_S_MAX,
    Call,
    HotConnection,
    HotConnectionError,
    Refused,
    backoff_s,
    parse_url,
)

__all__ = ["Cluster", "HotBalancesUnavailable", "Server", "SingleServer", "open_server"]

_log: Final = structlog.get_logger("wallet_service.hot_servers")

_LIBRARY: Final = Path(__file__).with_name("hot_balances.lua").read_text(encoding="utf-8")
# redis-py opens a connection for each call that is under way, up to 100 a node.
_CLUSTER_CALLS_MAX: Final = 64
_CLUSTER_SCHEME: Final = "redis+cluster"
# Answers which mean that this server is not, or no longer, the one to write to.
_WRONG_SERVER: Final = ("READONLY", "LOADING", "MASTERDOWN", "NOAUTH")


class HotBalancesUnavailable(Exception):
    """Redis did not do it, or did not say so in time; go on without."""


class Server(Protocol):
    """Redis, in one piece or many."""

    on_up: Callable[[], object]
    # How many customers one call may write.
    batch_max: int

    @property
    def is_up(self) -> bool: ...
    async def start(self) -> None: ...
    async def close(self) -> None: ...
    async def call(self, *words: bytes | str | int) -> Any:
        """Run one command; raises HotBalancesUnavailable."""
        ...

    async def get_all(self, keys: Sequence[str]) -> list[bytes | None]:
        """Read many keys, in their order; raises HotBalancesUnavailable."""
        ...


def open_server(url: str, *, timeout_s: float) -> Server:
    """Choose by the URL; nothing is connected before `start`. Raises ValueError."""
    if urlsplit(url).scheme == _CLUSTER_SCHEME:
        return Cluster(url, timeout_s=timeout_s)
    return SingleServer(url, timeout_s=timeout_s)


class SingleServer:
    """One server behind the multiplexed connection."""

    # A call keeps everybody else waiting, for 5 to 10 µs per customer. The calls of a larger batch
    # leave in one write all the same.
    batch_max = 64
    read_max = 512

    def __init__(self, url: str, *, timeout_s: float) -> None:
        self.on_up: Callable[[], object] = lambda: None
        self._connection = HotConnection(
            parse_url(url),
            timeout_s=timeout_s,
            prepare=self._load,
            on_up=lambda: self.on_up(),  # noqa: PLW0108 (it is set later)
        )

    @property
    def is_up(self) -> bool:
        return self._connection.is_up

    async def start(self) -> None:
        await self._connection.start()

    async def close(self) -> None:
        await self._connection.close()

    async def call(self, *words: bytes | str | int) -> Any:
        try:
            try:
                return await self._connection.call(*words)
            except Refused as error:
                if not _lacks_function(error):
                    raise
            # Nothing was done, so this is no repeat: somebody emptied the server's functions.
            await self._load(self._connection.call)
            return await self._connection.call(*words)
        except HotConnectionError as error:
            if isinstance(error, Refused) and str(error).startswith(_WRONG_SERVER):
                self._connection.drop(str(error))
            raise HotBalancesUnavailable(str(error)) from error

    async def get_all(self, keys: Sequence[str]) -> list[bytes | None]:
        replies = await asyncio.gather(
            *(
                self.call("MGET", *keys[start : start + self.read_max])
                for start in range(0, len(keys), self.read_max)
            )
        )
        return [value for values in replies for value in values]

    @staticmethod
    async def _load(call: Call) -> None:
        await call("FUNCTION", "LOAD", "REPLACE", _LIBRARY)


class Cluster:
    """A Redis Cluster: every call goes to the one node that has the customer."""

    # Keys of one call must lie on one node.
    batch_max = 1

    def __init__(self, url: str, *, timeout_s: float) -> None:
        parts = urlsplit(url)
        if not parts.hostname:
            raise ValueError(f"{_CLUSTER_SCHEME}:// names the host of one node")
        self.on_up: Callable[[], object] = lambda: None
        self._timeout_s = timeout_s
        self._client: Any = RedisCluster(
            host=parts.hostname,
            port=parts.port or 6379,
            username=unquote(parts.username) if parts.username else None,
            password=unquote(parts.password) if parts.password else None,
            # No command is sent twice by itself.
            retry=Retry(NoBackoff(), 0),
            # One lost node makes its own customers unreadable, not everybody.
            require_full_coverage=False,
            socket_timeout=timeout_s,
            socket_connect_timeout=timeout_s,
            protocol=2,
        )
        self._places = asyncio.Semaphore(_CLUSTER_CALLS_MAX)
        self._is_loaded = False
        self._is_up = False
        self._keeper: asyncio.Task[None] | None = None
        self._trouble = asyncio.Event()
        self._first_try = asyncio.Event()

    @property
    def is_up(self) -> bool:
        """Whether every node answered when last asked."""
        return self._is_up

    async def start(self) -> None:
        self._keeper = asyncio.create_task(self._keep(), name="redis cluster")
        await self._first_try.wait()

    async def close(self) -> None:
        self._is_up = self._is_loaded = False
        if self._keeper is not None:
            self._keeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._keeper
        await self._client.aclose()

    async def call(self, *words: bytes | str | int) -> Any:
        if not self._is_loaded:
            raise HotBalancesUnavailable("the cluster was never reached")
        try:
            try:
                return await self._once(words)
            except ResponseError as error:
                if not _lacks_function(error):
                    raise
            # A node that became a master without us; nothing was done there.
            await self._load()
            return await self._once(words)
        except (RedisError, RedisClusterException, OSError) as error:
            # A node that refuses is there; all else may be a node that is not.
            if not isinstance(error, ResponseError) or isinstance(error, ClusterError):
                self._is_up = False
                self._trouble.set()
            raise HotBalancesUnavailable(str(error) or type(error).__name__) from error

    async def get_all(self, keys: Sequence[str]) -> list[bytes | None]:
        return await asyncio.gather(*(self.call("GET", key) for key in keys))

    async def _once(self, words: Sequence[bytes | str | int]) -> Any:
        # A lost node, and the calls that queue for it, keep nobody waiting for long.
        async with asyncio.timeout(2 * self._timeout_s), self._places:
            return await self._client.execute_command(*words)

    async def _load(self) -> None:
        """Functions live on each master, and are not brought there by the cluster."""
        await self._client.function_load(_LIBRARY, replace=True)

    async def _keep(self) -> None:
        """Reach all nodes, then again whenever a call has failed."""
        failures = 0
        while True:
            self._trouble.clear()
            try:
                async with asyncio.timeout(8 * self._timeout_s):
                    await self._client.initialize()
                    await self._load()
            except Exception as error:  # noqa: BLE001 (whatever it was, we go on trying)
                if failures == 0:
                    _log.warning("redis cluster is away", why=str(error))
            else:
                up_since = asyncio.get_running_loop().time()
                self._is_loaded = self._is_up = True
                _log.info("redis cluster is here")
                self._first_try.set()
                self.on_up()
                await self._trouble.wait()
                # A node that is there only when asked for its functions is no better than none.
                if asyncio.get_running_loop().time() - up_since > BACKOFF_S_MAX:
                    failures = 0
            self._first_try.set()
            await asyncio.sleep(backoff_s(failures))
            failures += 1


def _lacks_function(error: Exception) -> bool:
    return "function not found" in str(error).lower()
