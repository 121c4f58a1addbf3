"""The processes of the service itself, as children of `wallet up`."""

import asyncio
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

from wallet_service.cli.data_folder import DataFolder
from wallet_service.embedded.process import Process, poll_until
from wallet_service.embedded.tigerbeetle import TigerBeetle
from wallet_service.settings import Settings

_DEGRADED_S: Final = 3.0
_STDERR: Final = 2


class _Readiness(msgspec.Struct):
    """What `GET /ready` says."""

    status: str
    down: list[str]


class Api(Process):
    """Uvicorn, its workers, and the worker. Their parent replaces a dead one; we replace it.

    Whom it replaces it says on our stderr, as we do of the parent; all else is in logs.
    """

    name = "api"
    layer = 2
    stop_timeout_s = 1.2  # requests take milliseconds, and Ctrl-C should take less than two seconds
    ready_timeout_s = 30.0

    def __init__(
        self, folder: DataFolder, settings: Settings, environment: Mapping[str, str]
    ) -> None:
        super().__init__(
            log_path=folder.logs / "api.log", folder=folder.path, environment=environment
        )
        self.settings = settings
        self._data_folder = folder
        self._operator = os.dup(_STDERR)
        self.passed_files = (self._operator,)
        self._background_log = folder.logs / "worker.log"
        self._down = ""
        if settings.ledger == "tigerbeetle":  # it starts beside us, and is waited for
            self.ready_timeout_s = TigerBeetle.ready_timeout_s

    def command(self) -> Sequence[str]:
        program = (sys.executable, "-m", "wallet_service.uvicorn_workers")
        return (*program, str(self._background_log), str(self._operator))

    async def prepare(self) -> None:
        # A parent that was killed could not say that its children, killed with it, lead no more.
        self._data_folder.forget_live_figures()

    def logs(self) -> Sequence[Path]:
        return (self.log_path, self._background_log)

    async def wait_ready(self) -> None:
        """Wait until `GET /ready` says that all is well, or for some time that it can do without.

        Valkey may come up a moment later than we; one that stays away keeps nobody from starting.
        """
        loop = asyncio.get_running_loop()
        degraded_since: float | None = None

        async def is_ready() -> bool:
            nonlocal degraded_since
            status = await self._ask()
            if status != "degraded":
                degraded_since = None
            elif degraded_since is None:
                degraded_since = loop.time()
            return status == "ok" or (
                degraded_since is not None and loop.time() - degraded_since > _DEGRADED_S
            )

        await poll_until(is_ready)

    def waiting_for(self) -> str:
        return self._down or f"an answer on port {self.settings.port}"

    async def _ask(self) -> str:
        """Ask `GET /ready` once; without an answer, the status is empty."""
        try:
            reader, writer = await asyncio.open_connection(
                reachable_host(self.settings.host), self.settings.port
            )
        except OSError:
            return ""
        try:
            writer.write(b"GET /ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            answer = await reader.read()
            said = msgspec.json.decode(answer.partition(b"\r\n\r\n")[2], type=_Readiness)
        except (ConnectionError, msgspec.MsgspecError):
            return ""
        finally:
            writer.close()
        self._down = ", ".join(said.down)
        return said.status


def reachable_host(host: str) -> str:
    """Name an address at which a listener on `host` can be reached from this machine."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 (not bound here)
