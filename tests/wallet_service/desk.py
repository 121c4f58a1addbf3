"""A desk at which operations are judged as in the committer, without any database.

Rows are kept in dictionaries, and the book in memory. Every judgement is checked against the book:
what the decision says of grants, holds and overage must be what the ledger says after the
transfers were played into it, and a refusal must leave no trace at all.
"""

from collections import Counter
from collections.abc import Coroutine, Sequence
from copy import deepcopy
from datetime import datetime, timedelta
from decimal import Decimal
from hashlib import blake2b
from typing import Any, TypeVar
from uuid import UUID

import msgspec

from ledger import chart, ids
from ledger.chart import AccountCode
from ledger.engines.memory import MemoryLedger
from ledger.transfers import Phase
from rating.totals import ZERO_TOTAL
from tests.wallet_service.rows import NOON, ORGANIZATION, Rows
from wallet_service.customer_balances import accounts_of, apply_balances
from wallet_service.decision import (
    Asset,
    Command,
    Done,
    Effect,
    LockedState,
    Operation,
    Outcome,
    Refused,
    Waits,
    decide,
)
from wallet_service.decision.budget_state import BucketState, BudgetKey
from wallet_service.decision.budget_windows import EPOCH, kept_s
from wallet_service.decision.budgets import buckets_of
from wallet_service.decision.commands import (
    AMOUNT_CODE,
    Authorize,
    Capture,
    CloseGrant,
    CreateWallet,
    Debit,
    Expire,
    ExpireGrant,
    Extend,
    Fail,
    Funding,
    Item,
    MoveCredits,
    Pricing,
    Refund,
    Reverse,
    Settle,
    UpdateWallet,
    Void,
)
from wallet_service.decision.state import (
    NIL,
    overage_account,
)
from wallet_service.errors import WalletError

USD = Asset("USD", 0, 7)
TOKEN = Asset("TOKEN", 0, 8, is_unit=True)

Answer = TypeVar("Answer")


def at_once(work: Coroutine[Any, Any, Answer]) -> Answer:
    """What a coroutine returns that never waits, such as the memory engine's."""
    try:
        work.send(None)
    except StopIteration as done:
        return done.value
    raise AssertionError("it waits for something")


def customer_id(name: str) -> UUID:
    return UUID(int=ids.hash128(ORGANIZATION, name))


def hash_of(text: str) -> bytes:
    return blake2b(text.encode(), digest_size=16).digest()


def items_of(usage: int | dict[str, int] | Sequence[Item]) -> tuple[Item, ...]:
    """Usage of some metrics at given amounts, or of the built-in metric."""
    if isinstance(usage, int):
        return (Item(AMOUNT_CODE, {}, amount_minor=usage),)
    if isinstance(usage, dict):
        return tuple(Item(code, {}, amount_minor=amount) for code, amount in usage.items())
    return tuple(usage)


