"""Plans change at once or at the end of a period; what waits starts, ends, or is given up."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from invoicing import (
    default_billing_entity,
    invoices,
    plans,
    subscription_changes,
    subscriptions,
)
from invoicing.activation_rules import ActivationRule
from invoicing.billing_schedule import due_moments
from invoicing.charge_changes import ChargeChanges
from invoicing.customers import CustomerChanges, upsert
from invoicing.errors import Invalid
from invoicing.invoices import Invoice
from invoicing.minimum_commitments import CommitmentChanges
from invoicing.pages import Window
from invoicing.plan_overrides import PlanOverrides
from invoicing.plans import PlanChanges
from invoicing.subscription_moves import move_due
from invoicing.subscription_requests import SubscriptionChanges, SubscriptionRequest
from invoicing.subscriptions import Subscription
from invoicing.usage_thresholds import ThresholdChanges
from ledger.ids import new_uuid
from tests.invoicing.conftest import Desk, cost, price

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)


class Heard:
    """Remembers what was told."""

    def __init__(self) -> None:
        self.words: list[tuple[str, str]] = []

    async def __call__(self, word: str, subscription: Subscription) -> None:
        self.words.append((word.removeprefix("subscription."), subscription.plan_code))


@pytest.fixture
async def heard() -> Heard:
    return Heard()


@pytest.fixture
async def march(desk: Desk) -> Desk:
    desk.clock.now = NOON
    for code, cents in (("small", 1000), ("middle", 2000), ("large", 3000)):
        await desk.plan(code, amount_cents=cents)
    return desk


async def subscribe(desk: Desk, plan: str, *, tell: Heard | None = None, **fields) -> Subscription:
    known = {"external_id": "sub", "external_customer_id": "acme", "plan_code": plan}
    request = SubscriptionRequest(**(known | fields))
    return await subscription_changes.create(
        *desk.place, request, tell=tell or Heard(), now=desk.now
    )


async def moved(desk: Desk) -> list[tuple[str, str]]:
    found = await move_due(desk.connection, now=desk.now)
    return [(move.word, move.subscription.plan_code) for move in found]


async def test_an_upgrade_keeps_the_anchor_and_the_trial(march: Desk, heard: Heard) -> None:
    await plans.update(*march.place, "large", PlanChanges(trial_period=Decimal(30)), now=march.now)
    first = await subscribe(march, "small", tell=heard, billing_time="anniversary", name="Mine")
    march.clock.advance(days=5)
    second = await subscribe(march, "middle", tell=heard)
    march.clock.advance(days=5)
    third = await subscribe(march, "large", tell=heard)
    assert heard.words == [
        ("started", "small"),
        ("terminated", "small"),
        ("started", "middle"),
        ("terminated", "middle"),
        ("started", "large"),
    ]
    assert (third.subscription_at, third.billing_time) == (first.subscription_at, "anniversary")
    assert (third.started_at, third.first_started_at) == (march.now, first.started_at)
    assert (third.name, third.previous_plan_code) == ("Mine", "middle")
    old = (
        await subscriptions.of_ids(march.connection, [(march.organization_id, second.id)])
    ).popitem()[1]
    assert (old.is_upgraded, old.terminated_at, old.next_plan_code) == (True, march.now, "large")
    march.clock.now = first.started_at + timedelta(days=30)
    assert await moved(march) == [("trial_ended", "large")]
    assert await moved(march) == []
    shown = await subscriptions.get(*march.place, "sub")
    assert shown.trial_ended_at == march.now


async def test_a_cheaper_plan_waits_for_the_end_of_the_period(march: Desk, heard: Heard) -> None:
    first = await subscribe(march, "large")
    march.clock.advance(days=1)
    answered = await subscribe(march, "small", tell=heard)
    assert (answered.id, answered.plan_code, answered.next_plan_code) == (
        first.id,
        "large",
        "small",
    )
    assert answered.downgrade_plan_date is not None
    assert answered.downgrade_plan_date.isoformat() == "2026-04-01"
    waits = await subscriptions.get(*march.place, "sub", statuses=("pending",))
    assert (waits.plan_code, waits.previous_plan_code) == ("small", "large")
    assert heard.words == [("updated", "large")]
    march.clock.now = datetime(2026, 3, 31, 23, 59, tzinfo=UTC)
    assert await moved(march) == []
    march.clock.now = datetime(2026, 4, 1, 0, 0, 30, tzinfo=UTC)
    assert await moved(march) == [("terminated", "large"), ("started", "small")]
    after = await subscriptions.get(*march.place, "sub")
    assert after.started_at == datetime(2026, 4, 1, tzinfo=UTC)
    assert after.first_started_at == first.started_at
    assert await moved(march) == []
    due = await due_moments(
        march.connection, now=march.now, limit=10, organization_id=march.organization_id
    )
    assert [(one.moment.reason, one.subscription.id) for one in due] == [
        ("subscription_terminating", first.id)
    ]


async def test_the_period_of_a_cheaper_plan_ends_where_the_customer_lives(march: Desk) -> None:
    await upsert(*march.place, "acme", CustomerChanges(timezone="Asia/Tokyo"), now=march.now)
    await subscribe(march, "large")
    await subscribe(march, "small")
    march.clock.now = datetime(2026, 3, 31, 15, 0, 1, tzinfo=UTC)
    assert [word for word, _ in await moved(march)] == ["terminated", "started"]


async def test_the_last_word_counts_of_plans_that_wait(march: Desk, heard: Heard) -> None:
    await subscribe(march, "large")
    await subscribe(march, "middle")
    await subscribe(march, "small", tell=heard)
    assert heard.words == [("canceled", "middle"), ("updated", "large")]
    same = await subscribe(march, "large")
    assert same.downgrade_plan_date is None
    march.clock.now = datetime(2026, 4, 2, tzinfo=UTC)
    assert await moved(march) == []


async def test_an_end_takes_what_waits_for_it_along(march: Desk, heard: Heard) -> None:
    await subscribe(march, "large")
    await subscribe(march, "small")
    await subscription_changes.terminate(*march.place, "sub", tell=heard, now=march.now)
    assert heard.words == [("canceled", "small"), ("terminated", "large")]
    march.clock.now = datetime(2026, 4, 2, tzinfo=UTC)
    assert await moved(march) == []


async def test_what_was_agreed_to_end_earlier_is_followed_by_nothing(march: Desk) -> None:
    await subscribe(march, "large", ending_at=march.now + timedelta(days=3))
    await subscribe(march, "small")
    march.clock.advance(days=4)
    assert await moved(march) == [("terminated", "large"), ("canceled", "small")]


async def test_one_that_has_not_begun_changes_its_plan_where_it_is(march: Desk) -> None:
    later = march.now + timedelta(days=3)
    first = await subscribe(march, "large", subscription_at=later)
    changed = await subscribe(march, "small")
    assert (changed.id, changed.plan_code, changed.status) == (first.id, "small", "pending")
    moves = SubscriptionChanges(wanted_start=later + timedelta(days=1))
    moved_on = await subscription_changes.update(
        *march.place, "sub", moves, statuses=("pending",), now=march.now
    )
    assert moved_on.subscription_at == later + timedelta(days=1)
    march.clock.advance(days=5)
    assert await moved(march) == [("started", "small")]


async def test_its_owner_is_told_of_an_end_before_it_comes(march: Desk) -> None:
    await subscribe(march, "small", ending_at=march.now + timedelta(days=60))
    await subscribe(march, "small", external_id="soon", ending_at=march.now + timedelta(days=20))
    told = []
    for _ in range(61):
        told += [(word, march.now - NOON) for word, _ in await moved(march)]
        march.clock.advance(days=1)
    assert told == [
        ("termination_alert", timedelta(days=5)),
        ("termination_alert", timedelta(days=15)),
        ("terminated", timedelta(days=20)),
        ("termination_alert", timedelta(days=45)),
        ("terminated", timedelta(days=60)),
    ]


def payment(desk: Desk, hours: int = 0) -> ActivationRule:
    return ActivationRule(
        id=new_uuid(desk.now), timeout_hours=hours, created_at=desk.now, updated_at=desk.now
    )


async def prepaid(desk: Desk) -> None:
    changes = PlanChanges(
        code="prepaid",
        name="Prepaid",
        interval="monthly",
        amount_cents=1000,
        amount_currency="USD",
        pay_in_advance=True,
    )
    await plans.create(*desk.place, changes, now=desk.now)


async def test_what_is_to_be_paid_first_waits_and_begins_once_it_is(
    march: Desk, heard: Heard
) -> None:
    await prepaid(march)
    waits = await subscribe(march, "prepaid", tell=heard, activation_rules=[payment(march)])
    assert (waits.status, heard.words) == ("incomplete", [("incomplete", "prepaid")])
    [due] = await due_moments(
        march.connection, now=march.now, limit=10, organization_id=march.organization_id
    )
    assert due.moment.reason == "subscription_starting"
    with pytest.raises(Invalid) as refused:
        await subscribe(march, "large")
    assert refused.value.details == {"external_id": ["subscription_incomplete"]}
    march.clock.advance(60)
    assert await moved(march) == []
    await invoice_of(march, waits, payment_status="pending")
    assert await moved(march) == []
    await pay(march, "succeeded")
    assert await moved(march) == [("started", "prepaid")]
    active = await subscriptions.get(*march.place, "sub")
    assert (active.activated_at, active.started_at) == (march.now, waits.started_at)
    assert active.activation_rules[0]["status"] == "satisfied"
    march.clock.now = datetime(2026, 4, 1, tzinfo=UTC)
    [next_due] = await due_moments(
        march.connection, now=march.now, limit=10, organization_id=march.organization_id
    )
    assert next_due.moment.reason == "subscription_periodic"


async def test_what_waits_to_be_paid_is_billed_for_nothing_else(march: Desk) -> None:
    await prepaid(march)
    await subscribe(march, "prepaid", activation_rules=[payment(march)])
    march.clock.now = datetime(2026, 5, 2, tzinfo=UTC)
    found = await due_moments(
        march.connection, now=march.now, limit=10, organization_id=march.organization_id
    )
    assert [one.moment.reason for one in found] == ["subscription_starting"]


async def invoice_of(desk: Desk, subscription: Subscription, *, payment_status: str) -> None:
    """Its first invoice, as the billing run makes it."""
    await default_billing_entity.ensure(*desk.place, now=desk.now)
    found = await desk.connection.fetchval(
        "select id from invoicing.billing_entities where organization_id = $1", desk.organization_id
    )
    invoice = Invoice(
        organization_id=desk.organization_id,
        id=new_uuid(desk.now),
        customer_id=subscription.customer_id,
        billing_entity_id=found,
        invoice_type="subscription",
        status="finalized",
        payment_status=payment_status,
        currency="USD",
        issuing_date=desk.now.date(),
        payment_due_date=desk.now.date(),
        net_payment_term=0,
        timezone="UTC",
        content_hash=b"",
        finalized_at=desk.now,
        created_at=desk.now,
        updated_at=desk.now,
    )
    await invoices.insert(desk.connection, invoice)
    await desk.connection.execute(
        "insert into invoicing.billed_periods (organization_id, subscription_id, billing_at,"
        " reason, plan_id, invoice_id, created_at)"
        " values ($1, $2, $3, 'subscription_starting', $4, $5, $6)",
        desk.organization_id,
        subscription.id,
        subscription.started_at,
        subscription.plan_id,
        invoice.id,
        desk.now,
    )


async def pay(desk: Desk, payment_status: str) -> None:
    await desk.connection.execute(
        "update invoicing.invoices set payment_status = $2 where organization_id = $1",
        desk.organization_id,
        payment_status,
    )


async def test_what_is_not_paid_in_time_never_begins(march: Desk) -> None:
    await prepaid(march)
    first = await subscribe(march, "prepaid", activation_rules=[payment(march, 24)])
    declined = await subscribe(
        march, "prepaid", external_id="declined", activation_rules=[payment(march)]
    )
    await invoice_of(march, declined, payment_status="failed")
    assert await moved(march) == [("canceled", "prepaid")]
    key = march.organization_id, declined.id
    given_up = (await subscriptions.of_ids(march.connection, [key]))[key]
    assert (given_up.status, given_up.cancellation_reason) == ("canceled", "payment_failed")
    march.clock.advance(days=2)
    assert await moved(march) == [("canceled", "prepaid")]
    key = march.organization_id, first.id
    canceled = (await subscriptions.of_ids(march.connection, [key]))[key]
    assert canceled.cancellation_reason == "timeout"
    assert canceled.activation_rules[0]["status"] == "expired"


async def test_rules_hold_for_what_begins_later_and_not_for_what_costs_nothing_first(
    march: Desk,
) -> None:
    await prepaid(march)
    at_once = await subscribe(march, "small", activation_rules=[payment(march)])
    assert at_once.status == "active"
    later = march.now + timedelta(days=1)
    rules = [payment(march, 48)]
    await subscribe(
        march, "prepaid", external_id="later", subscription_at=later, activation_rules=rules
    )
    march.clock.advance(days=1)
    assert await moved(march) == [("incomplete", "prepaid")]
    march.clock.advance(days=3)
    assert await moved(march) == [("canceled", "prepaid")]
    with pytest.raises(Invalid):
        await subscribe(march, "large", activation_rules=[payment(march)])


async def test_a_subscription_may_have_its_own_prices_and_terms(march: Desk) -> None:
    await march.tokens()
    plan = await plans.update(
        *march.place, "small", PlanChanges(), [price("2", code="tokens")], now=march.now
    )
    overrides = PlanOverrides(
        amount_cents=500,
        trial_period=Decimal(3),
        minimum_commitment=CommitmentChanges(amount_cents=9000),
        usage_thresholds=[
            ThresholdChanges(amount_cents=100),
            ThresholdChanges(amount_cents=50, recurring=True),
        ],
        charges=[ChargeChanges(id=plan.charges[0].id, properties={"amount": "1"})],
    )
    own = await subscribe(march, "small", plan_overrides=overrides)
    other = await subscribe(march, "small", external_id="other")
    assert (own.plan_code, own.plan_amount_cents) == ("small", 500)
    assert (other.plan_code, other.plan_amount_cents) == ("small", 1000)
    assert await cost(march, own.plan_version_id, tokens=10, model="o3") == Decimal(10)
    assert await cost(march, other.plan_version_id, tokens=10, model="o3") == Decimal(20)
    copy = await plans.get(*march.place, own.own_plan_code, now=march.now)
    assert copy.minimum_commitment is not None
    assert [one.amount_cents for one in copy.usage_thresholds] == [100, 50]
    assert copy.charges[0].id == plan.charges[0].id
    listed = await plans.find_all(*march.place, window=Window(size=100), now=march.now)
    assert sorted(one.code for one in listed.items) == ["large", "middle", "small"]
    assert next(one for one in listed.items if one.code == "small").active_subscriptions_count == 2
    mine = await subscriptions.find_all(*march.place, window=Window(size=10), plan_code="small")
    assert {one.id for one in mine.items} == {own.id, other.id}


async def test_overrides_may_come_later_and_change_again(march: Desk) -> None:
    first = await subscribe(march, "small")
    for cents in (700, 800):
        changes = SubscriptionChanges(plan_overrides=PlanOverrides(amount_cents=cents))
        changed = await subscription_changes.update(*march.place, "sub", changes, now=march.now)
        assert (changed.id, changed.plan_code, changed.plan_amount_cents) == (
            first.id,
            "small",
            cents,
        )
    with pytest.raises(Invalid) as refused:
        await subscribe(
            march, "large", plan_overrides=PlanOverrides(charges=[ChargeChanges(code="no")])
        )
    assert refused.value.details == {"plan_overrides.charges.0.id": ["charge_not_found"]}
    upgraded = await subscribe(march, "large", plan_overrides=PlanOverrides(amount_cents=100_000))
    assert (upgraded.plan_code, upgraded.plan_amount_cents) == ("large", 100_000)


async def test_a_withdrawn_plan_ends_those_who_had_it_with_prices_of_their_own(march: Desk) -> None:
    await subscribe(march, "small", plan_overrides=PlanOverrides(amount_cents=1))
    await plans.delete(*march.place, "small", now=march.now)
    ended = await subscriptions.get(*march.place, "sub", statuses=("terminated",))
    assert ended.terminated_at == march.now


@pytest.mark.parametrize(
    "thresholds",
    [
        [ThresholdChanges()],
        [ThresholdChanges(amount_cents=0)],
        [ThresholdChanges(amount_cents=2**63)],
        [ThresholdChanges(amount_cents=1), ThresholdChanges(amount_cents=1)],
        [
            ThresholdChanges(amount_cents=1, recurring=True),
            ThresholdChanges(amount_cents=2, recurring=True),
        ],
    ],
)
async def test_thresholds_that_say_nothing_clear_are_refused(march: Desk, thresholds) -> None:
    with pytest.raises(Invalid):
        await plans.update(
            *march.place, "small", PlanChanges(wanted_thresholds=thresholds), now=march.now
        )


async def test_thresholds_keep_their_ids_and_stand_by_amount(march: Desk) -> None:
    async def put(*amounts: int) -> list[tuple[str, int]]:
        wanted = PlanChanges(
            wanted_thresholds=[ThresholdChanges(amount_cents=one) for one in amounts]
        )
        plan = await plans.update(*march.place, "small", wanted, now=march.now)
        return [(str(one.id), one.amount_cents) for one in plan.usage_thresholds]

    first = await put(500, 100)
    assert [amount for _, amount in first] == [100, 500]
    assert (await put(500, 900))[0] == first[1]
    untouched = await plans.update(*march.place, "small", PlanChanges(name="S"), now=march.now)
    assert len(untouched.usage_thresholds) == 2
