import asyncio
from datetime import datetime

import pytest
from msgspec import UNSET

from invoicing import catalogue_versions, customers, subscription_changes, subscriptions
from invoicing.customers import CustomerChanges, MetadataEntry
from invoicing.errors import Invalid, NotFound
from invoicing.pages import Window
from invoicing.subscription_requests import SubscriptionRequest
from ledger.ids import new_uuid
from tests.conftest import Clock
from tests.invoicing.conftest import Desk
from wallet_service.database import Database


async def test_what_is_left_out_stays_and_null_clears(desk: Desk) -> None:
    first = CustomerChanges(name="Acme", email="a@acme.test", currency="EUR")
    created = await customers.upsert(*desk.place, "acme", first, now=desk.now)
    second = CustomerChanges(name=UNSET, email=None, city="Berlin")
    changed = await customers.upsert(*desk.place, "acme", second, now=desk.clock.advance(5))
    assert changed.id == created.id
    assert (changed.name, changed.email, changed.city) == ("Acme", None, "Berlin")
    assert (changed.currency, changed.updated_at) == ("EUR", desk.now)
    assert changed.created_at == created.created_at


async def test_metadata_is_replaced_and_named_entries_keep_their_id(desk: Desk) -> None:
    entries = [MetadataEntry(key="tier", value="gold"), MetadataEntry(key="region", value="eu")]
    before = await customers.upsert(
        *desk.place, "acme", CustomerChanges(), metadata=entries, now=desk.now
    )
    tier = next(entry for entry in before.metadata if entry["key"] == "tier")
    after = await customers.upsert(
        *desk.place,
        "acme",
        CustomerChanges(),
        metadata=[MetadataEntry(id=tier["id"], value="silver")],
        now=desk.now,
    )
    assert [(entry["id"], entry["key"], entry["value"]) for entry in after.metadata] == [
        (tier["id"], "tier", "silver")
    ]


async def test_billing_configuration_is_merged(desk: Desk) -> None:
    grace = CustomerChanges(billing_configuration={"invoice_grace_period": 3})
    locale = CustomerChanges(billing_configuration={"document_locale": "fr"})
    await customers.upsert(*desk.place, "acme", grace, now=desk.now)
    merged = await customers.upsert(*desk.place, "acme", locale, now=desk.now)
    assert merged.billing_configuration == {"invoice_grace_period": 3, "document_locale": "fr"}


async def test_a_deleted_customer_is_gone_and_its_id_is_free_again(desk: Desk) -> None:
    gone = await customers.upsert(*desk.place, "acme", CustomerChanges(name="Old"), now=desk.now)
    await customers.delete(*desk.place, "acme", now=desk.now)
    with pytest.raises(NotFound):
        await customers.get(*desk.place, "acme")
    assert (await customers.find_all(*desk.place, window=Window())).total_count == 0
    back = await customers.upsert(*desk.place, "acme", CustomerChanges(), now=desk.now)
    assert back.id != gone.id
    assert back.name is None


async def test_the_subscriptions_of_a_deleted_customer_end(desk: Desk) -> None:
    await desk.plan("free")
    request = SubscriptionRequest(external_id="s", external_customer_id="acme", plan_code="free")
    await subscription_changes.create(*desk.place, request, now=desk.now)
    before = await catalogue_versions.current(*desk.place)
    await customers.delete(*desk.place, "acme", now=desk.clock.advance(60))
    ended = await subscriptions.get(*desk.place, "s", statuses=("terminated",))
    assert ended.terminated_at == desk.now
    assert await catalogue_versions.current(*desk.place) > before


async def test_a_search_finds_parts_of_names_and_ids(desk: Desk) -> None:
    for external_id, name in (("acme", "Acme Inc."), ("glob", "Globex"), ("in%_", "Initech")):
        changes = CustomerChanges(name=name)
        await customers.upsert(*desk.place, external_id, changes, now=desk.clock.advance(1))
    found = {
        search: [
            customer.external_id
            for customer in (
                await customers.find_all(*desk.place, window=Window(), search=search)
            ).items
        ]
        for search in ("ACME", "glo", "%_", "nobody")
    }
    assert found == {"ACME": ["acme"], "glo": ["glob"], "%_": ["in%_"], "nobody": []}


async def test_all_that_is_wrong_is_told_at_once(desk: Desk) -> None:
    changes = CustomerChanges(currency="XXX", timezone="Nowhere", country="Germany")
    with pytest.raises(Invalid) as refused:
        await customers.upsert(*desk.place, "acme", changes, now=desk.now)
    assert set(refused.value.details) == {"currency", "timezone", "country"}


async def test_two_that_come_first_at_once_make_one_customer(
    module_database: Database, clock: Clock
) -> None:
    organization_id = new_uuid(clock.now)

    async def upsert(now: datetime, **fields: str) -> object:
        async with module_database.tenant(organization_id) as connection:
            changes = CustomerChanges(**fields)
            customer = await customers.upsert(connection, organization_id, "acme", changes, now=now)
            return customer.id

    ids = await asyncio.gather(
        upsert(clock.now, name="Acme"),
        upsert(clock.now, city="Berlin"),
        upsert(clock.now, currency="EUR"),
    )
    assert len(set(ids)) == 1
    async with module_database.tenant(organization_id) as connection:
        customer = await customers.get(connection, organization_id, "acme")
    assert (customer.name, customer.city, customer.currency) == ("Acme", "Berlin", "EUR")