class Desk:
    """Judges, plays what was judged into the book, keeps the rows, and compares."""

    def __init__(self, *, is_atomic: bool = True) -> None:
        self.now = NOON
        self.is_atomic = is_atomic
        self.rows = Rows()
        self.book = MemoryLedger(clock=lambda: int(self.now.timestamp() * 1e9))
        self.names: dict[UUID, str] = {}
        self.ids: dict[str, UUID] = {}
        self.customers = [customer_id("acme")]
        self.outcome: Outcome | None = None
        self._count = 0
        for asset in (USD, TOKEN):
            accounts = chart.house_accounts(ledger=asset.ledger, asset_code=asset.code)
            at_once(self.book.create_accounts(accounts))

    def pass_time(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    # -- judging ---------------------------------------------------------------------------------

    def operation(
        self, command: Command, *, key: str | None = None, customer: str = "acme", body: str = ""
    ) -> Operation:
        self._count += 1
        milliseconds = int(self.now.timestamp() * 1000)
        made = UUID(int=milliseconds << 80 | 7 << 76 | 2 << 62 | self._count)
        kind = type(command).__struct_config__.tag
        text = body or repr(command)
        return Operation(
            ORGANIZATION,
            str(kind),
            key or str(made),
            made,
            customer_id(customer),
            hash_of(text),
            command,
        )

    def state(self) -> LockedState:
        """Read everything as under lock."""
        customers = {(ORGANIZATION, one): self.rows.customer(one) for one in self.customers}
        accounts = accounts_of(customers.values(), {"USD", "TOKEN"})
        balances = at_once(self.book.balances(accounts))
        apply_balances(customers.values(), {"USD", "TOKEN"}, balances)
        return LockedState(self.now, customers, dict(self.rows.keys))

    def judge(self, *operations: Operation) -> list[Outcome]:
        """Judge one batch, play it into the book, write the rows, and compare all three."""
        state = self.state()
        state.budgets = self._buckets(operations, state)
        whole = decide(operations, deepcopy(state), is_atomic=self.is_atomic)
        outcomes: list[Outcome] = []
        for operation in operations:
            before = snapshot_of(state)
            (outcome,) = decide([operation], state, is_atomic=self.is_atomic)
            if not isinstance(outcome, Done):
                assert snapshot_of(state) == before, f"a refusal left a trace: {operation.command}"
            outcomes.append(outcome)
        assert [_plain(one) for one in whole] == [_plain(one) for one in outcomes]
        for outcome in outcomes:
            if isinstance(outcome, Done):
                self._play(outcome.effect)
        self._check_balances(state)
        for outcome in outcomes:
            if isinstance(outcome, Done):
                self.rows.write(outcome.effect)
        self._check_budgets(state)
        for place, known in state.keys.items():
            state_then = "posted" if known.state == "open" else known.state
            self.rows.keys[place] = msgspec.structs.replace(known, state=state_then)
        self.check_book()
        self.outcome = outcomes[-1]
        self.pass_time(0.001)
        return outcomes

    def do(self, command: Command, **place: Any) -> Any:
        """Judge one command and give its reply; raises its refusal."""
        (outcome,) = self.judge(self.operation(command, **place))
        if isinstance(outcome, Refused):
            raise outcome.error
        assert not isinstance(outcome, Waits), outcome
        return msgspec.json.decode(outcome.reply)

    def refusal(self, command: Command, **place: Any) -> WalletError:
        """The error with which a command is refused."""
        (outcome,) = self.judge(self.operation(command, **place))
        assert isinstance(outcome, Refused), outcome
        return outcome.error

    def _play(self, effect: Effect) -> None:
        opened = at_once(self.book.create_accounts(effect.accounts))
        assert all(result.ok for result in opened), opened
        results = at_once(self.book.create_transfers(effect.transfers))
        assert all(str(result.status) == "created" for result in results), [
            (str(result.status), transfer)
            for result, transfer in zip(results, effect.transfers, strict=True)
        ]

    # -- the oracle ------------------------------------------------------------------------------

    def _check_balances(self, state: LockedState) -> None:
        """What the decision believes is what the book says."""
        for customer in state.customers.values():
            for grant in customer.grants:
                balance = at_once(self.book.balances([grant.account_id]))[grant.account_id]
                stands = balance.credits_posted - balance.debits_posted - balance.debits_pending
                assert (grant.available, grant.held) == (stands, balance.debits_pending), grant
                assert stands >= 0
            for code, amount in customer.overage.items():
                assert amount == self.overage_of(customer.customer_id, code)

    def _buckets(
        self, operations: Sequence[Operation], state: LockedState
    ) -> dict[BudgetKey, BucketState]:
        """The buckets that these may move, as they would be read under lock."""
        found: dict[BudgetKey, BucketState] = {}
        for operation in operations:
            customer = state.customers[operation.customer] if operation.customer else None
            for key in buckets_of(operation.command, customer):
                bucket = self.rows.bucket(key)
                if bucket is not None:
                    found[key] = deepcopy(bucket)
        return found

    def _check_budgets(self, state: LockedState) -> None:
        """Moved row by row it comes to the same; and it is what holds and events say."""
        for key, bucket in state.budgets.items():
            stored = self.rows.bucket(key)
            stored.raised, stored.raised_in = bucket.raised, bucket.raised_in
            assert stored == bucket
        held: Counter[BudgetKey] = Counter()
        spent: Counter[tuple[BudgetKey, datetime]] = Counter()
        parts = [part for hold in self.rows.holds.values() for part in hold.budgets]
        parts += [one.part for one in self.rows.event_budgets]
        for part in parts:
            if part.starts_at is None:
                held[part.key] += part.amount_minor
            else:
                spent[part.key, part.starts_at] += part.amount_minor
        for key, bucket in self.rows.buckets.items():
            if key.budget_id in self.rows.budgets:
                assert bucket.held == held[key]
                seconds = kept_s(bucket.terms.window)
                oldest = EPOCH if seconds is None else self.now - timedelta(seconds=seconds)
                assert {at: one for at, one in bucket.spent.items() if one and at >= oldest} == {
                    at: one
                    for (place, at), one in spent.items()
                    if place == key and one and at >= oldest
                }
        for hold in self.rows.holds.values():
            for part in hold.budgets:
                assert part.starts_at is not None or part.amount_minor <= hold.held_minor

    def check_book(self) -> None:
        """Both sides are equal; the book's live pending transfers are the legs of the holds."""
        for asset in (USD, TOKEN):
            pairs = at_once(self.book.ledger_accounts(asset.ledger, limit=8_000))
            for side in ("posted", "pending"):
                debited = sum(getattr(balance, f"debits_{side}") for _, balance in pairs)
                credited = sum(getattr(balance, f"credits_{side}") for _, balance in pairs)
                assert debited == credited
        live = {
            transfer.id: (transfer.debit_account_id, transfer.amount)
            for transfer in self.book._book.transfers.values()
            if transfer.phase is Phase.PENDING and transfer.id not in self.book._book.ended
        }
        legs = [leg for hold in self.rows.holds.values() for leg in hold.legs]
        assert live == {leg.transfer_id.int: (leg.grant_id.int, leg.amount_minor) for leg in legs}
        assert len(live) == len(legs)
        for hold in self.rows.holds.values():
            assert hold.status == "held" or not hold.legs
            assert hold.captured_minor == sum(entry.amount_minor for entry in hold.paid)
            assert hold.refunded_minor == sum(entry.refunded_minor for entry in hold.paid)
            owed = sum(entry.amount_minor for entry in hold.paid if entry.grant_id == NIL)
            assert hold.overage_minor == owed
        for _, row in self.rows.events.values():
            if row.rating_status == "rated" and not row.transaction_id.startswith("authorization:"):
                paid = sum(entry.amount_minor for entry in row.paid)
                assert paid == sum(line.amount_minor for line in row.lines)

    def overage_of(self, customer: UUID, code: str) -> int:
        account = overage_account(ORGANIZATION, customer, code)
        balance = at_once(self.book.balances([account])).get(account)
        return 0 if balance is None else balance.debits_posted - balance.credits_posted

    def balance_of(self, grant_id: UUID) -> int:
        """What a grant's account holds, spendable or held."""
        balance = at_once(self.book.balances([grant_id.int]))[grant_id.int]
        return balance.credits_posted - balance.debits_posted

    def house(self, code: AccountCode, detail: str = "", *, asset: Asset = USD) -> int:
        """What an account of the house stands at, on the side on which it grows."""
        account = chart.house_account_id(ledger=asset.ledger, code=code, detail=detail)
        balance = at_once(self.book.balances([account]))[account]
        net = balance.credits_posted - balance.debits_posted
        return net if chart.NATURE[code] is chart.Side.CREDIT else -net

    def show(self, customer: str = "acme") -> str:
        """The book in a line: what each grant has and holds, in burn order, and what is owed."""
        state = self.state().customers[ORGANIZATION, customer_id(customer)]
        parts = [
            f"{self.names.get(grant.id, grant.kind)} {grant.available}"
            + (f" held {grant.held}" if grant.held else "")
            for grant in state.grants
        ]
        owed = self.overage_of(customer_id(customer), "USD")
        return " | ".join(parts + ([f"overage {owed}"] if owed else []))

    # -- short words -----------------------------------------------------------------------------

    def wallet(
        self,
        name: str = "main",
        *,
        customer: str = "acme",
        asset: Asset = USD,
        priority: int = 25,
        codes: Sequence[str] = (),
        fee_types: Sequence[str] = (),
        on_shortfall: str = "overage",
        overdraft: int = 0,
        expires_in_s: float | None = None,
        fundings: Sequence[Funding] = (),
    ) -> UUID:
        """Open a wallet."""
        if customer_id(customer) not in self.customers:
            self.customers.append(customer_id(customer))
        wallet_id = UUID(int=ids.hash128("wallet", customer, name))
        self.do(
            CreateWallet(
                wallet_id=wallet_id,
                external_customer_id=customer,
                asset=asset,
                code=name,
                name=name,
                rate_amount=Decimal(1),
                priority=priority,
                fee_types=tuple(fee_types),
                billable_metric_codes=tuple(codes),
                on_shortfall=on_shortfall,
                overdraft_limit_minor=overdraft,
                expiration_at=self.later(expires_in_s),
                metadata={},
                fundings=tuple(fundings),
            ),
            customer=customer,
        )
        self.ids[name] = wallet_id
        return wallet_id

    def later(self, seconds: float | None) -> datetime | None:
        return None if seconds is None else self.now + timedelta(seconds=seconds)

    def grant(
        self,
        name: str,
        amount: int,
        *,
        wallet: str = "main",
        customer: str = "acme",
        asset: Asset = USD,
        kind: str = "paid",
        priority: int = 25,
        expires_in_s: float | None = None,
    ) -> UUID:
        """Fund a wallet, and call the grant by a name."""
        known = set(self.rows.grants)
        funding = Funding(
            kind, amount, Decimal(amount), priority, expires_at=self.later(expires_in_s)
        )
        self.do(MoveCredits(self.ids[wallet], asset, (funding,)), customer=customer)
        (made,) = set(self.rows.grants) - known
        self.names[made], self.ids[name] = name, made
        return made

    def authorize(
        self,
        usage: int | dict[str, int] | Sequence[Item],
        *,
        asset: Asset = USD,
        expires_in_s: int = 600,
        partial: bool = False,
        pricing: Pricing | None = None,
        **place: Any,
    ) -> UUID:
        """Hold; gives the authorization's id, or raises."""
        command = Authorize(
            "acme", "call", asset, items_of(usage), expires_in_s, pricing, partial=partial
        )
        return UUID(self.do(command, **place)["authorization"]["id"])

    def capture(
        self,
        hold: UUID,
        usage: int | dict[str, int] | Sequence[Item] | None = None,
        *,
        final: bool = True,
        asset: Asset = USD,
        pricing: Pricing | None = None,
        transaction_id: str | None = None,
        **place: Any,
    ) -> Any:
        """Settle; the reply."""
        items = None if usage is None else items_of(usage)
        command = Capture(hold, transaction_id, asset, items, final, pricing)
        place.setdefault("key", transaction_id or str(hold))
        return self.do(command, **place)["authorization"]

    def extend(
        self,
        hold: UUID,
        usage: int | dict[str, int] = (),  # type: ignore[assignment]
        *,
        expires_in_s: int | None = None,
        **place: Any,
    ) -> Any:
        command = Extend(hold, USD, items_of(usage), expires_in_s)
        return self.do(command, **place)["authorization"]

    def void(self, hold: UUID, **place: Any) -> Any:
        place.setdefault("key", str(hold))
        return self.do(Void(hold, USD), **place)["authorization"]

    def expire(self, hold: UUID, **place: Any) -> Any:
        return self.do(Expire(hold, USD), **place)["authorization"]

    def refund(self, hold: UUID, amount: int | None = None, **place: Any) -> Any:
        return self.do(Refund(hold, USD, "refund", amount), **place)["authorization"]

    def debit_command(
        self,
        usage: int | dict[str, int] | Sequence[Item],
        *,
        asset: Asset = USD,
        pricing: Pricing | None = None,
        name: str = "",
    ) -> Debit:
        (item,) = items_of(usage)
        self._count += 1
        name = name or f"event-{self._count}"
        event_id = UUID(int=ids.hash128("event", name))
        return Debit(event_id, name, item.code, {}, None, "acme", None, item, asset, pricing)

    def debit(self, usage: int | dict[str, int] | Sequence[Item], **more: Any) -> UUID:
        """Charge an event at once; gives its id."""
        place = {name: more.pop(name) for name in ("key", "customer") if name in more}
        command = self.debit_command(usage, **more)
        return UUID(self.do(command, **place)["event"]["lago_id"])

    def reverse(self, event_id: UUID, amount: int | None = None, **place: Any) -> Any:
        return self.do(Reverse(event_id, "reversal", USD, amount), **place)["event"]

    def change(self, wallet: str = "main", *, asset: Asset = USD, **changes: Any) -> None:
        customer = changes.pop("customer", "acme")
        command = UpdateWallet(wallet_id=self.ids[wallet], asset=asset, changes=changes)
        self.do(command, customer=customer)

    def expire_grant(self, name: str) -> Any:
        return self.do(ExpireGrant(self.ids[name], USD))

    def close_grant(self, name: str) -> Any:
        return self.do(CloseGrant(self.ids[name], USD))

    def purchase(self, amount: int, *, wallet: str = "main") -> UUID:
        """Buy credits that wait for their payment; gives the wallet transaction's id."""
        funding = Funding("paid", amount, Decimal(amount), 25, settled=False)
        reply = self.do(MoveCredits(self.ids[wallet], USD, (funding,)))
        return UUID(reply["wallet_transactions"][0]["lago_id"])

    def settle(self, transaction_id: UUID, **place: Any) -> Any:
        return self.do(Settle(transaction_id, USD, "manual"), **place)

    def fail(self, transaction_id: UUID, **place: Any) -> Any:
        return self.do(Fail(transaction_id, USD), **place)

    def void_credits(self, amount: int, *, wallet: str = "main") -> Any:
        command = MoveCredits(
            self.ids[wallet], USD, (), voided_minor=amount, voided_credits=Decimal(amount)
        )
        return self.do(command)


def snapshot_of(state: LockedState) -> Any:
    """Everything a decision may not touch when it refuses; a total of nothing is no total."""
    copy = deepcopy(state.customers)
    for customer in copy.values():
        customer.totals = {key: one for key, one in customer.totals.items() if one != ZERO_TOTAL}
    return copy, deepcopy(state.budgets)


def _plain(outcome: Outcome) -> Any:
    if isinstance(outcome, Refused):
        return (str(outcome.error), outcome.error.details, outcome.attempt, outcome.is_recorded)
    return deepcopy(outcome)
