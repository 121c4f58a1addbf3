"""What was paid for native units is earned as they are used, and all of it is, to the last unit."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from ledger.chart import AccountCode, house_account_id
from ledger.ids import new_uuid
from tests.conftest import new_ledger
from tests.wallet_service.desk import TOKEN, USD, Desk
from tests.wallet_service.story import Story, as_owner, open_story
from wallet_service import assets
from wallet_service.decision import Asset
from wallet_service.decision.commands import (
    AMOUNT_CODE,
    Debit,
    Funding,
    Item,
    MoveCredits,
    RecogniseRevenue,
    Reverse,
)
from wallet_service.decision.deferred_revenue import revenue_of
from wallet_service.errors import Invalid, NotAllowed
from wallet_service.grants import GrantRequest
from wallet_service.jobs.grants import expire_grants
from wallet_service.jobs.leader import Term
from wallet_service.jobs.revenue import Recogniser
from wallet_service.settings import Settings

TERM = Term(1)
EURO = 10**9


class Shop:
    """Sells GPU hours for euros."""

    def __init__(self, story: Story, hours: Asset, euros: Asset) -> None:
        self.story = story
        self.services = story.services
        self.hours = hours
        self.euros = euros

    async def customer(self, name: str) -> UUID:
        customer = await self.story.customer(name)
        await self.story.wallet(customer, name, asset=self.hours)
        return customer

    async def sell(self, name: str, amount: str, cost_basis: str, **terms: Any) -> UUID:
        """As `POST /grants` does."""
        request = GrantRequest(
            amount=amount,
            kind="paid",
            external_customer_id=name,
            wallet_code="hours",
            transaction_id=f"{name}-{amount}-{cost_basis}",
            cost_basis=cost_basis,
            cost_basis_currency="EUR",
            **terms,
        )
        now = datetime.now(UTC)
        grants = self.services.grants
        return (await grants.create(self.story.organization_id, request, now=now)).id

    async def use(self, customer: UUID, hours: int) -> UUID:
        """Use so many hundredths of an hour; gives the event."""
        now = datetime.now(UTC)
        event_id = new_uuid(now)
        item = Item(AMOUNT_CODE, {}, amount_minor=hours)
        key = f"use-{event_id}"
        command = Debit(event_id, key, item.code, {}, None, None, now, item, self.hours)
        reply = await self.story.commit("event", customer, command)
        return UUID(msgspec.json.decode(reply)["event"]["lago_id"])

    async def recognise(self) -> int:
        return await Recogniser().run(self.services, TERM)

    async def stands(self) -> tuple[int, int, int]:
        """Deferred revenue, revenue and breakage in euros' smallest unit."""
        codes = AccountCode.DEFERRED_REVENUE, AccountCode.REVENUE, AccountCode.BREAKAGE
        ids = [house_account_id(ledger=self.euros.ledger, code=code) for code in codes]
        found = await self.services.ledger.balances(ids)
        first, second, third = (found[one].credits_posted - found[one].debits_posted for one in ids)
        return first, second, third


@pytest.fixture(params=["postgres", "tigerbeetle"])
def engine(request: pytest.FixtureRequest) -> dict[str, str]:
    """Settings of the engine; TigerBeetle is skipped where there is none."""
    if request.param == "postgres":
        return {}
    addresses = request.getfixturevalue("tigerbeetle")
    return {"ledger": "tigerbeetle", "tigerbeetle_addresses": addresses}


@pytest.fixture
async def settings(
    engine: dict[str, str], database_dsn: str, redis_url: str, settings_for: Any
) -> Settings:
    settings = structs.replace(settings_for(database_dsn), redis_url=redis_url, **engine)
    # The tests of all files share one TigerBeetle, so each has ledgers of its own there.
    restart = "alter table wallet.assets alter column ledger restart with"
    await as_owner(settings, f"{restart} {new_ledger()}")
    return settings


@pytest.fixture
async def shop(settings: Settings) -> AsyncIterator[Shop]:
    async with open_story(settings) as story:
        now = datetime.now(UTC)
        place = story.organization_id
        async with story.services.database.tenant(place) as connection:
            hours = await assets.create(
                connection, place, code="HOURS", name="GPU hours", kind="unit", scale=2, now=now
            )
            euros = await assets.find(connection, place, "EUR", now=now)
        yield Shop(story, hours.asset(), euros.asset())


