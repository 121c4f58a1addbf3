"""A single TigerBeetle replica for development: one data file, one local port."""

import asyncio
import socket
from collections.abc import Sequence
from pathlib import Path

from wallet_service.embedded.process import Process, poll_until
from wallet_service.embedded.programs import find_tigerbeetle


class TigerBeetle(Process):
    """Runs `tigerbeetle start` on `folder`, formatted when empty.

    One replica keeps no second copy: production runs a cluster and names it in the settings.
    """

    name = "tigerbeetle"
    layer = 1
    stop_timeout_s = 2.0

    def __init__(self, folder: Path, *, log_path: Path, cluster_id: int = 0) -> None:
        super().__init__(log_path=log_path, folder=folder)
        self.cluster_id = cluster_id
        self._port = 0

    @property
    def addresses(self) -> str:
        """Say how to connect; the same for as long as this object lives."""
        if not self._port:
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                self._port = probe.getsockname()[1]
        return f"127.0.0.1:{self._port}"

    def command(self) -> Sequence[str]:
        return (
            str(find_tigerbeetle()),
            "start",
            f"--addresses={self.addresses}",
            "--development",
            str(self._data_file),
        )

    async def prepare(self) -> None:
        """Format the data file, once: a half-written one never gets its name."""
        program = find_tigerbeetle()
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self._data_file.exists():
            return
        unfinished = self._data_file.with_suffix(".new")
        unfinished.unlink(missing_ok=True)
        await self.run_once(
            (
                str(program),
                "format",
                f"--cluster={self.cluster_id}",
                *("--replica=0", "--replica-count=1", "--development"),
                str(unfinished),
            )
        )
        unfinished.rename(self._data_file)

    async def wait_ready(self) -> None:
        """Wait until the port accepts a connection."""
        await poll_until(self._accepts)

    @property
    def _data_file(self) -> Path:
        return self.folder / f"{self.cluster_id}_0.tigerbeetle"

    async def _accepts(self) -> bool:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", self._port)
        except OSError:
            return False
        writer.close()
        return True
