"""Which fixed charges and minimums a period has where the plan's prices changed within it."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from invoicing import plans
from invoicing.fixed_charges import PlanFixedCharge
from invoicing.plan_terms import ChargeMinimum, PlanTerms, TermsVersion, load_terms
from invoicing.plan_versions import AgreedUnits
from invoicing.plans import PlanChanges
from tests.invoicing.conftest import Desk, price
from tests.rating.metering import at

JUNE = at("2025-06-01"), at("2025-07-01")
JULY = at("2025-07-01"), at("2025-08-01")
SEATS, DESKS = UUID(int=1), UUID(int=2)


def fixed(charge_id: UUID, amount: str, **more: Any) -> PlanFixedCharge:
    return PlanFixedCharge(
        id=charge_id,
        code=f"fixed-{charge_id.int}",
        add_on_id=UUID(int=9),
        add_on_code="seat",
        add_on_name="Seat",
        charge_model="standard",
        properties={"amount": amount},
        units=Decimal(1),
        created_at=at("2025-01-01"),
        **more,
    )


def minimum(amount: int) -> ChargeMinimum:
    return ChargeMinimum(
        charge_id=UUID(int=7),
        billable_metric_id=UUID(int=8),
        billable_metric_code="tokens",
        asset_code="JPY",
        amount=Decimal(amount),
    )


def terms(
    *versions: tuple[datetime, list[PlanFixedCharge], list[ChargeMinimum]],
    units: list[AgreedUnits] | None = None,
) -> PlanTerms:
    return PlanTerms(
        began=versions[0][0],
        code="plan",
        currency="JPY",
        versions=tuple(
            TermsVersion(
                id=UUID(int=number), effective_at=when, fixed_charges=charges, minimums=minimums
            )
            for number, (when, charges, minimums) in enumerate(versions, 1)
        ),
        units={SEATS: units or []},
    )


def prices(charges: list[PlanFixedCharge]) -> list[tuple[UUID, str]]:
    return [(charge.id, charge.properties["amount"]) for charge in charges]


def test_in_arrears_a_period_costs_what_is_agreed_at_its_end() -> None:
    changed = terms(
        (at("2025-01-01"), [fixed(SEATS, "1"), fixed(DESKS, "5")], [minimum(100)]),
        (at("2025-06-15"), [fixed(SEATS, "2")], [minimum(200)]),
        (at("2025-07-01"), [fixed(SEATS, "3")], []),
    )
    assert prices(changed.fixed_in(*JUNE)) == [(SEATS, "2")]
    assert [one.amount for one in changed.minimums_in(*JUNE)] == [200]
    assert prices(changed.fixed_in(*JULY)) == [(SEATS, "3")]
    assert changed.minimums_in(*JULY) == []


def test_in_advance_a_period_costs_what_was_agreed_when_it_was_asked_for() -> None:
    before = [fixed(SEATS, "1", pay_in_advance=True)]
    after = [
        fixed(SEATS, "2", pay_in_advance=True),
        fixed(DESKS, "5", pay_in_advance=True),
    ]
    changed = terms((at("2025-01-01"), before, []), (at("2025-06-15"), after, []))
    assert prices(changed.fixed_in(*JUNE)) == [(SEATS, "1"), (DESKS, "5")]
    assert prices(changed.fixed_in(*JULY)) == [(SEATS, "2"), (DESKS, "5")]
    ended = terms((at("2025-01-01"), before, []), (at("2025-06-15"), [], []))
    assert prices(ended.fixed_in(*JUNE)) == [(SEATS, "1")]
    assert prices(ended.fixed_in(*JULY)) == []


def test_the_first_version_is_in_force_since_ever() -> None:
    young = terms((at("2026-01-01"), [fixed(SEATS, "1")], []))
    assert prices(young.fixed_in(*JUNE)) == [(SEATS, "1")]


def test_a_subscription_begins_with_the_units_that_were_agreed_by_then() -> None:
    agreed = [
        AgreedUnits(units=Decimal(units), effective_at=at(when), applies_immediately=at_once)
        for units, when, at_once in (
            (10, "2025-03-01", False),
            (12, "2025-05-10", False),
            (15, "2025-06-10", True),
            (20, "2025-06-12", False),
        )
    ]
    sold = terms((at("2025-03-01"), [fixed(SEATS, "1")], []), units=agreed)

    def changes(started: str) -> list[tuple[str, int]]:
        found = sold.changes_of(SEATS, at(started), lambda _: at("2025-07-01"))
        return [(f"{change.at:%m-%d}", int(change.units)) for change in found]

    assert changes("2025-06-01") == [("06-01", 12), ("06-10", 15), ("07-01", 20)]
    assert changes("2025-06-11") == [("06-11", 15), ("07-01", 20)]
    assert changes("2025-01-01")[0] == ("01-01", 10)  # before there was such a plan


def test_a_version_that_is_tried_was_there_from_the_beginning_with_its_own_units() -> None:
    changed = terms(
        (at("2025-01-01"), [fixed(SEATS, "1")], []), (at("2025-06-15"), [fixed(SEATS, "2")], [])
    )
    tried = changed.only(UUID(int=2))
    assert prices(tried.fixed_in(*JUNE)) == [(SEATS, "2")]
    (change,) = tried.changes_of(SEATS, at("2024-06-01"), lambda at: at)
    assert (change.at, change.units) == (at("2024-06-01"), 1)


async def test_versions_that_were_replaced_before_a_time_are_not_read(desk: Desk) -> None:
    await desk.tokens()
    plan = await desk.plan("plan", price("0", min_amount_cents=100))
    began = desk.now
    for number in (1, 2, 3):
        changed = [price(str(number), code="tokens", min_amount_cents=100)]
        await plans.update(
            *desk.place, "plan", PlanChanges(), changed, now=desk.clock.advance(days=10)
        )
    place = *desk.place, plan.id
    times = [began + timedelta(days=days) for days in (0, 10, 20, 30)]
    for since, there in (
        (began - timedelta(days=1), times),
        (began + timedelta(days=10), times[1:]),
        (began + timedelta(days=19), times[1:]),
        (began + timedelta(days=99), times[3:]),
    ):
        found = await load_terms(*place, since=since)
        assert ([one.effective_at for one in found.versions], found.began) == (there, began)
        assert all(len(one.minimums) == 1 for one in found.versions)
        shorter = await load_terms(*place, since=since, with_minimums=False)
        assert [len(one.minimums) for one in shorter.versions] == [0 for _ in there]
