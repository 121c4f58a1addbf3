"""Random calls against budgets that customers share, judged in batches.

A hard budget is never passed by what is held and captured within its holds, in whatever window.
That counters are what holds and events say is checked after every batch, by the desk.
"""

from datetime import datetime, timedelta
from uuid import UUID

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from ledger import ids
from tests.wallet_service.desk import USD, Desk, customer_id
from wallet_service.decision import Command, Done, Operation
from wallet_service.decision.budget_alerts import spent_of
from wallet_service.decision.budget_state import BudgetKey, BudgetTerms, Threshold
from wallet_service.decision.budget_windows import Calendar, Rolling, Window
from wallet_service.decision.commands import (
    AMOUNT_CODE,
    Authorize,
    Capture,
    Debit,
    Expire,
    Extend,
    Item,
    Refund,
    Reverse,
    Void,
)
from wallet_service.decision.state import NIL

CUSTOMERS = ("acme", "globex")
LIMIT = 100
WINDOWS: dict[str, Window] = {
    "ever": None,
    "hour": Calendar(interval="hour"),
    "minute": Rolling(seconds=60),
}

customers = st.sampled_from(CUSTOMERS)
amounts = st.integers(0, 40)
wanted = st.lists(
    st.tuples(amounts, st.sets(st.sampled_from(sorted(WINDOWS)))), min_size=1, max_size=3
)


def key_of(name: str) -> BudgetKey:
    return BudgetKey(UUID(int=ids.hash128("budget", name)), is_wide=True)


def items_of(usage: list[tuple[int, set[str]]], *, tells_only: bool = False) -> tuple[Item, ...]:
    """Usage counted in hard budgets; what no hold has allowed counts in the soft one alone."""
    return tuple(
        Item(
            AMOUNT_CODE,
            {},
            amount_minor=amount,
            budgets=(
                *(key_of(name) for name in sorted(() if tells_only else names)),
                key_of("told"),
            ),
        )
        for amount, names in usage
    )


