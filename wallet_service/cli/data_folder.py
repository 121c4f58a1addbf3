"""The folder of one `wallet up`: databases, logs, and the credentials of its first organization.

::

    credentials.json   where the service is and its first key, there while or since it was ready
    ledger             which engine keeps the book; it cannot be changed under existing money
    postgres/ valkey/ tigerbeetle/
    logs/              one file a process, each bounded
    run/               sockets, the lock of the running `wallet up`, metrics of this run
"""

import contextlib
import fcntl
import os
import shutil
from collections.abc import Generator
from pathlib import Path

import click
import msgspec

from wallet_service.embedded.sockets import release_socket_folder, socket_folder

DEFAULT = "./.wallet"

data_option = click.option(
    "--data",
    "data",
    type=click.Path(file_okay=False, path_type=Path),
    default=None,
    envvar="WALLET_DATA_DIR",
    show_default=DEFAULT,
    help="Folder of `wallet up`.",
)


class Credentials(msgspec.Struct, frozen=True, kw_only=True):
    """How to speak to the service of this folder. The key is kept nowhere else."""

    url: str
    api_key: str
    organization_id: str


class DataFolder:
    """The paths in one data folder, and who may use it."""

    def __init__(self, path: Path | None) -> None:
        self.path = (path or Path(DEFAULT)).absolute()
        self.postgres = self.path / "postgres"
        self.valkey = self.path / "valkey"
        self.tigerbeetle = self.path / "tigerbeetle"
        self.logs = self.path / "logs"
        self.run = self.path / "run"
        self.metrics = self.run / "metrics"

    @property
    def sockets(self) -> Path:
        """Where the servers of this folder listen."""
        return socket_folder(self.run)

    def create(self) -> None:
        """Make what is missing. Nobody else may look inside: a socket here needs no password."""
        try:
            for folder in (self.path, self.logs, self.run):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                if not os.access(folder, os.W_OK | os.X_OK):
                    raise click.ClickException(f"{folder} belongs to somebody else")
        except OSError as error:
            raise click.ClickException(f"cannot use {self.path}: {error.strerror}") from None

    def clear_metrics(self) -> None:
        """Forget the counters of processes that ran before."""
        shutil.rmtree(self.metrics, ignore_errors=True)
        self.metrics.mkdir(mode=0o700, parents=True)

    def forget_live_figures(self) -> None:
        """Forget what is true only of processes that live; to be called when none does."""
        for path in self.metrics.glob("gauge_live*.db"):
            path.unlink(missing_ok=True)

    @contextlib.contextmanager
    def locked(self) -> Generator[None]:
        """Keep a second `wallet up` out. The lock dies with its process, however that ends."""
        with (self.run / "up.lock").open("a+") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                lock.seek(0)
                message = f"already running on {self.path} (process {lock.read().strip() or '?'})"
                raise click.ClickException(message) from None
            lock.truncate(0)
            lock.write(str(os.getpid()))
            lock.flush()
            yield
            release_socket_folder(self.run)

    def choose_ledger(self, wanted: str | None) -> str:
        """Return the engine of this folder, which the first `wallet up` decided."""
        known = self._ledger.read_text().strip() if self._ledger.exists() else None
        if known and wanted and known != wanted:
            message = (
                f"the book in {self.path} is kept by {known}: leave out --ledger (and "
                f"WALLET_LEDGER), or use another --data for {wanted}"
            )
            raise click.ClickException(message)
        return known or wanted or "postgres"

    def remember_ledger(self, ledger: str) -> None:
        """Keep to this engine from now on: there may be money in it."""
        if not self._ledger.exists():
            self._ledger.write_text(ledger + "\n")

    def read_credentials(self) -> Credentials | None:
        """Return what `write_credentials` left, or None."""
        try:
            return msgspec.json.decode(self._credentials.read_bytes(), type=Credentials)
        except (FileNotFoundError, msgspec.DecodeError):
            return None

    def write_credentials(self, credentials: Credentials) -> None:
        """Leave the credentials for others: complete or not at all, and for our user alone."""
        unfinished = self._credentials.with_suffix(".new")
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(msgspec.json.format(msgspec.json.encode(credentials)) + b"\n")
        unfinished.replace(self._credentials)

    @property
    def _ledger(self) -> Path:
        return self.path / "ledger"

    @property
    def _credentials(self) -> Path:
        return self.path / "credentials.json"
