"""`wallet serve`: the API in production, where the servers are somebody else's."""

import os
import tempfile

import click

from wallet_service.cli.numbers import Whole
from wallet_service.settings import InvalidSetting, load_settings


@click.command("serve")
@click.option("--host", help="Address to listen on; WALLET_HOST.")
@click.option("--port", type=Whole(), help="Port to listen on; WALLET_PORT.")
@click.option("--workers", type=Whole(), help="API processes; WALLET_WORKERS.")
def command(**options: str | int | None) -> None:
    """Run the API alone, with the servers named in WALLET_*."""
    for name, value in options.items():
        if value is not None:
            os.environ[f"WALLET_{name.upper()}"] = str(value)
    try:
        load_settings()
    except InvalidSetting as error:
        raise click.ClickException(str(error)) from None
    # Each run has its own folder of counters: those of an earlier one must not be added.
    os.environ.setdefault("PROMETHEUS_MULTIPROC_DIR", tempfile.mkdtemp(prefix="wallet-metrics-"))

    from wallet_service import uvicorn_workers

    try:
        uvicorn_workers.main()
    except OSError as error:
        raise click.ClickException(str(error)) from None
