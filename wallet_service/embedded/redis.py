"""A private Valkey (or Redis): a unix socket, no port, nothing on disk.

It holds only what can be read again from Postgres and the ledger, so it keeps no file: a restart
begins empty, which readers know how to meet.
"""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from wallet_service.embedded.process import Process, poll_until
from wallet_service.embedded.programs import find_redis

_SETTINGS: Final = """\
# Written anew at every start.
port 0
unixsocketperm 700
save ""
appendonly no
daemonize no
# Full means that writes are refused and readers go to the ledger; nothing is evicted silently.
maxmemory {memory_mb_max}mb
maxmemory-policy noeviction
unixsocket "{socket}"
dir "{folder}"
"""


class Redis(Process):
    """Runs `valkey-server` on a socket."""

    name = "valkey"
    layer = 1
    stop_timeout_s = 2.0

    def __init__(
        self, folder: Path, *, socket_folder: Path, log_path: Path, memory_mb_max: int = 2048
    ) -> None:
        super().__init__(log_path=log_path, folder=folder)
        self.socket = socket_folder / "valkey.sock"
        self.memory_mb_max = memory_mb_max

    def url(self, database: int = 0) -> str:
        """Say how to connect to one of its databases."""
        return f"unix://{self.socket}?db={database}"

    def command(self) -> Sequence[str]:
        return (str(find_redis()), str(self.folder / "valkey.conf"))

    async def prepare(self) -> None:
        """Write the configuration; a socket file left by a crash is replaced by the server."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        (self.folder / "valkey.conf").write_text(
            _SETTINGS.format(
                memory_mb_max=self.memory_mb_max, socket=self.socket, folder=self.folder
            )
        )

    async def wait_ready(self) -> None:
        """Wait for an answer on the socket."""
        await poll_until(self._answers)

    async def flush(self) -> None:
        """Forget everything; tests begin with it."""
        reply = await self._ask(b"FLUSHALL")
        assert reply == b"+OK\r\n", reply

    async def _answers(self) -> bool:
        try:
            return await self._ask(b"PING") == b"+PONG\r\n"
        except (FileNotFoundError, ConnectionError):
            return False

    async def _ask(self, command: bytes) -> bytes:
        """Send one command and read one line: too little to need a driver."""
        reader, writer = await asyncio.open_unix_connection(str(self.socket))
        try:
            writer.write(command + b"\r\n")
            return await reader.readline()
        finally:
            writer.close()
