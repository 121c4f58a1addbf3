"""Features and their privileges, as an organization keeps them."""

import pytest

from invoicing import billable_metrics, catalogue_versions, features, plan_entitlements
from invoicing.billable_metrics import MetricChanges
from invoicing.errors import Invalid, NotFound
from invoicing.features import Feature, FeatureChanges
from invoicing.pages import Window
from invoicing.privileges import PrivilegeChanges, PrivilegeConfig
from tests.invoicing.conftest import Desk

MAX = PrivilegeChanges(code="max", name="Maximum", value_type="integer")
PROVIDER = PrivilegeChanges(
    code="provider", value_type="select", select_options=["google", "okta", "google"]
)


async def seats(desk: Desk, *privileges: PrivilegeChanges, **changes: object) -> Feature:
    """A feature with some privileges."""
    given = FeatureChanges(**({"code": "seats", "name": "Seats"} | changes))
    return await features.create(*desk.place, given, privileges, now=desk.now)


async def test_a_feature_is_kept_with_its_privileges_in_order(desk: Desk) -> None:
    made = await seats(desk, MAX, PROVIDER, PrivilegeChanges(code="note"))
    assert await features.get(*desk.place, "seats") == made
    assert [(one.code, one.value_type, one.name) for one in made.privileges] == [
        ("max", "integer", "Maximum"),
        ("provider", "select", None),
        ("note", "string", None),
    ]
    assert made.privileges[1].config == PrivilegeConfig(select_options=["google", "okta"])


async def test_every_change_of_a_feature_moves_the_catalogues_version(desk: Desk) -> None:
    versions = [await catalogue_versions.current(*desk.place)]
    await seats(desk, MAX, PROVIDER)
    versions.append(await catalogue_versions.current(*desk.place))
    await features.update(*desk.place, "seats", FeatureChanges(name="Places"), now=desk.now)
    versions.append(await catalogue_versions.current(*desk.place))
    await features.delete_privilege(*desk.place, "seats", "max", now=desk.now)
    versions.append(await catalogue_versions.current(*desk.place))
    await features.delete(*desk.place, "seats", now=desk.now)
    versions.append(await catalogue_versions.current(*desk.place))
    assert versions == sorted(set(versions))


async def test_a_change_of_privileges_leaves_the_unnamed_ones_and_adds_options(desk: Desk) -> None:
    await seats(desk, MAX, PROVIDER)
    more = [
        PrivilegeChanges(code="provider", name="SSO", select_options=["azure"]),
        PrivilegeChanges(code="root", value_type="boolean"),
    ]
    after = await features.update(*desk.place, "seats", FeatureChanges(), more, now=desk.now)
    assert [one.code for one in after.privileges] == ["max", "provider", "root"]
    assert after.privileges[0].name == "Maximum"
    assert after.privileges[1].name == "SSO"
    assert after.privileges[1].config.select_options == ["google", "okta", "azure"]


async def test_a_privilege_keeps_its_type(desk: Desk) -> None:
    await seats(desk, MAX)
    with pytest.raises(Invalid) as refused:
        await features.update(
            *desk.place,
            "seats",
            FeatureChanges(),
            [PrivilegeChanges(code="max", value_type="string")],
            now=desk.now,
        )
    assert refused.value.details == {"privileges.0.value_type": ["value_is_invalid"]}


async def test_a_code_is_there_once_kept_and_free_after_deletion(desk: Desk) -> None:
    await seats(desk)
    with pytest.raises(Invalid) as refused:
        await seats(desk)
    assert refused.value.details == {"code": ["value_already_exist"]}
    with pytest.raises(Invalid) as refused:
        await features.update(*desk.place, "seats", FeatureChanges(code="places"), now=desk.now)
    assert refused.value.details == {"code": ["value_is_invalid"]}
    await features.delete(*desk.place, "seats", now=desk.now)
    with pytest.raises(NotFound):
        await features.get(*desk.place, "seats")
    await seats(desk)