async def test_money_for_units_is_earned_as_they_are_used(shop: Shop):
    acme = await shop.customer("acme")
    await shop.sell("acme", "30", "2.5")
    assert await shop.stands() == (75 * EURO, 0, 0)
    assert await shop.recognise() == 0
    event = await shop.use(acme, 1_000)
    assert await shop.recognise() == 1
    assert await shop.stands() == (50 * EURO, 25 * EURO, 0)
    assert await shop.recognise() == 0
    reverse = Reverse(event, "back", shop.hours, 500)
    await shop.story.commit("reverse", acme, reverse)
    assert await shop.recognise() == 1
    assert await shop.stands() == (62 * EURO + EURO // 2, 12 * EURO + EURO // 2, 0)
    await shop.use(acme, 2_500)
    await shop.recognise()
    assert await shop.stands() == (0, 75 * EURO, 0)


async def test_money_for_units_that_expire_is_breakage(shop: Shop):
    acme = await shop.customer("acme")
    await shop.sell("acme", "3", "33.333333333")
    await shop.use(acme, 100)
    await as_owner(
        shop.services.settings,
        "update wallet.grants set expires_at = now() - interval '1 second'"
        " where deferred_minor > 0",
    )
    assert await expire_grants(shop.services, TERM) == 1
    assert await shop.recognise() == 1
    cost = 99_999_999_999
    assert await shop.stands() == (0, cost - cost * 2 // 3, cost * 2 // 3)
    assert await shop.recognise() == 0


async def test_units_without_a_price_or_given_away_defer_nothing(shop: Shop):
    await shop.customer("acme")
    for kind, basis in (("promotional", "2.5"), ("paid", None)):
        request = GrantRequest(
            amount="3",
            kind=kind,  # type: ignore[arg-type]
            external_customer_id="acme",
            wallet_code="hours",
            transaction_id=kind,
            **({"cost_basis": basis, "cost_basis_currency": "EUR"} if basis else {}),
        )
        await shop.services.grants.create(
            shop.story.organization_id, request, now=datetime.now(UTC)
        )
    assert await shop.story.read("select sum(deferred_minor) from wallet.grants") == 0


async def test_a_price_that_no_account_can_count_is_refused(shop: Shop):
    await shop.customer("acme")
    with pytest.raises(Invalid) as caught:
        await shop.sell("acme", "3", "9999999999999")
    assert "cost_basis" in str(caught.value.__dict__)


async def test_the_round_goes_on_where_it_was(shop: Shop):
    acme = await shop.customer("acme")
    for basis in ("1", "2", "3"):
        await shop.sell("acme", "1", basis)
    await shop.use(acme, 300)
    recogniser = Recogniser(slice_size=2)
    done = [await recogniser.run(shop.services, TERM) for _ in range(2)]
    assert done == [2, 1]
    assert await shop.stands() == (0, 6 * EURO, 0)


def test_who_comes_second_with_an_old_state_earns_nothing():
    desk = Desk()
    desk.wallet("tokens", asset=TOKEN)
    funding = Funding("paid", 10, Decimal(10), 1, cost_basis=Decimal(3), cost_basis_currency="USD")
    desk.do(MoveCredits(desk.ids["tokens"], TOKEN, (funding,), money=USD))
    (grant_id,) = desk.rows.grants
    assert desk.house(AccountCode.DEFERRED_REVENUE) == 30

    def earn(before: int, amount: int) -> RecogniseRevenue:
        return RecogniseRevenue(
            asset=TOKEN,
            money=USD,
            grant_id=grant_id,
            earned_before_minor=before,
            broken_before_minor=0,
            earned_minor=amount,
            broken_minor=0,
        )

    desk.do(earn(0, 12))
    assert isinstance(desk.refusal(earn(0, 9)), NotAllowed)
    desk.do(earn(12, -3))
    assert desk.house(AccountCode.REVENUE) == 9
    assert desk.house(AccountCode.DEFERRED_REVENUE) == 21


@given(
    cost=st.integers(0, 2**63 - 1),
    granted=st.integers(1, 2**63 - 1),
    parts=st.tuples(st.integers(0, 1000), st.integers(0, 1000)),
)
def test_all_of_it_is_earned_or_lost_when_nothing_is_left(
    cost: int, granted: int, parts: tuple[int, int]
):
    left, lost = (granted * part // 1000 for part in parts)
    lost = min(lost, granted - left)
    earned, broken = revenue_of(cost, granted, left=left, lost=lost)
    assert earned >= 0
    assert broken >= 0
    assert earned + broken <= cost
    assert sum(revenue_of(cost, granted, left=0, lost=lost)) == cost
    assert revenue_of(cost, granted, left=granted, lost=0) == (0, 0)
    more, _ = revenue_of(cost, granted, left=max(0, left - 1), lost=lost)
    assert more >= earned
