"""The processes of the service itself, as children of `wallet up`."""

import asyncio
import sys
from collections.abc import Mapping, Sequence

from wallet_service.cli.data_folder import DataFolder
from wallet_service.embedded.process import Process, poll_until
from wallet_service.settings import Settings


class Api(Process):
    """Uvicorn and its workers. Their parent replaces a dead worker; we replace the parent."""

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

    def command(self) -> Sequence[str]:
        return (sys.executable, "-m", "wallet_service.uvicorn_workers")

    async def wait_ready(self) -> None:
        """Wait until `GET /ready` says 200: it has reached its database, ledger and Redis."""
        await poll_until(self._is_ready)

    async def _is_ready(self) -> bool:
        try:
            reader, writer = await asyncio.open_connection(
                reachable_host(self.settings.host), self.settings.port
            )
        except OSError:
            return False
        try:
            writer.write(b"GET /ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            status_line = await reader.readline()
        except ConnectionError:
            return False
        finally:
            writer.close()
        return status_line.split(b" ")[1:2] == [b"200"]


class Worker(Process):
    """Background work."""

    name = "worker"
    layer = 2
    stop_timeout_s = 1.0

    def __init__(self, folder: DataFolder, environment: Mapping[str, str]) -> None:
        super().__init__(
            log_path=folder.logs / "worker.log", folder=folder.path, environment=environment
        )

    def command(self) -> Sequence[str]:
        return (sys.executable, "-m", "wallet_service.cli", "worker")


def reachable_host(host: str) -> str:
    """Name an address at which a listener on `host` can be reached from this machine."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 (not bound here)
