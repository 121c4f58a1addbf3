"""What plans give and subscriptions have, and what is asked of it in the end."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from invoicing import (
    entitlements,
    features,
    plan_entitlements,
    privileges,
    subscription_changes,
    subscription_entitlements,
    subscriptions,
)
from invoicing.access import Bar, Limit
from invoicing.entitlements import Difference, Entitlement
from invoicing.errors import Invalid, NotFound
from invoicing.features import Feature, FeatureChanges
from invoicing.privileges import Privilege, PrivilegeChanges, PrivilegeConfig
from invoicing.subscription_requests import SubscriptionRequest
from rating.errors import InvalidQuantity
from tests.invoicing.conftest import Desk


def shown(found: list[Entitlement]) -> dict[str, dict[str, object]]:
    """Entitlements as a caller would write them."""
    return {
        one.feature.code: {granted.privilege.code: granted.value for granted in one.privileges}
        for one in found
    }


@pytest.fixture
async def shop(desk: Desk) -> Desk:
    """Two features, a plan, and a subscription to it."""
    for code in ("seats", "sso"):
        await features.create(
            *desk.place,
            FeatureChanges(code=code),
            [
                PrivilegeChanges(code="max", value_type="integer"),
                PrivilegeChanges(code="root", value_type="boolean"),
            ],
            now=desk.clock.advance(1),
        )
    await desk.plan("plan")
    await subscribe(desk, "plan")
    return desk


async def subscribe(desk: Desk, plan_code: str) -> None:
    request = SubscriptionRequest(
        external_id="acme", external_customer_id="acme", plan_code=plan_code
    )
    await subscription_changes.create(*desk.place, request, now=desk.now)


async def give(desk: Desk, *, replaces: bool = True, plan: str = "plan", **wanted: Any) -> Any:
    return shown(
        await plan_entitlements.put(*desk.place, plan, wanted, replaces=replaces, now=desk.now)
    )


async def differ(desk: Desk, **wanted: Any) -> Any:
    return shown(await subscription_entitlements.merge(*desk.place, "acme", wanted, now=desk.now))


async def had(desk: Desk) -> Any:
    return shown(await subscription_entitlements.find_all(*desk.place, "acme"))


async def test_a_plan_gives_what_was_set_last(shop: Desk) -> None:
    assert await give(shop, seats={"max": 5}, sso=None) == {"seats": {"max": 5}, "sso": {}}
    assert await give(shop, seats={"root": "true"}) == {"seats": {"root": True}}
    assert await give(shop) == {}


async def test_a_merge_leaves_what_it_does_not_name_and_null_takes_away(shop: Desk) -> None:
    await give(shop, seats={"max": 5, "root": True})
    assert await give(shop, replaces=False, sso={"max": "7"}) == {
        "seats": {"max": 5, "root": True},
        "sso": {"max": 7},
    }
    assert await give(shop, replaces=False, seats={"max": 6, "root": None}) == {
        "seats": {"max": 6},
        "sso": {"max": 7},
    }


async def test_a_plan_loses_a_privilege_or_a_feature(shop: Desk) -> None:
    await give(shop, seats={"max": 5, "root": True}, sso={})
    left = await plan_entitlements.delete_privilege(
        *shop.place, "plan", "seats", "max", now=shop.now
    )
    assert shown([left]) == {"seats": {"root": True}}
    gone = await plan_entitlements.delete(*shop.place, "plan", "seats")
    assert shown([gone]) == {"seats": {"root": True}}
    assert shown(await plan_entitlements.find_all(*shop.place, "plan")) == {"sso": {}}
    for again in (
        plan_entitlements.delete(*shop.place, "plan", "seats"),
        plan_entitlements.get(*shop.place, "plan", "seats"),
        plan_entitlements.delete_privilege(*shop.place, "plan", "sso", "max", now=shop.now),
        plan_entitlements.find_all(*shop.place, "no-plan"),
    ):
        with pytest.raises(NotFound):
            await again


async def test_a_subscription_has_its_plans_and_its_own(shop: Desk) -> None:
    await give(shop, seats={"max": 5, "root": False})
    assert await had(shop) == {"seats": {"max": 5, "root": False}}
    assert await differ(shop, seats={"max": 9}, sso={"root": True}) == {
        "seats": {"max": 9, "root": False},
        "sso": {"root": True},
    }
    (seats, sso) = await subscription_entitlements.find_all(*shop.place, "acme")
    assert (seats.overrides, sso.overrides) == ({"max": 9}, {"root": True})
    assert seats.privileges[0].plan_value == 5
    await give(shop, seats={"max": 6})
    assert await had(shop) == {"seats": {"max": 9}, "sso": {"root": True}}
    assert await differ(shop, seats={"max": None}) == {"seats": {"max": 6}, "sso": {"root": True}}


async def test_what_is_removed_of_a_subscription_comes_back_when_it_is_named(shop: Desk) -> None:
    await give(shop, seats={"max": 5, "root": True})
    await differ(shop, seats={"max": 9})
    removed = await subscription_entitlements.remove_privilege(
        *shop.place, "acme", "seats", "max", now=shop.now
    )
    assert shown([removed]) == {"seats": {"root": True}}
    assert await had(shop) == {"seats": {"root": True}}
    assert await differ(shop, seats={"max": None}) == {"seats": {"max": 5, "root": True}}
    gone = await subscription_entitlements.remove(*shop.place, "acme", "seats", now=shop.now)
    assert shown([gone]) == {"seats": {"max": 5, "root": True}}
    assert await had(shop) == {}
    with pytest.raises(NotFound):
        await subscription_entitlements.remove(*shop.place, "acme", "seats", now=shop.now)
    with pytest.raises(NotFound):
        await subscription_entitlements.remove_privilege(
            *shop.place, "acme", "seats", "max", now=shop.now
        )
    assert await differ(shop, seats={"root": False}) == {"seats": {"max": 5, "root": False}}


async def test_what_a_subscription_had_of_its_own_is_gone_when_removed(shop: Desk) -> None:
    await differ(shop, sso={"max": 3, "root": True})
    await subscription_entitlements.remove_privilege(
        *shop.place, "acme", "sso", "max", now=shop.now
    )
    assert await had(shop) == {"sso": {"root": True}}
    await subscription_entitlements.remove(*shop.place, "acme", "sso", now=shop.now)
    await give(shop, sso={"max": 1})
    assert await had(shop) == {"sso": {"max": 1}}


async def test_another_plan_begins_without_the_differences_of_the_last(shop: Desk) -> None:
    await differ(shop, seats={"max": 9})
    await desk_plan(shop, "bigger", sso={"max": 1})
    shop.clock.advance(1)
    await subscribe(shop, "bigger")
    assert await had(shop) == {"sso": {"max": 1}}
    ended = await subscription_entitlements.find_all(*shop.place, "acme", statuses=("terminated",))
    assert shown(ended) == {"seats": {"max": 9}}


async def desk_plan(desk: Desk, code: str, **wanted: Any) -> None:
    await desk.plan(code, amount_cents=100)
    await give(desk, plan=code, **wanted)


async def test_all_that_is_wrong_is_named_and_nothing_is_stored(shop: Desk) -> None:
    await give(shop, seats={"max": 5})
    wrong: dict[str, Any] = {
        "seats": {"max": "many", "min": 1, "root": 1},
        "cloud": {},
        "sso": ["max"],
        "": {},
    }
    details = {
        "seats.max": ["value_is_invalid"],
        "seats.min": ["privilege_not_found"],
        "seats.root": ["value_is_invalid"],
        "cloud": ["feature_not_found"],
        "sso": ["value_is_invalid"],
        "base": ["feature_not_found"],
    }
    with pytest.raises(Invalid) as refused:
        await give(shop, **wrong)
    assert refused.value.details == details
    with pytest.raises(Invalid) as refused:
        await differ(shop, **wrong)
    assert refused.value.details == details
    assert await had(shop) == {"seats": {"max": 5}}


async def test_a_deleted_feature_is_had_by_nobody(shop: Desk) -> None:
    await give(shop, seats={"max": 5})
    await differ(shop, seats={"max": 9})
    await features.delete(*shop.place, "seats", now=shop.now)
    assert await had(shop) == {}
    shop.clock.advance(1)
    await features.create(*shop.place, FeatureChanges(code="seats"), now=shop.now)
    assert await had(shop) == {}


# -- values ----------------------------------------------------------------------------------------

COUNT = Privilege(code="p", value_type="integer")
TOKENS = Privilege(
    code="p", value_type="integer", config=PrivilegeConfig(limited_property="tokens")
)
SWITCH = Privilege(code="p", value_type="boolean")
CHOICE = Privilege(code="p", value_type="select", config=PrivilegeConfig(select_options=["a", "b"]))
NOTE = Privilege(code="p")


@pytest.mark.parametrize(
    ("privilege", "value", "read"),
    [
        (COUNT, 10, 10),
        (COUNT, "10", 10),
        (COUNT, -1, -1),
        (COUNT, 2**63 - 1, 2**63 - 1),
        (TOKENS, 0, 0),
        (SWITCH, True, True),
        (SWITCH, "false", False),
        (CHOICE, "a", "a"),
        (NOTE, "", ""),
        (NOTE, "10", "10"),
    ],
)
def test_a_value_is_read_by_the_privileges_type(
    privilege: Privilege, value: object, read: object
) -> None:
    found = privileges.read_value(privilege, value, place="f.p")
    assert (found, type(found)) == (read, type(read))


@pytest.mark.parametrize(
    ("privilege", "value", "code"),
    [
        (COUNT, True, "value_is_invalid"),
        (COUNT, Decimal("1.0"), "value_is_invalid"),
        (COUNT, "1.0", "value_is_invalid"),
        (COUNT, "١", "value_is_invalid"),
        (COUNT, "1" * 4_000, "value_is_invalid"),
        (COUNT, 2**63, "value_is_out_of_range"),
        (COUNT, "9" * 19, "value_is_out_of_range"),
        (TOKENS, -1, "value_is_out_of_range"),
        (SWITCH, 1, "value_is_invalid"),
        (SWITCH, "yes", "value_is_invalid"),
        (SWITCH, [], "value_is_invalid"),
        (CHOICE, "c", "value_is_invalid"),
        (CHOICE, ["a"], "value_is_invalid"),
        (NOTE, 10, "value_is_invalid"),
        (NOTE, {}, "value_is_invalid"),
        (NOTE, "x" * 256, "value_is_too_long"),
    ],
)
def test_a_value_of_another_type_is_refused(privilege: Privilege, value: object, code: str) -> None:
    with pytest.raises(Invalid) as refused:
        privileges.read_value(privilege, value, place="f.p")
    assert refused.value.details == {"f.p": [code]}


# -- what counts in the end ------------------------------------------------------------------------

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
CODES = ("a", "b", "c")
VALUES = st.dictionaries(st.sampled_from(CODES), st.integers(0, 9))
CHANGES = st.lists(
    st.one_of(
        st.dictionaries(st.sampled_from(CODES), st.none() | st.integers(0, 9)),
        st.sampled_from(CODES),
    ),
    max_size=6,
)


def feature(code: str = "f", **fields: Any) -> Feature:
    return Feature(
        organization_id=UUID(int=1),
        id=UUID(int=len(code)),
        code=code,
        created_at=NOON,
        updated_at=NOON,
        **fields,
    )


@given(plan_values=VALUES, changes=CHANGES)
def test_merges_and_removals_come_to_what_a_dictionary_would_say(
    plan_values: dict[str, int], changes: list[dict[str, int | None] | str]
) -> None:
    subject = feature(privileges=[Privilege(code=code, value_type="integer") for code in CODES])
    difference, model = Difference(), dict(plan_values)
    for change in changes:
        if isinstance(change, dict):
            difference = entitlements.merged(difference, change)
            for code, value in change.items():
                if value is not None:
                    model[code] = value
                elif code in plan_values:
                    model[code] = plan_values[code]
                else:
                    model.pop(code, None)
        elif change in model:
            difference = entitlements.without(difference, change, plan_values)
            del model[change]
    (found,) = entitlements.effective([subject], {subject.id: (plan_values, difference)})
    assert {one.privilege.code: one.value for one in found.privileges} == model
    own = {one.privilege.code: one.override_value for one in found.privileges}
    assert found.overrides == {code: value for code, value in own.items() if value is not None}


# -- asking ----------------------------------------------------------------------------------------


def access_of(*, is_entitled: bool, value: int | None = 1_000) -> Any:
    gated = feature(
        "gpt",
        privileges=[
            Privilege(
                code="max_per_call",
                value_type="integer",
                config=PrivilegeConfig(limited_property="tokens"),
            )
        ],
        billable_metric_codes=["input", "output"],
    )
    free = feature("support")
    values = {} if value is None else {"max_per_call": value}
    rows = {gated.id: (values, None)} if is_entitled else {}
    found = entitlements.effective([gated, free], rows)
    return entitlements.compile_access([gated, free], found)


def test_usage_of_a_features_metrics_is_for_the_entitled_only() -> None:
    barred, open_ = access_of(is_entitled=False), access_of(is_entitled=True)
    assert barred.features == {"gpt": False, "support": False}
    assert barred.bar("input", {"tokens": 1}) == Bar("gpt")
    assert barred.bar("images", {"tokens": 10**9}) is None
    assert open_.bar("input", {"tokens": 1_000}) is None
    assert open_.bar("output", {}) is None


def test_a_limit_is_of_one_item_and_names_what_was_given() -> None:
    access = access_of(is_entitled=True)
    limit = Limit("max_per_call", "tokens", 1_000)
    bar = access.bar("output", {"tokens": "1000.000000000000000001"})
    assert bar == Bar("gpt", limit, Decimal("1000.000000000000000001"))
    assert access.bar("output", {"tokens": None}) is None
    assert access_of(is_entitled=True, value=None).bar("output", {"tokens": 10**9}) is None
    for odd in ("many", True, Decimal("NaN"), 10**40, [1_001], {}):
        with pytest.raises(InvalidQuantity):
            access.bar("input", {"tokens": odd})


def test_a_metric_of_several_features_needs_all_of_them() -> None:
    first = feature("a", billable_metric_codes=["tokens"])
    second = feature("bb", billable_metric_codes=["tokens"])
    found = entitlements.effective([first, second], {first.id: ({}, None)})
    access = entitlements.compile_access([first, second], found)
    assert access.bar("tokens", {}) == Bar("bb")


async def test_a_subscription_is_asked_by_its_id(shop: Desk) -> None:
    await give(shop, seats={})
    every = await features.find_every(*shop.place)
    subscription = await subscriptions.get(*shop.place, "acme")
    load = subscription_entitlements.load_access
    access = await load(*shop.place, subscription.id, every)
    assert access.features == {"seats": True, "sso": False}
    nobody = await load(*shop.place, None, every)
    assert nobody.features == {"seats": False, "sso": False}
    shop.clock.advance(1)
    await subscription_changes.terminate(*shop.place, "acme", now=shop.now + timedelta(days=1))
    assert await load(*shop.place, subscription.id, every) == access
