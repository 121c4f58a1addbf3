"""How a command finds the service it speaks to."""

import os
from pathlib import Path

import click

from wallet_service.cli.data_folder import Credentials, DataFolder


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
