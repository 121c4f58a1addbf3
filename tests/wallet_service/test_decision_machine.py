"""Random commands, judged in batches: the book, the rows and the decisions stay one.

What is checked after every batch stands in `tests.wallet_service.desk`: the ledger's balances are
the state's, no refusal leaves a trace, the legs of all holds are the live pending transfers.
"""

import os
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from ledger import ids
from ledger.chart import AccountCode
from rating.charge_models import Package, Percentage
from rating.rate_cards import Line
from tests.rating.playing import bucket
from tests.wallet_service.desk import USD, Desk, customer_id
from tests.wallet_service.rows import NOON, ORGANIZATION
from wallet_service.decision import Command, Done, Operation
from wallet_service.decision.commands import (
    Authorize,
    Capture,
    CloseGrant,
    CreateWallet,
    Cycle,
    Debit,
    Expire,
    ExpireGrant,
    Extend,
    Fail,
    Funding,
    Item,
    MoveCredits,
    PricedLine,
    Pricing,
    Refund,
    Reverse,
    Settle,
    UpdateWallet,
    Void,
)
from wallet_service.decision.state import NIL

CUSTOMERS = ("acme", "globex")
CODES = ("calls", "tokens", "images")
MODELS = {
    "calls": Package(amount=Decimal(3), package_size=10, free_units=2),
    "tokens": Percentage(rate=Decimal(10), fixed_amount=Decimal(1), free_units_per_events=1),
    "images": Package(amount=Decimal("0.5"), package_size=1, free_units=0),
}

customers = st.sampled_from(CUSTOMERS)
amounts = st.integers(0, 60)
times = st.none() | st.integers(1, 120)
restrictions = st.lists(st.sampled_from(CODES), max_size=2, unique=True).map(tuple)


def subscription(customer: str) -> Pricing:
    return Pricing(
        UUID(int=ids.hash128("subscription", customer)),
        customer,
        UUID(int=1),
        Cycle("monthly", "calendar", NOON),
    )


@st.composite
def items(draw: st.DrawFn) -> Item:
    code = draw(st.sampled_from(CODES))
    if draw(st.booleans()):
        return Item(code, {}, amount_minor=draw(amounts))
    charge_id = UUID(int=ids.hash128("charge", code))
    line = Line(
        bucket(MODELS[code], charge_id=charge_id, code=code), Decimal(draw(st.integers(0, 30)))
    )
    return Item(code, {}, (PricedLine(line, None),))


usage = st.lists(items(), min_size=1, max_size=3).map(tuple)