async def test_what_is_wrong_with_privileges_is_named_all_at_once(desk: Desk) -> None:
    wrong = [
        PrivilegeChanges(code=" "),
        PrivilegeChanges(code="a", value_type="number"),
        PrivilegeChanges(code="b", value_type="select"),
        PrivilegeChanges(code="c", value_type="string", select_options=["x"]),
        PrivilegeChanges(code="d", value_type="select", select_options=[" "]),
        PrivilegeChanges(code="e", value_type="boolean", limited_property="tokens"),
        PrivilegeChanges(code="f", value_type="integer", limited_property=""),
        PrivilegeChanges(code="f", value_type="integer"),
    ]
    with pytest.raises(Invalid) as refused:
        await seats(desk, *wrong)
    assert refused.value.details == {
        "privileges.0.code": ["value_is_mandatory"],
        "privileges.1.value_type": ["value_is_invalid"],
        "privileges.2.config.select_options": ["value_is_mandatory"],
        "privileges.3.config.select_options": ["value_is_invalid"],
        "privileges.4.config.select_options": ["value_is_invalid"],
        "privileges.5.config.property": ["value_is_invalid"],
        "privileges.6.config.property": ["value_is_invalid"],
        "privileges.7.code": ["value_is_duplicated"],
        "privileges.7.config.property": ["value_is_invalid"],
    }


async def test_there_is_an_end_to_privileges_and_features(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    many = [PrivilegeChanges(code=f"p{number}") for number in range(60)]
    await seats(desk, *many)
    more = [PrivilegeChanges(code=f"q{number}") for number in range(41)]
    with pytest.raises(Invalid) as refused:
        await features.update(*desk.place, "seats", FeatureChanges(), more, now=desk.now)
    assert refused.value.details == {"privileges": ["invalid_count"]}
    monkeypatch.setattr(features, "FEATURES_MAX", 1)
    with pytest.raises(Invalid) as refused:
        await seats(desk, code="another")
    assert refused.value.details == {"code": ["feature_limit_reached"]}


async def test_a_feature_follows_its_metrics_when_they_are_renamed_or_deleted(desk: Desk) -> None:
    await desk.tokens("tokens")
    await desk.tokens("words")
    await seats(desk, billable_metric_codes=["words", "tokens", "words"])
    renamed = MetricChanges(code="phrases")
    await billable_metrics.update(*desk.place, "words", renamed, now=desk.now)
    after = await features.get(*desk.place, "seats")
    assert after.billable_metric_codes == ["phrases", "tokens"]
    await billable_metrics.delete(*desk.place, "tokens", now=desk.now)
    await features.update(*desk.place, "seats", FeatureChanges(name="x"), now=desk.now)
    assert (await features.get(*desk.place, "seats")).billable_metric_codes == ["phrases"]


async def test_a_metric_that_is_not_there_is_named_by_its_place(desk: Desk) -> None:
    await desk.tokens("tokens")
    with pytest.raises(Invalid) as refused:
        await seats(desk, billable_metric_codes=["tokens", "words"])
    assert refused.value.details == {"billable_metric_codes.1": ["billable_metric_not_found"]}


async def test_a_deleted_privilege_takes_its_values_along(desk: Desk) -> None:
    await seats(desk, MAX)
    await desk.plan("plan")
    wanted = {"seats": {"max": 5}}
    await plan_entitlements.put(*desk.place, "plan", wanted, replaces=True, now=desk.now)
    await features.delete_privilege(*desk.place, "seats", "max", now=desk.now)
    again = [PrivilegeChanges(code="max", value_type="string")]
    await features.update(*desk.place, "seats", FeatureChanges(), again, now=desk.now)
    assert (await plan_entitlements.get(*desk.place, "plan", "seats")).privileges == []
    with pytest.raises(NotFound):
        await features.delete_privilege(*desk.place, "seats", "min", now=desk.now)


async def test_a_list_is_searched_in_code_name_and_description(desk: Desk) -> None:
    await seats(desk)
    desk.clock.advance(1)
    await seats(desk, code="sso", name=None, description="Sign in with a provider")
    page = await features.find_all(*desk.place, window=Window())
    assert [one.code for one in page.items] == ["sso", "seats"]
    for search, codes in (("SEAT", ["seats"]), ("provider", ["sso"]), ("%", [])):
        page = await features.find_all(*desk.place, window=Window(), search=search)
        assert ([one.code for one in page.items], page.total_count) == (codes, len(codes))
