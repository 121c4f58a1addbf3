"""Signs of life, for load balancers and Prometheus. No key needed; no tenant is told of."""

import asyncio
from typing import Any, Final

from litestar import MediaType, Response, get
from litestar.datastructures import State
from litestar.openapi import ResponseSpec
from msgspec import Struct

from wallet_service.api.errors import RETRY_AFTER_S
from wallet_service.observability import render_metrics

_NEEDED: Final = frozenset({"postgres", "ledger"})
"""Stores without which nothing can be approved."""


class Health(Struct):
    """This process answers."""

    status: str = "ok"


class Readiness(Struct):
    """`ok`; `degraded`, where all but Redis answers; or `unavailable`. `down` names what is not."""

    status: str
    down: list[str]


@get("/health", summary="Is this process up?", tags=["health"], sync_to_thread=False)
def health() -> Health:
    """Answer as long as the process runs, whatever else is down."""
    return Health()


@get(
    "/ready",
    summary="Can requests be served?",
    tags=["health"],
    responses={
        503: ResponseSpec(
            Readiness, description="Not now; `down` names why.", generate_examples=False
        )
    },
)
async def ready(state: State) -> Response[Readiness]:
    """Ask postgres, redis and the ledger; `down` names those that do not answer.

    Without redis alone, approvals go on and balances are read from the ledger, so that is 200.
    """
    down: list[str] = await state.services.down()
    if not _NEEDED.intersection(down):
        return Response(Readiness("degraded" if down else "ok", down))
    headers = {"Retry-After": str(RETRY_AFTER_S)}
    return Response(Readiness("unavailable", down), status_code=503, headers=headers)


@get("/metrics", summary="Measurements", tags=["health"], media_type=MediaType.TEXT)
async def metrics(state: State) -> bytes:
    """Give all measurements in Prometheus' text format."""
    state.measures.pass_on()
    return await asyncio.to_thread(render_metrics)


HEALTH_ROUTES: list[Any] = [health, ready, metrics]
