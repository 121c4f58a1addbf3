"""`wallet up`: the whole service on one machine.

::

    up ─┬─ postgres      unless WALLET_DATABASE_URL names one
        ├─ valkey        unless WALLET_REDIS_URL names one
        ├─ tigerbeetle   with --ledger tigerbeetle, unless WALLET_TIGERBEETLE_ADDRESSES names one
        └─ api           uvicorn, its workers, and the worker that does what is due

Started from the top, stopped from the bottom. Whatever ends is started again. Whatever way `up`
itself ends, the kernel stops its children, so the next `up` finds a quiet folder.
"""

import asyncio
import contextlib
import os
import resource
import signal
import socket
import sys
from collections.abc import Mapping
from pathlib import Path

import click
import msgspec

from wallet_service.cli.data_folder import Credentials, DataFolder, data_option
from wallet_service.cli.numbers import Whole
from wallet_service.cli.preparation import Preparation, Task, preparing
from wallet_service.cli.service import Api, reachable_host
from wallet_service.embedded.errors import EmbeddedError
from wallet_service.embedded.postgres import Postgres
from wallet_service.embedded.process import Process
from wallet_service.embedded.redis import Redis
from wallet_service.embedded.spawn import die_with_parent
from wallet_service.embedded.stack import Stack
from wallet_service.embedded.tigerbeetle import TigerBeetle
from wallet_service.settings import InvalidSetting, Settings, load_settings, variable

# A predecessor that was killed needs a moment to let go of the port.
_PORT_WAIT_S = 2.0
_OPEN_FILES = 65_536


@click.command("up")
@data_option
@click.option("--host", help="Address to listen on.  [default: 127.0.0.1]")
@click.option("--port", type=Whole(1, 65535), help="Port to listen on.  [default: 8080]")
@click.option("--workers", type=Whole(1, 256), help="API processes.  [default: 2]")
@click.option(
    "--ledger",
    type=click.Choice(["postgres", "tigerbeetle"]),
    help="Engine that keeps the book.  [default: postgres, or what this folder began with]",
)
def command(data: Path | None, **flags: str | int | None) -> None:
    """Bring the whole service up on this machine."""
    try:
        chosen = {name: value for name, value in flags.items() if value is not None}
        settings = msgspec.structs.replace(load_settings(), **chosen)
        folder = DataFolder(data)
        folder.create()
        with folder.locked():
            wanted = chosen.get("ledger") or os.environ.get("WALLET_LEDGER")
            ledger = folder.choose_ledger(str(wanted) if wanted else None)
            settings = msgspec.structs.replace(settings, ledger=ledger, data_dir=str(folder.path))
            _outlive_nobody()
            known = folder.read_credentials()
            with preparing(known) as preparation:
                asyncio.run(_run(folder, settings, known, preparation))
    except (InvalidSetting, EmbeddedError) as error:
        raise click.ClickException(str(error)) from None


async def _run(
    folder: DataFolder, settings: Settings, known: Credentials | None, preparation: Preparation
) -> None:
    """Start everything, say so, and stop it when asked to."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    stack = Stack(report=_report)
    starting = asyncio.create_task(_start(stack, folder, settings, known, preparation))
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait((starting, stopping), return_when=asyncio.FIRST_COMPLETED)
        if starting.done():
            click.echo(starting.result())
            await stopping
    finally:
        starting.cancel()
        with contextlib.suppress(asyncio.CancelledError, Exception):
            await starting
        await stack.stop()


async def _start(
    stack: Stack,
    folder: DataFolder,
    settings: Settings,
    known: Credentials | None,
    preparation: Preparation,
) -> str:
    """Bring up servers, database, service and first key; return the line that says it is ready."""
    await _check_port(settings)
    servers, settings = _servers(folder, settings)
    folder.clear_metrics()
    environment = _environment(folder, settings)
    # The API imports for a second and then waits for the database, which takes as long to make.
    serving = asyncio.create_task(stack.start(Api(folder, settings, environment)))
    try:
        await stack.start(*servers)
        url = f"http://{_url_host(settings.host)}:{settings.port}"
        own = next((server for server in servers if isinstance(server, Postgres)), None)
        credentials = await preparation.run(
            Task(
                database_url=settings.database_url,
                server_url=own.url("postgres") if own else None,
                service_url=url,
                known=known,
            )
        )
        await serving
    finally:
        serving.cancel()
    folder.remember_ledger(settings.ledger)
    folder.write_credentials(credentials)
    return (
        f"ready {url} api_key={credentials.api_key} organization_id={credentials.organization_id} "
        f"data={folder.path}"
    )


def _servers(folder: DataFolder, settings: Settings) -> tuple[list[Process], Settings]:
    """Describe the servers that no variable names, and settings that name all of them."""
    servers: list[Process] = []
    found: dict[str, str] = {}
    if not _is_named("database_url"):
        postgres = Postgres(
            folder.postgres,
            socket_folder=folder.sockets,
            log_path=folder.logs / "postgres.log",
        )
        found["database_url"] = postgres.url()
        servers.append(postgres)
    if not _is_named("redis_url"):
        valkey = Redis(
            folder.valkey, socket_folder=folder.sockets, log_path=folder.logs / "valkey.log"
        )
        found["redis_url"] = valkey.url()
        servers.append(valkey)
    if settings.ledger == "tigerbeetle" and not _is_named("tigerbeetle_addresses"):
        tigerbeetle = TigerBeetle(
            folder.tigerbeetle,
            log_path=folder.logs / "tigerbeetle.log",
            cluster_id=settings.tigerbeetle_cluster_id,
        )
        tigerbeetle.claim_port()
        found["tigerbeetle_addresses"] = tigerbeetle.addresses
        servers.append(tigerbeetle)
    return servers, msgspec.structs.replace(settings, **found)


def _environment(folder: DataFolder, settings: Settings) -> Mapping[str, str]:
    """Tell the children what was decided here; everything else they read themselves."""
    decided = (
        *("database_url", "redis_url", "ledger", "tigerbeetle_addresses", "data_dir"),
        *("host", "port", "workers"),
    )
    return {
        **{variable(name): str(getattr(settings, name)) for name in decided},
        "PROMETHEUS_MULTIPROC_DIR": str(folder.metrics),
    }


async def _check_port(settings: Settings) -> None:
    """Refuse a port that somebody listens on, before anything is started."""
    loop = asyncio.get_running_loop()
    give_up = loop.time() + _PORT_WAIT_S
    while True:
        try:
            info = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM)[0]
            with socket.socket(info[0], info[1]) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(info[4])
        except OSError as error:
            if loop.time() < give_up and not isinstance(error, socket.gaierror):
                await asyncio.sleep(0.1)
                continue
            why = error.strerror or error
            message = f"cannot listen on {settings.host}:{settings.port}: {why}; see --port, --host"
            raise click.ClickException(message) from None
        else:
            return


def _is_named(field: str) -> bool:
    return bool(os.environ.get(variable(field)))


def _url_host(host: str) -> str:
    reachable = reachable_host(host)
    return f"[{reachable}]" if ":" in reachable else reachable


def _outlive_nobody() -> None:
    """Prepare for many connections, and for an end of `uv run` that does not ask us to stop.

    `kill -9` of the launcher kills uv, which cannot pass that on; the kernel can.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, _OPEN_FILES)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    parent = os.getppid()
    name = Path(f"/proc/{parent}/comm")
    if name.exists() and name.read_text().strip() == "uv":
        die_with_parent(parent, signal.SIGTERM)


def _report(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
