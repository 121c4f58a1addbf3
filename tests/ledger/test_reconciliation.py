"""Trial balances, and the search for where two books part."""

from ledger import Phase, Transfer
from ledger.chart import AccountCode, customer_account, house_account_id, house_accounts
from ledger.engines import open_ledger
from ledger.reconciliation import difference, stored_difference, trial_balance

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


STORY = [
    move(1, PAYMENTS, PAID, 100),
    move(2, PAID, REVENUE, 30, phase=Phase.PENDING),
    move(3, PAID, REVENUE, 20),
]


async def test_debits_equal_credits_and_each_kind_has_its_line(memory_ledger):
    await memory_ledger.create_transfers(STORY)
    trial = await trial_balance(memory_ledger, NUMBER)
    assert trial.is_balanced
    assert (trial.total.debits_posted, trial.total.debits_pending) == (120, 30)
    by_code = {line.code: line for line in trial.lines}
    assert by_code[AccountCode.REVENUE].balance.credit_balance == 20
    assert by_code[AccountCode.GRANT_PAID].accounts == 1
    assert await stored_difference(memory_ledger, NUMBER) == []


async def test_a_book_that_lost_one_side_is_found(memory_ledger):
    await memory_ledger.create_transfers(STORY)
    memory_ledger._book.accounts[PAID].debits_posted -= 1
    assert not (await trial_balance(memory_ledger, NUMBER)).is_balanced
    (found,) = await stored_difference(memory_ledger, NUMBER)
    assert (found.account_id, found.one.debits_posted, found.other.debits_posted) == (PAID, 19, 20)


async def test_an_empty_ledger_is_balanced(memory_ledger):
    trial = await trial_balance(memory_ledger, 999)
    assert (trial.is_balanced, trial.lines) == (True, ())


async def test_two_books_of_one_story_do_not_differ_until_one_hears_more(
    memory_ledger, ledger_clock
):
    other = open_ledger("memory", clock=ledger_clock)
    await other.create_accounts(
        house_accounts(ledger=NUMBER, asset_code="USD", providers=("stripe",))
    )
    grants = [
        customer_account(account_id=account_id, ledger=NUMBER, code=code)
        for account_id, code in (
            (101, AccountCode.GRANT_PAID),
            (102, AccountCode.GRANT_PROMOTIONAL),
            (103, AccountCode.OVERDRAFT),
        )
    ]
    await other.create_accounts(grants)
    await memory_ledger.create_transfers(STORY)
    await other.create_transfers(STORY)
    (missing,) = await difference(memory_ledger, other, NUMBER)
    assert (missing.account_id, missing.other) == (104, None)
    await other.create_accounts(
        [customer_account(account_id=104, ledger=NUMBER, code=AccountCode.OVERAGE)]
    )
    assert await difference(memory_ledger, other, NUMBER) == []
    await other.create_transfers([move(4, PAID, REVENUE, 1)])
    found = await difference(memory_ledger, other, NUMBER)
    assert {each.account_id for each in found} == {PAID, REVENUE}
