"""Short words for the tests of the book."""

from ledger import Account, AccountFlags, Balance, Ledger, Phase, Transfer, TransferStatus
from ledger.ids import hash128

GRANT = AccountFlags.DEBITS_MUST_NOT_EXCEED_CREDITS
OVERAGE = AccountFlags.CREDITS_MUST_NOT_EXCEED_DEBITS


class Book:
    """One ledger of an engine, with accounts and transfers called by names."""

    def __init__(self, ledger: Ledger, number: int) -> None:
        self.ledger = ledger
        self.number = number

    def id(self, name: str) -> int:
        return hash128(self.number, name) if name else 0

    def account(self, name: str, flags: AccountFlags = AccountFlags.NONE, **more) -> Account:
        fields = {"id": self.id(name), "ledger": self.number, "code": 1, "flags": flags}
        return Account(**fields | more)

    def transfer(self, name: str, debit: str = "", credit: str = "", amount: int = 0, **more):
        return Transfer(
            **{
                "id": self.id(name),
                "debit_account_id": self.id(debit),
                "credit_account_id": self.id(credit),
                "amount": amount,
                "ledger": self.number,
                "code": 3,
            }
            | more
        )

    def hold(self, name: str, debit: str, credit: str, amount: int, **more):
        return self.transfer(name, debit, credit, amount, **{"phase": Phase.PENDING} | more)

    def post(self, name: str, hold: str, amount: int, **more):
        return self._end(name, hold, amount, Phase.POST, more)

    def void(self, name: str, hold: str, amount: int = 0, **more):
        return self._end(name, hold, amount, Phase.VOID, more)

    def _end(self, name, hold, amount, phase, more):
        nothing = {"ledger": 0, "code": 0, "phase": phase, "pending_id": self.id(hold)}
        return self.transfer(name, amount=amount, **nothing | more)

    async def open(self, *accounts: Account) -> None:
        results = await self.ledger.create_accounts(accounts)
        assert all(result.ok for result in results), results

    async def book(self, *transfers: Transfer) -> list[str]:
        """Book them and say what became of each."""
        return [str(result.status) for result in await self.ledger.create_transfers(transfers)]

    async def balance(self, name: str) -> Balance:
        return (await self.ledger.balances([self.id(name)]))[self.id(name)]

    async def sums(self, name: str) -> tuple[int, int, int, int]:
        """Debits pending and posted, credits pending and posted."""
        balance = await self.balance(name)
        return (
            balance.debits_pending,
            balance.debits_posted,
            balance.credits_pending,
            balance.credits_posted,
        )


OK = str(TransferStatus.CREATED)
EXISTS = str(TransferStatus.EXISTS)
