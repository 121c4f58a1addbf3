"""How a command finds the service it speaks to."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from wallet_service.cli.data_folder import Credentials, DataFolder

if TYPE_CHECKING:
    from wallet_service.settings import Settings


def find_service(data: Path | None) -> Credentials:
    """Return URL and key: from WALLET_URL and WALLET_API_KEY, else as `wallet up` left them.

    One of the two variables may be set without the other.
    """
    url, api_key = os.environ.get("WALLET_URL"), os.environ.get("WALLET_API_KEY")
    if url and api_key:
        return Credentials(url=url.rstrip("/"), api_key=api_key, organization_id="")
    folder = DataFolder(data)
    known = folder.read_credentials()
    if known is None:
        message = (
            f"no service found in {folder.path}: start it with ./wallet up, or set WALLET_URL and "
            "WALLET_API_KEY"
        )
        raise click.ClickException(message)
    return Credentials(
        url=(url or known.url).rstrip("/"),
        api_key=api_key or known.api_key,
        organization_id="" if api_key else known.organization_id,
    )


def find_database(data: Path | None) -> str:
    """Return the database's URL: WALLET_DATABASE_URL, else the running Postgres of `wallet up`."""
    url = os.environ.get("WALLET_DATABASE_URL")
    if url:
        return url
    folder = DataFolder(data)
    if not (folder.postgres / "postmaster.pid").exists():
        message = (
            f"no database found in {folder.path}: start it with ./wallet up, or set "
            "WALLET_DATABASE_URL"
        )
        raise click.ClickException(message)
    from wallet_service.embedded.postgres import url_of

    return url_of(folder.sockets)


def find_stores(data: Path | None) -> "Settings":
    """Return where the stores are: WALLET_* where set, else those of a running `wallet up`."""
    from msgspec.structs import replace

    from wallet_service.embedded.redis import Redis
    from wallet_service.embedded.tigerbeetle import TigerBeetle
    from wallet_service.settings import load_settings

    settings = replace(load_settings(), database_url=find_database(data), database_wait_s=0)
    if os.environ.get("WALLET_DATABASE_URL"):
        return settings
    folder = DataFolder(data)
    settings = replace(settings, ledger=folder.choose_ledger(None))
    if not os.environ.get("WALLET_REDIS_URL"):
        valkey = Redis(
            folder.valkey, socket_folder=folder.sockets, log_path=folder.logs / "valkey.log"
        )
        settings = replace(settings, redis_url=valkey.url())
    if settings.ledger == "tigerbeetle" and not os.environ.get("WALLET_TIGERBEETLE_ADDRESSES"):
        tigerbeetle = TigerBeetle(
            folder.tigerbeetle,
            log_path=folder.logs / "tigerbeetle.log",
            cluster_id=settings.tigerbeetle_cluster_id,
        )
        settings = replace(settings, tigerbeetle_addresses=tigerbeetle.addresses)
    return settings
