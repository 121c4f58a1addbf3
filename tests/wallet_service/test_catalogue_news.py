"""Listening for news of prices ends when it is told to."""

import asyncio
from contextlib import asynccontextmanager
from types import SimpleNamespace

from tests.waiting import PATIENCE_S
from wallet_service.catalogue_news import CatalogueNews


async def test_listening_ends_even_if_the_driver_loses_the_cancellation():
    listening = asyncio.Event()

    async def get_message(*, timeout: float) -> None:  # noqa: ASYNC109 (the driver's)
        listening.set()
        try:
            await asyncio.sleep(timeout)
        except asyncio.CancelledError:
            return  # taken for the end of the timeout

    async def nothing(*_: object) -> None:
        pass

    @asynccontextmanager
    async def pubsub(**_: object):
        yield SimpleNamespace(subscribe=nothing, get_message=get_message)

    news = CatalogueNews("redis://nowhere", lambda _: None)
    news._redis = SimpleNamespace(pubsub=pubsub, aclose=nothing)
    news.start()
    await listening.wait()
    await asyncio.wait_for(news.close(), PATIENCE_S)
