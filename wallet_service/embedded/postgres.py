"""A private Postgres: a data directory, a unix socket, no port, no password, never as root."""

import asyncio
import contextlib
import os
import shutil
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final
from urllib.parse import quote

from wallet_service.embedded.errors import AlreadyRunning, StartFailed
from wallet_service.embedded.locks import remove_stale
from wallet_service.embedded.process import Process, poll_until
from wallet_service.embedded.programs import find_postgres, major_version

_PORT: Final = 5432  # only names the socket file
_USER: Final = "wallet"
# A predecessor whose supervisor was killed needs this long to shut down in good order.
_PREDECESSOR_S: Final = 10.0

# Sized for one machine that also runs the service: many short transactions on a hot set that fits
# in memory. fsync and its relatives stay as they are: on.
_SETTINGS: Final = {
    "listen_addresses": "''",
    "unix_socket_permissions": "0700",
    "cluster_name": "wallet",
    "shared_preload_libraries": "pg_stat_statements",
    "max_connections": "100",
    # What is set up for each connection, used or not: nothing here is `serializable`.
    "max_pred_locks_per_transaction": "10",
    "pg_stat_statements.max": "2000",
    "effective_cache_size": "512MB",
    "maintenance_work_mem": "64MB",
    # A checkpoint makes every page be written in full once more, so they are kept rare.
    "max_wal_size": "2GB",
    "checkpoint_timeout": "15min",
    "max_wal_senders": "0",
    "max_logical_replication_workers": "0",
    "max_parallel_workers_per_gather": "0",
    # Compiling costs more than any query of ours takes.
    "jit": "off",
    # Rows of customers and limited accounts are updated all the time.
    "autovacuum_naptime": "15s",
    "timezone": "'UTC'",
    "log_timezone": "'UTC'",
    "log_line_prefix": "'%m [%p] '",
    "log_checkpoints": "off",
    # Statements carry no values (they are parameters), but a log is no place for them either.
    "log_parameter_max_length": "0",
    "log_parameter_max_length_on_error": "0",
}
_CONTAINER_MEMORY: Final = Path("/sys/fs/cgroup/memory.max")
_SHARED_BUFFERS_MB_MIN: Final = 96
_SHARED_BUFFERS_MB_MAX: Final = 512
_SETTINGS_SINCE_18: Final = {
    "io_method": "sync",  # no helper processes: the hot set is in memory
    "io_max_concurrency": "8",  # reads under way, set up for each connection: sync has one
}
UNSAFE_FOR_TESTS: Final = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "shared_buffers": "32MB",
    "max_wal_size": "256MB",
}


def url_of(socket_folder: Path, database: str = "wallet") -> str:
    """Say how to connect to a server that listens in a folder."""
    return f"postgresql://{_USER}@/{database}?host={quote(str(socket_folder))}"