class Shop(RuleBasedStateMachine):
    """Operations are put on the desk by rules, and judged together once there are some."""

    def __init__(self) -> None:
        super().__init__()
        self.desk = Desk()
        self.waiting: list[Operation] = []
        self.past: list[Operation] = []
        self.replies: dict[tuple[UUID, str, str], bytes] = {}
        self.ended: set[UUID] = set()

    @initialize(overdraft=st.integers(0, 20), grants=st.lists(st.integers(1, 100), max_size=2))
    def open(self, overdraft: int, grants: list[int]) -> None:
        for customer in CUSTOMERS:
            self.desk.wallet(customer=customer, overdraft=overdraft)
            for position, amount in enumerate(grants):
                kind = "promotional" if position else "paid"
                self.desk.grant(f"{customer}-{position}", amount, customer=customer, kind=kind)

    # -- the desk --------------------------------------------------------------------------------

    def put(self, customer: str, command: Command) -> None:
        self.waiting.append(self.desk.operation(command, customer=customer))
        if len(self.waiting) >= 5:
            self.judge()

    def judge(self) -> None:
        outcomes = self.desk.judge(*self.waiting)
        for operation, outcome in zip(self.waiting, outcomes, strict=True):
            place = (operation.organization_id, operation.kind, operation.key)
            if isinstance(outcome, Done):
                assert place not in self.replies, "one key, one effect"
                self.replies[place] = outcome.reply
                self.past.append(operation)
        self.waiting = []

    @precondition(lambda self: self.waiting)
    @rule()
    def judge_batch(self) -> None:
        self.judge()

    @precondition(lambda self: self.past)
    @rule(data=st.data())
    def repeat(self, data: st.DataObject) -> None:
        """A key that is used again gets the same reply and moves nothing."""
        if self.waiting:
            self.judge()
        operation = data.draw(st.sampled_from(self.past[-8:]))
        book = len(self.desk.book._book.transfers)
        (outcome,) = self.desk.judge(operation)
        assert outcome.reply == self.replies[ORGANIZATION, operation.kind, operation.key]
        assert len(self.desk.book._book.transfers) == book

    @rule(seconds=st.integers(0, 90))
    def pass_time(self, seconds: int) -> None:
        if self.waiting:
            self.judge()
        self.desk.pass_time(seconds)

    # -- commands --------------------------------------------------------------------------------

    def some(self, data: st.DataObject, rows: dict[UUID, object]) -> UUID:
        return data.draw(st.sampled_from(list(rows)[-6:] or [NIL]))

    @rule(
        customer=customers,
        wanted=usage,
        expires=st.integers(1, 60),
        partial=st.booleans(),
    )
    def authorize(
        self, customer: str, wanted: tuple[Item, ...], expires: int, partial: bool
    ) -> None:
        pricing = subscription(customer)
        command = Authorize(customer, "call", USD, wanted, expires, pricing, partial)
        self.put(customer, command)

    def owner(self, hold: UUID) -> str:
        row = self.desk.rows.holds.get(hold)
        return next(
            (name for name in CUSTOMERS if row and row.customer_id == customer_id(name)), "acme"
        )

    @rule(data=st.data(), used=st.none() | usage, final=st.booleans())
    def capture(self, data: st.DataObject, used: tuple[Item, ...] | None, final: bool) -> None:
        hold = self.some(data, self.desk.rows.holds)
        customer = self.owner(hold)
        pricing = subscription(customer)
        key = f"capture-{len(self.past)}-{len(self.waiting)}"
        self.put(customer, Capture(hold, key, USD, used, final, pricing))

    @rule(data=st.data(), more=st.just(()) | usage, expires=times)
    def extend(self, data: st.DataObject, more: tuple[Item, ...], expires: int | None) -> None:
        hold = self.some(data, self.desk.rows.holds)
        customer = self.owner(hold)
        self.put(customer, Extend(hold, USD, more, expires, subscription(customer)))

    @rule(data=st.data(), is_void=st.booleans())
    def end(self, data: st.DataObject, is_void: bool) -> None:
        hold = self.some(data, self.desk.rows.holds)
        self.put(self.owner(hold), Void(hold, USD) if is_void else Expire(hold, USD))

    @rule(data=st.data(), amount=st.none() | amounts)
    def refund(self, data: st.DataObject, amount: int | None) -> None:
        hold = self.some(data, self.desk.rows.holds)
        self.put(self.owner(hold), Refund(hold, USD, "refund", amount))

    @rule(customer=customers, item=items())
    def debit(self, customer: str, item: Item) -> None:
        event_id = UUID(
            int=ids.hash128("event", len(self.past), len(self.waiting), str(self.desk.now))
        )
        pricing = subscription(customer)
        name = str(event_id)
        self.put(
            customer,
            Debit(event_id, name, item.code, {}, None, customer, None, item, USD, pricing),
        )

    @rule(data=st.data(), amount=st.none() | amounts)
    def reverse(self, data: st.DataObject, amount: int | None) -> None:
        charged = {
            event_id: owner
            for event_id, (owner, row) in self.desk.rows.events.items()
            if row.paid and row.reverses_event_id is None
        }
        event_id = self.some(data, charged)
        customer = next(
            (name for name in CUSTOMERS if charged.get(event_id) == customer_id(name)), "acme"
        )
        self.put(customer, Reverse(event_id, "reversal", USD, amount))

    @rule(
        customer=customers,
        name=st.sampled_from(["main", "spare", "narrow"]),
        priority=st.integers(1, 3),
        codes=restrictions,
        on_shortfall=st.sampled_from(["overage", "reject"]),
        overdraft=st.integers(0, 30),
        expires=times,
        amount=amounts,
    )
    def open_wallet(
        self,
        customer: str,
        name: str,
        priority: int,
        codes: tuple[str, ...],
        on_shortfall: str,
        overdraft: int,
        expires: int | None,
        amount: int,
    ) -> None:
        count = len(self.desk.rows.wallets), len(self.waiting)
        self.put(
            customer,
            CreateWallet(
                UUID(int=ids.hash128("wallet", customer, *count)),
                customer,
                USD,
                name,
                name,
                Decimal(1),
                priority,
                (),
                codes,
                on_shortfall,
                overdraft,
                self.desk.later(expires),
                {},
                (Funding("promotional", amount, Decimal(amount), 25),),
            ),
        )

    def any_wallet(self, data: st.DataObject, customer: str) -> UUID:
        mine = {
            wallet_id: row
            for wallet_id, (owner, row, _) in self.desk.rows.wallets.items()
            if owner == customer_id(customer)
        }
        return self.some(data, mine)

    @rule(
        data=st.data(),
        customer=customers,
        amount=amounts,
        kind=st.sampled_from(["paid", "promotional"]),
        priority=st.integers(1, 2),
        expires=times,
        settled=st.booleans(),
        voided=st.just(0) | amounts,
    )
    def move_credits(
        self,
        data: st.DataObject,
        customer: str,
        amount: int,
        kind: str,
        priority: int,
        expires: int | None,
        settled: bool,
        voided: int,
    ) -> None:
        funding = Funding(
            kind,
            amount,
            Decimal(amount),
            priority,
            expires_at=self.desk.later(expires),
            settled=settled or kind == "promotional",
        )
        wallet_id = self.any_wallet(data, customer)
        self.put(
            customer,
            MoveCredits(
                wallet_id, USD, (funding,), voided_minor=voided, voided_credits=Decimal(voided)
            ),
        )

    @rule(data=st.data(), customer=customers, succeeds=st.booleans())
    def answer_payment(self, data: st.DataObject, customer: str, succeeds: bool) -> None:
        mine = {
            row_id: row
            for row_id, (owner, row) in self.desk.rows.transactions.items()
            if owner == customer_id(customer) and row.status == "pending"
        }
        transaction_id = self.some(data, mine)
        self.put(
            customer,
            Settle(transaction_id, USD, "manual") if succeeds else Fail(transaction_id, USD),
        )

    @rule(
        data=st.data(),
        customer=customers,
        changes=st.fixed_dictionaries(
            {},
            optional={
                "frozen": st.booleans(),
                "priority": st.integers(1, 3),
                "overdraft_limit_minor": st.integers(0, 40),
                "on_shortfall": st.sampled_from(["overage", "reject"]),
                "billable_metric_codes": restrictions,
            },
        ),
        expires=times | st.just(-5),
        ends=st.integers(0, 9),
    )
    def update_wallet(
        self,
        data: st.DataObject,
        customer: str,
        changes: dict[str, object],
        expires: int | None,
        ends: int,
    ) -> None:
        if expires is not None:
            changes["expiration_at"] = self.desk.later(expires)
        if ends == 0:
            changes["status"] = "terminated"
        wallet_id = self.any_wallet(data, customer)
        self.put(customer, UpdateWallet(wallet_id=wallet_id, asset=USD, changes=changes))

    @rule(data=st.data(), customer=customers, closes=st.booleans())
    def put_away(self, data: st.DataObject, customer: str, closes: bool) -> None:
        mine = {
            grant_id: row
            for grant_id, (row, stands) in self.desk.rows.grants.items()
            if stands["is_open"]
            and self.desk.rows.wallets[row.wallet_id][0] == customer_id(customer)
        }
        grant_id = self.some(data, mine)
        command = CloseGrant(grant_id, USD) if closes else ExpireGrant(grant_id, USD)
        self.put(customer, command)

    # -- what always holds -----------------------------------------------------------------------

    @invariant()
    def a_hold_ends_once(self) -> None:
        for hold in self.desk.rows.holds.values():
            assert hold.id not in self.ended or hold.status != "held"
            if hold.status != "held":
                self.ended.add(hold.id)

    @invariant()
    def earned_is_what_was_charged_and_not_given_back(self) -> None:
        rows = self.desk.rows
        charged = sum(hold.captured_minor - hold.refunded_minor for hold in rows.holds.values())
        charged += sum(entry.amount_minor for _, row in rows.events.values() for entry in row.paid)
        assert self.desk.house(AccountCode.REVENUE) == charged

    @invariant()
    def a_credit_line_is_never_more_than_its_limit(self) -> None:
        for customer in CUSTOMERS:
            state = self.desk.rows.customer(customer_id(customer))
            for grant in state.grants:
                if grant.kind == "overdraft":
                    balance = self.desk.balance_of(grant.id)
                    assert balance <= grant.wallet.overdraft_limit_minor

    def teardown(self) -> None:
        if self.waiting:
            self.judge()


PROFILES = {
    "normal": settings(max_examples=60, stateful_step_count=40, deadline=None),
    "thorough": settings(max_examples=2_000, stateful_step_count=80, deadline=None),
}
"""How long it plays: `HYPOTHESIS_PROFILE=thorough` for a night, say."""


class TestShop(Shop.TestCase):
    settings = settings(
        PROFILES["thorough" if os.environ.get("HYPOTHESIS_PROFILE") == "thorough" else "normal"],
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )


if __name__ == "__main__":
    pytest.main([__file__])
