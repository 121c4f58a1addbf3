"""`wallet serve`: the API in production, where the servers are somebody else's."""

import multiprocessing
import os
import signal
import sys
import tempfile
from typing import TYPE_CHECKING, Final

import click

from wallet_service.embedded.spawn import die_with_parent
from wallet_service.settings import InvalidSetting, Settings, load_settings

if TYPE_CHECKING:
    from litestar import Litestar

_APP: Final = "wallet_service.cli.serve:create_app"


@click.command("serve")
@click.option("--host", help="Address to listen on; WALLET_HOST.")
@click.option("--port", type=int, help="Port to listen on; WALLET_PORT.")
@click.option("--workers", type=int, help="API processes; WALLET_WORKERS.")
def command(**options: str | int | None) -> None:
    """Run the API alone, with the servers named in WALLET_*."""
    for name, value in options.items():
        if value is not None:
            os.environ[f"WALLET_{name.upper()}"] = str(value)
    try:
        settings = load_settings()
    except InvalidSetting as error:
        raise click.ClickException(str(error)) from None
    # Each run has its own folder of counters: those of an earlier one must not be added.
    os.environ.setdefault("PROMETHEUS_MULTIPROC_DIR", tempfile.mkdtemp(prefix="wallet-metrics-"))
    program = uvicorn_command(settings)
    os.execv(program[0], program)


def create_app() -> "Litestar":
    """Make the application in one of uvicorn's workers, which is not to outlive uvicorn.

    Left alone it would keep the port, and a new `wallet up` could not have it.
    """
    is_worker = multiprocessing.parent_process() is not None
    if is_worker:
        die_with_parent(os.getppid(), signal.SIGTERM)
    try:
        from wallet_service.api.app import create_app_from_env

        return create_app_from_env()
    except BaseException:
        # Uvicorn would try again for ever, and what cannot be made now cannot be made then.
        if is_worker:
            os.kill(os.getppid(), signal.SIGTERM)
        raise


def uvicorn_command(settings: Settings) -> list[str]:
    """Say how the API is served; it reads its settings from the environment."""
    return [
        sys.executable,
        *("-m", "uvicorn", "--factory", _APP),
        *("--host", settings.host, "--port", str(settings.port)),
        *("--workers", str(settings.workers)),
        *("--loop", "uvloop", "--http", "httptools", "--ws", "none", "--lifespan", "on"),
        *("--log-level", "warning", "--no-access-log", "--no-server-header"),
        # Longer than clients and load balancers keep a connection, so that they close it, not we.
        *("--timeout-keep-alive", "75"),
        # What was accepted is answered; nobody waits longer than this for the rest to go.
        *("--timeout-graceful-shutdown", "10"),
        # A worker that has to compile much when it starts is not dead.
        *("--timeout-worker-healthcheck", "30"),
    ]
