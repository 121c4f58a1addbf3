"""`GET /metrics` of a worker that runs alone, where no API process shares its folder of figures."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final

from wallet_service.observability import render_metrics

__all__ = ["serve_metrics"]

_REQUEST_S_MAX: Final = 5.0


@asynccontextmanager
async def serve_metrics(host: str, port: int) -> AsyncGenerator[None]:
    """Answer every request with all figures; port 0 serves nothing."""
    if not port:
        yield
        return
    server = await asyncio.start_server(_answer, host, port)
    try:
        yield
    finally:
        server.close()


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        async with asyncio.timeout(_REQUEST_S_MAX):
            await reader.readuntil(b"\r\n\r\n")
            body = render_metrics()
            writer.write(
                b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n"
                b"Content-Length: %d\r\nConnection: close\r\n\r\n" % len(body)
            )
            writer.write(body)
            await writer.drain()
    except (TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError):
        pass  # whoever asked has gone, or asked for nothing
    finally:
        writer.close()
