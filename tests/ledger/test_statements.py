"""Statements: each line's balance is the one of its moment, page by page."""

from itertools import pairwise

import pytest

from ledger import Phase, Transfer, UnknownAccount
from ledger.chart import AccountCode, house_account_id
from ledger.statements import balance_after, replay, statement

NUMBER, PAID = 7, 101
REVENUE = house_account_id(ledger=NUMBER, code=AccountCode.REVENUE)
PAYMENTS = house_account_id(ledger=NUMBER, code=AccountCode.PAYMENTS, detail="stripe")


def move(number, debit, credit, amount, **more):
    return Transfer(
        id=number,
        debit_account_id=debit,
        credit_account_id=credit,
        amount=amount,
        ledger=NUMBER,
        code=1,
        **more,
    )


@pytest.fixture
async def history(memory_ledger, ledger_clock):
    """100 in, 30 held and 20 of it used, 10 held for a second and never captured, 5 used."""
    for transfer in (
        move(1, PAYMENTS, PAID, 100),
        move(2, PAID, REVENUE, 30, phase=Phase.PENDING),
        move(3, PAID, REVENUE, 20, phase=Phase.POST, pending_id=2),
        move(4, PAID, REVENUE, 10, phase=Phase.PENDING, timeout_s=1),
    ):
        (result,) = await memory_ledger.create_transfers([transfer])
        assert result.ok
    ledger_clock.advance(2)
    assert await memory_ledger.release_expired(limit=10) == 1
    await memory_ledger.create_transfers([move(5, PAID, REVENUE, 5)])
    return memory_ledger


def lines(page):
    return [
        (line.transfer.id, line.is_debit, line.balance.credit_balance, line.balance.held)
        for line in page.lines
    ]


async def test_a_statement_tells_the_balance_after_each_line(history):
    page = await statement(history, PAID)
    assert lines(page) == [
        (1, False, 100, 0),
        (2, True, 100, 30),
        (3, True, 80, 0),
        (4, True, 80, 10),
        (5, True, 75, 0),
    ]
    assert page.opening.same_sums(await history.balance_at(PAID, timestamp=1))
    assert page.closing.same_sums((await history.balances([PAID]))[PAID])
    assert page.next_timestamp is None


async def test_pages_of_a_statement_fit_together(history):
    whole = await statement(history, PAID)
    pages = [await statement(history, PAID, limit=2)]
    while (since := pages[-1].next_timestamp) is not None:
        pages.append(await statement(history, PAID, since_timestamp=since, limit=2))
    assert [each for page in pages for each in lines(page)] == lines(whole)
    assert len(pages) == 3
    for earlier, later in pairwise(pages):
        if not earlier.closing.same_sums(later.opening):
            assert earlier.closing.held == 10, "only the expiry lies between two pages"


async def test_a_statement_is_whole_where_the_engine_gives_less_at_once(history, monkeypatch):
    whole = await statement(history, PAID)
    account_transfers = history.account_transfers

    async def two_at_once(account_id, /, *, limit, **bounds):
        return await account_transfers(account_id, limit=min(limit, 2), **bounds)

    monkeypatch.setattr(history, "account_transfers", two_at_once)
    assert lines(await statement(history, PAID)) == lines(whole)
    first = await statement(history, PAID, limit=4)
    assert first.next_timestamp == whole.lines[4].transfer.timestamp


async def test_a_statement_of_the_house_is_told_from_its_side(history):
    page = await statement(history, REVENUE)
    assert [(line.transfer.id, line.is_debit) for line in page.lines] == [
        (2, False),
        (3, False),
        (4, False),
        (5, False),
    ]
    assert page.closing.credit_balance == 25


async def test_a_statement_without_lines_still_has_a_balance(history):
    page = await statement(history, PAID, since_timestamp=2**62)
    assert (page.lines, page.closing.credit_balance) == ((), 75)


async def test_there_is_no_statement_of_an_unknown_account(history):
    with pytest.raises(UnknownAccount):
        await statement(history, 999)


async def test_a_replay_gives_back_holds_that_timed_out(history):
    transfers = await history.account_transfers(PAID)
    expiry = transfers[3].timestamp + 1_000_000_000
    held = balance_after(PAID, replay(transfers[:4], now=expiry - 1), timestamp=expiry - 1)
    assert held.held == 10
    given_back = balance_after(PAID, replay(transfers[:4], now=expiry), timestamp=expiry)
    assert given_back.held == 0
    assert given_back.credit_balance == 80
