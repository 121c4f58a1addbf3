"""When a batch leaves."""

import asyncio

import pytest

from tests.waiting import PATIENCE_S
from wallet_service import batch_gathering
from wallet_service.batch_gathering import Gathering


@pytest.fixture
def is_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that stands still for a second is no batch that hangs, and nobody who is gone."""
    monkeypatch.setattr(batch_gathering, "_PATIENCE_S", 2 * PATIENCE_S)
    monkeypatch.setattr(batch_gathering, "_RETURN_S", 2 * PATIENCE_S)
    monkeypatch.setattr(batch_gathering, "_NAP_S", 0.03)


async def _leaves(gathering: Gathering, queue: list[int]) -> bool:
    """Whether a batch would leave within some turns of the loop."""
    waiting = asyncio.create_task(gathering.wait(queue))
    for _ in range(20):
        await asyncio.sleep(0)
    has_left = waiting.done()
    waiting.cancel()
    return has_left


async def test_who_is_alone_leaves_at_once():
    assert await _leaves(Gathering(size_max=256), [1])


@pytest.mark.usefixtures("is_slow")
async def test_few_wait_for_the_batch_under_way_and_many_do_not():
    gathering = Gathering(size_max=256)
    gathering.begin()
    assert not await _leaves(gathering, [1] * 63)
    assert await _leaves(gathering, [1] * 64)


@pytest.mark.usefixtures("is_slow")
async def test_those_who_wait_leave_when_the_batch_before_was_answered():
    gathering, queue = Gathering(size_max=256), [1]
    gathering.begin()
    waiting = asyncio.create_task(gathering.wait(queue))
    for _ in range(20):
        await asyncio.sleep(0)
    assert not waiting.done()
    gathering.end(answered=1)
    await asyncio.wait_for(waiting, PATIENCE_S)


@pytest.mark.usefixtures("is_slow")
async def test_those_who_were_just_answered_are_waited_for_but_not_long():
    gathering, queue = Gathering(size_max=256), [1]
    gathering.begin()
    gathering.end(answered=8)
    waiting = asyncio.create_task(gathering.wait(queue))
    for _ in range(20):
        await asyncio.sleep(0)
    assert not waiting.done()
    queue.extend([1] * 7)
    await asyncio.wait_for(waiting, PATIENCE_S)
    await asyncio.wait_for(gathering.wait([1]), PATIENCE_S)


async def test_a_batch_that_hangs_keeps_nobody_waiting():
    gathering = Gathering(size_max=256)
    gathering.begin()
    await asyncio.wait_for(gathering.wait([1]), PATIENCE_S)
