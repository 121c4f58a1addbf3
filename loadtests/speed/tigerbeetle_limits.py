"""What TigerBeetle does without the service: by its own account, and through its Python client."""

import random
import re
import subprocess
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import tigerbeetle

from ledger.ids import new_id
from loadtests.speed.limits import Limit
from wallet_service.embedded.errors import ProgramNotFound
from wallet_service.embedded.programs import find_tigerbeetle
from wallet_service.embedded.tigerbeetle import TigerBeetle

_SMALL: Final = "--development"
_driver: Final[Any] = tigerbeetle


def is_there() -> bool:
    """Is there a binary?"""
    try:
        find_tigerbeetle()
    except ProgramNotFound:
        return False
    return True


def own_benchmark(*, transfers: int) -> Limit:
    """What TigerBeetle's own benchmark says."""
    with tempfile.TemporaryDirectory(prefix="wallet-bench-tb-") as folder:
        done = subprocess.run(
            [str(find_tigerbeetle()), "benchmark", f"--transfer-count={transfers}"],
            check=True,
            capture_output=True,
            text=True,
            cwd=folder,
        )
    found = re.search(r"load accepted = (\d+) tx/s", done.stdout + done.stderr)
    if not found:
        raise ValueError(f"no figure in {done.stdout + done.stderr!r}")
    return Limit(float(found.group(1)), f"{transfers:,} transfers, its own batches")


async def python_client(sizes: list[int], *, seconds: float, rounds: int) -> dict[int, list[Limit]]:
    """Transfers through its Python client, one batch after another, of each size."""
    with tempfile.TemporaryDirectory(prefix="wallet-bench-tb-") as folder:
        server = FullTigerBeetle(Path(folder) / "data", log_path=Path(folder) / "log")
        await server.start()
        try:
            with _driver.ClientSync(cluster_id=0, replica_addresses=server.addresses) as client:
                _open_accounts(client)
                return {
                    size: [_transfer(client, size, seconds) for _ in range(rounds)]
                    for size in sizes
                }
        finally:
            await server.stop()


class FullTigerBeetle(TigerBeetle):
    """As in production: its small form takes no batches of a thousand."""

    def command(self) -> Sequence[str]:
        return [part for part in super().command() if part != _SMALL]

    async def run_once(self, command: Sequence[str]) -> None:
        await super().run_once([part for part in command if part != _SMALL])


def _open_accounts(client: Any) -> None:
    accounts = [_driver.Account(id=n, ledger=1, code=1) for n in range(1, 1001)]
    client.create_accounts(accounts)


def _transfer(client: Any, size: int, seconds: float) -> Limit:
    began, done = time.perf_counter(), 0
    while time.perf_counter() < began + seconds:
        now = datetime.now(UTC)
        batch = [
            _driver.Transfer(
                id=new_id(now),
                debit_account_id=random.randrange(1, 500),
                credit_account_id=random.randrange(500, 1000),
                amount=1,
                ledger=1,
                code=1,
            )
            for _ in range(size)
        ]
        client.create_transfers(batch)
        done += size
    return Limit(done / (time.perf_counter() - began), "one batch after another")
