"""A worker that runs alone shows its own figures."""

import httpx

from tests.ports import free_ports
from wallet_service.jobs import measures  # noqa: F401 (the figures)
from wallet_service.jobs.metrics_door import serve_metrics


async def test_the_worker_shows_its_figures():
    (port,) = free_ports(1)
    async with serve_metrics("127.0.0.1", port), httpx.AsyncClient(timeout=60) as client:
        answer = await client.get(f"http://127.0.0.1:{port}/metrics")
    assert answer.status_code == 200
    assert "wallet_worker_leads" in answer.text