class Spenders(RuleBasedStateMachine):
    """Two customers who share three hard budgets, and a soft one for everything."""

    def __init__(self) -> None:
        super().__init__()
        self.desk = Desk()
        self.waiting: list[Operation] = []
        self.asked: dict[UUID, tuple[Item, ...]] = {}
        self.spent: list[tuple[str, datetime, int]] = []

    @initialize(thresholds=st.lists(st.integers(1, 150), max_size=3, unique=True))
    def open(self, thresholds: list[int]) -> None:
        for customer in CUSTOMERS:
            self.desk.wallet(customer=customer)
            self.desk.grant(f"{customer}-paid", 5_000, customer=customer)
        for name, window in (WINDOWS | {"told": Rolling(seconds=90)}).items():
            budget_id = key_of(name).budget_id
            self.desk.rows.budgets[budget_id] = BudgetTerms(
                budget_id,
                name,
                name,
                "USD",
                LIMIT,
                name != "told",
                window,
                tuple(Threshold(one, max(0, one - 10)) for one in thresholds),
            )

    def put(self, customer: str, command: Command) -> None:
        self.waiting.append(self.desk.operation(command, customer=customer))
        if len(self.waiting) >= 4:
            self.judge()

    def judge(self) -> None:
        now = self.desk.now
        if not self.waiting:
            return
        for operation, outcome in zip(self.waiting, self.desk.judge(*self.waiting), strict=True):
            command = operation.command
            if isinstance(outcome, Done) and isinstance(command, Authorize):
                self.asked[operation.id] = command.items
            if isinstance(outcome, Done) and isinstance(command, Capture):
                for name in WINDOWS:
                    used = sum(
                        item.amount_minor
                        for item in command.items or ()
                        if key_of(name) in item.budgets
                    )
                    self.spent.append((name, now, used))
        self.waiting = []

    def some_hold(self, data: st.DataObject) -> tuple[str, UUID]:
        self.judge()
        hold = data.draw(st.sampled_from(list(self.desk.rows.holds)[-6:] or [NIL]))
        row = self.desk.rows.holds.get(hold)
        owner = row.customer_id if row else None
        return next((one for one in CUSTOMERS if customer_id(one) == owner), "acme"), hold

    @rule(customer=customers, usage=wanted, is_partial=st.booleans(), expires=st.integers(1, 60))
    def authorize(
        self, customer: str, usage: list[tuple[int, set[str]]], is_partial: bool, expires: int
    ) -> None:
        self.put(
            customer,
            Authorize(customer, "call", USD, items_of(usage), expires, partial=is_partial),
        )

    @rule(data=st.data(), share=st.integers(0, 100), final=st.booleans())
    def capture(self, data: st.DataObject, share: int, final: bool) -> None:
        """A share of what is reserved, item by item, as honest callers do."""
        customer, hold = self.some_hold(data)
        row = self.desk.rows.holds.get(hold)
        if row is None or row.status != "held":
            return
        budgets = sorted(
            {part.key for part in row.budgets if part.starts_at is None},
            key=lambda key: key.budget_id,
        )
        reserved = {
            key: sum(
                part.amount_minor
                for part in row.budgets
                if part.starts_at is None and part.key == key
            )
            for key in budgets
        }
        used = min([row.held_minor, *reserved.values()]) * share // 100
        items = (Item(AMOUNT_CODE, {}, amount_minor=used, budgets=tuple(budgets)),)
        self.put(customer, Capture(hold, f"capture-{self.desk._count}", USD, items, final))
        self.judge()

    @rule(data=st.data(), usage=wanted)
    def extend(self, data: st.DataObject, usage: list[tuple[int, set[str]]]) -> None:
        customer, hold = self.some_hold(data)
        self.put(customer, Extend(hold, USD, items_of(usage), None))

    @rule(data=st.data(), is_void=st.booleans())
    def end(self, data: st.DataObject, is_void: bool) -> None:
        customer, hold = self.some_hold(data)
        self.put(customer, Void(hold, USD) if is_void else Expire(hold, USD))

    @rule(data=st.data(), amount=st.none() | amounts)
    def refund(self, data: st.DataObject, amount: int | None) -> None:
        customer, hold = self.some_hold(data)
        self.put(customer, Refund(hold, USD, "refund", amount))

    @rule(customer=customers, usage=wanted)
    def debit(self, customer: str, usage: list[tuple[int, set[str]]]) -> None:
        (item, *_) = items_of(usage, tells_only=True)
        name = f"event-{self.desk._count}"
        event_id = UUID(int=ids.hash128("event", name))
        self.put(
            customer,
            Debit(event_id, name, item.code, {}, None, customer, None, item, USD),
        )

    @rule(data=st.data(), amount=st.none() | amounts)
    def reverse(self, data: st.DataObject, amount: int | None) -> None:
        self.judge()
        charged = {
            event_id: owner
            for event_id, (owner, row) in self.desk.rows.events.items()
            if row.paid and row.reverses_event_id is None
        }
        event_id = data.draw(st.sampled_from(list(charged)[-6:] or [NIL]))
        customer = next(
            (one for one in CUSTOMERS if customer_id(one) == charged.get(event_id)), "acme"
        )
        self.put(customer, Reverse(event_id, "reversal", USD, amount))

    @rule(seconds=st.integers(0, 90))
    def pass_time(self, seconds: int) -> None:
        self.judge()
        self.desk.pass_time(seconds)

    @rule(hours=st.integers(1, 3))
    def wait_long(self, hours: int) -> None:
        """Nothing is held for that long: the worker ends what is over."""
        self.judge()
        self.desk.pass_time(61)
        for hold in list(self.desk.rows.holds.values()):
            if hold.status == "held":
                owner = next(one for one in CUSTOMERS if customer_id(one) == hold.customer_id)
                self.put(owner, Expire(hold.id, USD))
        self.judge()
        self.desk.pass_time(hours * 3600)

    # -- what always holds -----------------------------------------------------------------------

    @invariant()
    def nothing_is_below_nothing(self) -> None:
        for bucket in self.desk.rows.buckets.values():
            assert bucket.held >= 0
            assert all(amount >= 0 for amount in bucket.spent.values())

    @invariant()
    def a_hard_budget_is_never_passed(self) -> None:
        for name in WINDOWS:
            bucket = self.desk.rows.bucket(key_of(name))
            if bucket is not None:
                assert spent_of(bucket, self.desk.now) + bucket.held <= LIMIT, name

    @invariant()
    def no_minute_ever_had_more_than_the_limit(self) -> None:
        spent = [(at, amount) for name, at, amount in self.spent if name == "minute"]
        if spent:
            end = spent[-1][0]
            recent = [one for at, one in spent if end - timedelta(seconds=60) < at <= end]
            # What was refunded may have been spent again within the minute.
            refunded = sum(hold.refunded_minor for hold in self.desk.rows.holds.values())
            assert sum(recent) <= LIMIT + refunded

    def teardown(self) -> None:
        self.judge()


class TestSpenders(Spenders.TestCase):
    settings = settings(
        max_examples=40,
        stateful_step_count=40,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
