"""The private Valkey."""

import redis.asyncio

from wallet_service.embedded.redis import Redis


async def test_it_keeps_nothing_and_refuses_nothing_that_fits(server_folder):
    folder = server_folder / "other"
    folder.mkdir()
    server = Redis(folder / "valkey", socket_folder=folder, log_path=folder / "valkey.log")
    await server.start()
    client = redis.asyncio.Redis.from_url(server.url())
    await client.set("key", "value")
    assert (await client.config_get("maxmemory-policy"))["maxmemory-policy"] == "noeviction"
    await client.aclose()
    await server.stop()
    await server.start()
    client = redis.asyncio.Redis.from_url(server.url())
    assert await client.get("key") is None
    await client.aclose()
    await server.stop()


async def test_every_test_begins_with_an_empty_one(redis_url):
    client = redis.asyncio.Redis.from_url(redis_url)
    assert await client.dbsize() == 0
    await client.set("left", "over")
    await client.aclose()


async def test_what_another_test_left_is_gone(redis_url):
    client = redis.asyncio.Redis.from_url(redis_url)
    assert await client.get("left") is None
    await client.aclose()
