"""Every knob of the service, read once from the environment when a process starts.

A field `lock_timeout_ms` is set by `WALLET_LOCK_TIMEOUT_MS`. Units are part of the names. Each
field carries its meaning and its limits, so a value that cannot work is refused before anything
starts, by the name of its variable.
"""

import os
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta, Struct

PREFIX: Final = "WALLET_"

# Variables that share the prefix but are read elsewhere: by the client, or to find the embedded
# servers' programs.
OTHER_VARIABLES: Final = {
    "WALLET_URL": "Where the command line and the client find a running service.",
    "WALLET_API_KEY": "The key with which the command line and the client speak to it.",
    "WALLET_POSTGRES_BIN": "Folder with `postgres` and `initdb`, instead of the bundled ones.",
    "WALLET_REDIS_BIN": "Path of `valkey-server` or `redis-server`, instead of the bundled one.",
    "WALLET_TIGERBEETLE_BIN": "Path of `tigerbeetle`; without it, the one on PATH.",
}


class InvalidSetting(ValueError):
    """An environment variable holds a value that cannot work; the message names it."""


class Settings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an operator decides; everything else is decided in the code that uses it."""

    # --- stores
    database_url: Annotated[
        str,
        Meta(
            min_length=1,
            description="Postgres, as `postgresql://…`. `wallet up` starts its own if unset.",
        ),
    ] = "postgresql:///wallet"
    redis_url: Annotated[
        str,
        Meta(
            min_length=1,
            description="Valkey: `redis://…` or `unix://…`. `wallet up` starts its own if unset.",
        ),
    ] = "redis://127.0.0.1:6379/0"
    ledger: Annotated[
        Literal["postgres", "tigerbeetle"],
        Meta(description="Engine that keeps the book; stays the same once there is money in it."),
    ] = "postgres"
    tigerbeetle_addresses: Annotated[
        str,
        Meta(
            min_length=1,
            description="Comma-separated addresses of all TigerBeetle replicas, in their order.",
        ),
    ] = "127.0.0.1:3000"
    tigerbeetle_cluster_id: Annotated[
        int, Meta(ge=0, description="The id that the TigerBeetle data files were formatted with.")
    ] = 0
    data_dir: Annotated[
        str,
        Meta(
            min_length=1, description="Folder of `wallet up`: databases, logs, first credentials."
        ),
    ] = "./.wallet"
    allow_unsafe_database: Annotated[
        bool,
        Meta(
            description="Start though Postgres may lose answered commits (fsync off …). For tests."
        ),
    ] = False

    # --- listening
    host: Annotated[str, Meta(min_length=1, description="Address that the API listens on.")] = (
        "127.0.0.1"
    )
    port: Annotated[int, Meta(ge=1, le=65535, description="Port that the API listens on.")] = 8080
    workers: Annotated[
        int, Meta(ge=1, le=256, description="API processes. One per core is a good start.")
    ] = 2

    worker_metrics_port: Annotated[
        int,
        Meta(
            ge=0,
            le=65535,
            description="Port for the worker's own `GET /metrics`; 0 where it runs beside the API.",
        ),
    ] = 0

    # --- pools, per process
    database_wait_s: Annotated[
        float,
        Meta(ge=0, le=600, description="How long to wait at start for a migrated database."),
    ] = 30.0
    api_pool_size_max: Annotated[
        int,
        Meta(
            ge=1, le=1000, description="Connections for requests that run under row-level security."
        ),
    ] = 8
    committer_pool_size_max: Annotated[
        int,
        Meta(
            ge=2,
            le=100,
            description="Connections of the committer: two open batches and a spare for repairs.",
        ),
    ] = 4
    worker_pool_size_max: Annotated[
        int, Meta(ge=1, le=1000, description="Connections for background work.")
    ] = 4
    connect_timeout_s: Annotated[
        float, Meta(gt=0, le=60, description="How long to wait for a new database connection.")
    ] = 5.0
    statement_timeout_s: Annotated[
        float, Meta(gt=0, le=600, description="Longest statement that a request may run.")
    ] = 10.0
    worker_statement_timeout_s: Annotated[
        float, Meta(gt=0, le=86400, description="Longest statement that background work may run.")
    ] = 600.0

    # --- the committer
    committer_batch_max: Annotated[
        int, Meta(ge=1, le=8189, description="Operations committed together at most.")
    ] = 256
    committer_queue_max: Annotated[
        int,
        Meta(
            ge=1, description="Operations waiting for a batch at most; beyond it requests get 503."
        ),
    ] = 4096
    lock_timeout_ms: Annotated[
        int,
        Meta(
            ge=1,
            le=60_000,
            description="How long a batch waits for a customer's lock before it answers 503.",
        ),
    ] = 250
    deadline_s: Annotated[
        float,
        Meta(gt=0, le=60, description="Longest wait for an outcome; then 503 `outcome_pending`."),
    ] = 5.0
    hot_balances_wait_ms: Annotated[
        int,
        Meta(
            ge=0,
            le=1000,
            description="How long an answer waits for Redis to acknowledge the new balances.",
        ),
    ] = 5
    hot_balances_timeout_ms: Annotated[
        int,
        Meta(
            ge=1,
            le=60_000,
            description="How long a call to Redis may take; then balances come from the ledger.",
        ),
    ] = 250

    # --- requests
    requests_max: Annotated[
        int,
        Meta(
            ge=1,
            description="Requests under way in one API process at most; beyond it they get 503.",
        ),
    ] = 2048
    body_bytes_max: Annotated[
        int,
        Meta(ge=1024, description="Largest body of an authorization, a capture or a single event."),
    ] = 65_536
    batch_body_bytes_max: Annotated[
        int,
        Meta(
            ge=1024, description="Largest body of every other request, such as a batch of events."
        ),
    ] = 1_048_576
    events_per_batch_max: Annotated[
        int, Meta(ge=1, le=8000, description="Events in one `POST /events/batch`.")
    ] = 1000
    items_max: Annotated[
        int, Meta(ge=1, le=1000, description="Items in one authorization or capture.")
    ] = 20
    hold_expires_in_s_default: Annotated[
        int, Meta(ge=1, description="Life of a hold that does not say `expires_in`.")
    ] = 600
    hold_expires_in_s_max: Annotated[
        int, Meta(ge=1, description="Longest `expires_in`; default 31 days.")
    ] = 31 * 86_400

    # --- taxes
    tax_service_url: Annotated[
        str,
        Meta(
            max_length=500,
            pattern="^(https?://[^ ]+)?$",
            description="Who says what invoices are taxed by, over HTTP. If unset, `/taxes` do.",
        ),
    ] = ""
    tax_service_timeout_s: Annotated[
        float,
        Meta(ge=0.1, le=60, description="An invoice whose taxes come later than this has failed."),
    ] = 10.0

    # --- documents
    public_url: Annotated[
        str,
        Meta(
            max_length=500,
            pattern="^(https?://[^ ]+)?$",
            description=(
                "Where links to documents lead, as `https://billing.example.com`. "
                "If unset, where the request for the link came to."
            ),
        ),
    ] = ""
    document_link_s: Annotated[
        int,
        Meta(ge=1, le=31_536_000, description="How long a link to a document opens it."),
    ] = 86_400
    document_fonts: Annotated[
        str,
        Meta(
            description=(
                "Folder with further fonts (`.ttf`, `.otf`) for documents, for scripts that the "
                "bundled ones cannot draw, such as Korean or Thai."
            )
        ),
    ] = ""

    # --- caches of a worker
    catalogue_recheck_s: Annotated[
        float,
        Meta(
            ge=0,
            le=300,
            description="A changed price reaches every worker after this time at the latest.",
        ),
    ] = 5.0
    key_cache_s: Annotated[
        float,
        Meta(
            ge=0, le=300, description="A revoked key stops working after this time at the latest."
        ),
    ] = 5.0


def variable(field: str) -> str:
    """Name the environment variable that sets a field."""
    return PREFIX + field.upper()


def load_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """Read `WALLET_*`; raises InvalidSetting for the first value that cannot work.

    An empty variable counts as unset, since compose files cannot leave one out. Unknown names are
    refused: a misspelt limit would otherwise silently not limit.
    """
    found: Mapping[str, str] = os.environ if environ is None else environ
    fields = {variable(field.name): field for field in msgspec.structs.fields(Settings)}
    values: dict[str, Any] = {}
    for name, text in found.items():
        if not name.startswith(PREFIX) or name in OTHER_VARIABLES or not text:
            continue
        if name not in fields:
            message = (
                f"{name} is not a setting of the wallet; docs/reference/settings.md lists them"
            )
            raise InvalidSetting(message)
        field = fields[name]
        try:
            values[field.name] = msgspec.convert(text.strip(), field.type, strict=False)
        except msgspec.ValidationError as error:
            message = f"{name}={_shown(name, text)} cannot be used: {error}"
            raise InvalidSetting(message) from None
    settings = Settings(**values)
    if settings.hold_expires_in_s_default > settings.hold_expires_in_s_max:
        message = "WALLET_HOLD_EXPIRES_IN_S_DEFAULT is longer than WALLET_HOLD_EXPIRES_IN_S_MAX"
        raise InvalidSetting(message)
    return settings


def _shown(name: str, text: str) -> str:
    """Show a bad value, but never a URL: it may hold a password."""
    return "…" if name.endswith("_URL") else repr(text)
