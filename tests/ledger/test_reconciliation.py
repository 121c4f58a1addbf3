"""Trial balances."""

from ledger import Phase, Transfer
from ledger.chart import AccountCode, house_account_id
from ledger.reconciliation import trial_balance

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


async def test_a_book_that_lost_one_side_is_found(memory_ledger):
    await memory_ledger.create_transfers(STORY)
    memory_ledger._book.accounts[PAID].debits_posted -= 1
    assert not (await trial_balance(memory_ledger, NUMBER)).is_balanced


async def test_an_empty_ledger_is_balanced(memory_ledger):
    trial = await trial_balance(memory_ledger, 999)
    assert (trial.is_balanced, trial.lines) == (True, ())
