"""The unit of comparison: an ordinary Litestar handler that does nothing.

It reads a JSON body of an authorization's size into a struct and answers a small JSON. Server,
loop, parser and number of processes are those of the service's own API: the same code starts it.
"""

import os
import signal
from typing import Any

from litestar import Litestar, post
from litestar.params import JSONBody
from msgspec import Struct

from wallet_service import uvicorn_workers
from wallet_service.embedded.spawn import die_with_parent


class Item(Struct):
    """What is to be paid for."""

    code: str
    properties: dict[str, Any]


class Authorization(Struct):
    """As much of an authorization as its body holds."""

    external_customer_id: str
    transaction_id: str
    expires_in: int
    items: list[Item]


class Question(Struct):
    """The body."""

    authorization: Authorization


class Answer(Struct):
    """The reply."""

    transaction_id: str
    status: str


@post("/bare", status_code=200)
async def bare(data: JSONBody[Question]) -> Answer:
    """Answer without any work."""
    return Answer(data.authorization.transaction_id, "held")


def create_app() -> Litestar:
    """An application of one route, as the tutorial of Litestar writes it."""
    return Litestar([bare], openapi_config=None)


if __name__ == "__main__":
    die_with_parent(os.getppid(), signal.SIGTERM)
    uvicorn_workers.create_app_from_env = create_app
    uvicorn_workers.main()
