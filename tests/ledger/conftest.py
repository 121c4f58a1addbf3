"""A memory book with the house's accounts and a customer's, and a clock of its own."""

import pytest

from ledger.chart import AccountCode, customer_account, house_accounts
from ledger.engines import open_ledger
from ledger.engines.memory import MemoryLedger

NUMBER = 7


class LedgerClock:
    """Nanoseconds that pass only when told to."""

    def __init__(self) -> None:
        self.now = 1_700_000_000_000_000_000

    def __call__(self) -> int:
        return self.now

    def advance(self, seconds: int) -> None:
        self.now += seconds * 1_000_000_000


@pytest.fixture
def ledger_clock() -> LedgerClock:
    return LedgerClock()


@pytest.fixture
async def memory_ledger(ledger_clock: LedgerClock) -> MemoryLedger:
    ledger = open_ledger("memory", clock=ledger_clock)
    await ledger.create_accounts(
        house_accounts(ledger=NUMBER, asset_code="USD", providers=("stripe",))
        + [
            customer_account(account_id=account_id, ledger=NUMBER, code=code)
            for account_id, code in (
                (101, AccountCode.GRANT_PAID),
                (102, AccountCode.GRANT_PROMOTIONAL),
                (103, AccountCode.OVERDRAFT),
                (104, AccountCode.OVERAGE),
            )
        ]
    )
    return ledger
