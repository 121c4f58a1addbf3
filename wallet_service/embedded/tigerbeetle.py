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
    ready_timeout_s = 90.0  # it writes its whole grid of memory first, which a busy disk delays

    def __init__(self, folder: Path, *, log_path: Path, cluster_id: int = 0) -> None:
        super().__init__(log_path=log_path, folder=folder)
        self.cluster_id = cluster_id
        self._port = 0

    @property
    def addresses(self) -> str:
        """Say how to connect: the port that the running replica wrote down, or a free one."""
        if not self._port:
            self._port = self._written_port() or _free_port()
        return f"127.0.0.1:{self._port}"

    def claim_port(self) -> None:
        """Take the port of the last start if it is free, else another.

        To be called before a replica is started.
        """
        written = self._written_port()
        self._port = written if _is_free(written) else _free_port()

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
        if not self._port:
            self.claim_port()
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._port_file.write_text(f"{self._port}\n")
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

    def waiting_for(self) -> str:
        return f"{self.addresses} to accept a connection"

    @property
    def _port_file(self) -> Path:
        """Where other commands on this folder, such as `wallet check`, learn the port."""
        return self.folder / "port"

    def _written_port(self) -> int:
        try:
            return int(self._port_file.read_text())
        except (OSError, ValueError):
            return 0

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


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return port != 0