def _shared_buffers_mb() -> int:
    """An eighth of the memory of the machine or the container, within bounds.

    It is taken page by page, as it fills. Where the hot set is larger, a backend that needs a page
    writes another one first, and the log before that: a sync that nobody has asked for, in the
    middle of a batch.
    """
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    with contextlib.suppress(OSError, ValueError):  # no such file, or "max"
        memory = min(memory, int(_CONTAINER_MEMORY.read_text()))
    return max(_SHARED_BUFFERS_MB_MIN, min(memory // 8 // 2**20, _SHARED_BUFFERS_MB_MAX))


async def ensure_database(server_url: str, name: str = "wallet") -> None:
    """Create a database unless it is there; `server_url` names any other of the same server."""
    import asyncpg  # noqa: PLC0415 (finding and starting a server needs no driver)

    connection = await asyncpg.connect(server_url)
    try:
        known = await connection.fetchrow("select 1 from pg_database where datname = $1", name)
        if known is None:
            await connection.execute(f'create database "{name}"')
    finally:
        await connection.close()


class Postgres(Process):
    """Runs `postgres` on `folder`, made by `initdb` when empty."""

    name = "postgres"
    stop_signal = signal.SIGINT  # "fast": end sessions, then shut down in good order
    stop_timeout_s = 10.0
    unprivileged = True

    def __init__(
        self,
        folder: Path,
        *,
        socket_folder: Path,
        log_path: Path,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(log_path=log_path, folder=folder)
        self.socket_folder = socket_folder
        self.settings = dict(settings or {})

    def url(self, database: str = "wallet") -> str:
        """Say how to connect to one of its databases."""
        return url_of(self.socket_folder, database)

    def command(self) -> Sequence[str]:
        return (str(find_postgres() / "postgres"), "-D", str(self.folder))

    async def prepare(self) -> None:
        """Make the data directory, or clear what a crash left in it."""
        programs = find_postgres()
        version = major_version(programs / "postgres")
        # Until its version is there, a data directory is none: the last thing done is a rename.
        if not (self.folder / "PG_VERSION").exists():
            await self._create(programs, version)
        self._check_version(version)
        await self._wait_for_predecessor()
        self._write_settings(version)

    async def wait_ready(self) -> None:
        """Wait for the line that the server writes into its lock file."""
        lock_file = self.folder / "postmaster.pid"

        async def says_ready() -> bool:
            try:
                lines = lock_file.read_text().split("\n")
            except FileNotFoundError:
                return False
            return len(lines) > 7 and lines[7].strip() == "ready"  # noqa: PLR2004 (by its format)

        await poll_until(says_ready)

    async def ensure_database(self, name: str = "wallet") -> None:
        """Create a database unless it is there."""
        await ensure_database(self.url("postgres"), name)

    async def _create(self, programs: Path, version: int) -> None:
        unfinished = self.folder.with_name(self.folder.name + ".new")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(mode=0o700, parents=True)
        locale = (
            ("--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C")
            if version >= 17  # noqa: PLR2004 (the first with a locale that no system changes)
            else ("--no-locale",)
        )
        safety = ("--no-sync",) if self.settings.get("fsync") == "off" else ("--data-checksums",)
        self.folder, finished = unfinished, self.folder
        try:
            await self.run_once(
                (
                    str(programs / "initdb"),
                    *("-D", str(unfinished), "-U", _USER, "-A", "trust", "-E", "UTF8"),
                    *("--no-instructions", *locale, *safety),
                )
            )
        finally:
            self.folder = finished
        unfinished.rename(finished)

    def _check_version(self, version: int) -> None:
        made_by = int((self.folder / "PG_VERSION").read_text())
        if made_by != version:
            message = (
                f"{self.folder} was made by Postgres {made_by}, and this is {version}: set "
                f"WALLET_POSTGRES_BIN to the programs of {made_by}, or move the data with pg_dump"
            )
            raise StartFailed(message)

    async def _wait_for_predecessor(self) -> None:
        locks = [
            self.folder / "postmaster.pid",
            self.socket_folder / f".s.PGSQL.{_PORT}.lock",
        ]

        async def is_gone() -> bool:
            return remove_stale(locks, self.folder) is None

        try:
            await asyncio.wait_for(poll_until(is_gone), _PREDECESSOR_S)
        except TimeoutError:
            pid = remove_stale(locks, self.folder)
            message = f"another Postgres (process {pid}) is running on {self.folder}"
            raise AlreadyRunning(message) from None

    def _write_settings(self, version: int) -> None:
        """Write the whole configuration anew: it belongs to this version of the service."""
        settings = {
            **_SETTINGS,
            "shared_buffers": f"{_shared_buffers_mb()}MB",
            **(_SETTINGS_SINCE_18 if version >= 18 else {}),  # noqa: PLR2004 (its name says it)
            "unix_socket_directories": f"'{self.socket_folder}'",
            **self.settings,
        }
        text = "# Written anew at every start.\n"
        text += "".join(f"{name} = {value}\n" for name, value in settings.items())
        path = self.folder / "postgresql.conf"
        owner = path.stat()
        path.write_text(text)
        os.chown(path, owner.st_uid, owner.st_gid)
