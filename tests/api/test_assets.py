"""Assets over HTTP: currencies from the start, native units that are made."""

import asyncpg
import pytest


def make(api, **terms):
    return api.post("/assets", json={"asset": terms})


def test_a_native_unit_is_made_found_and_listed_first(api):
    answer = make(api, code="GPU_HOUR", name="GPU hours", scale=4)
    assert answer.status_code == 200, answer.text
    asset = answer.json()["asset"]
    assert (asset["code"], asset["kind"], asset["scale"]) == ("GPU_HOUR", "unit", 4)
    assert api.get("/assets/GPU_HOUR").json()["asset"] == asset
    listed = api.get("/assets").json()
    kinds = [item["kind"] for item in listed["assets"]]
    assert kinds == sorted(kinds, reverse=True)
    assert asset in listed["assets"]
    assert listed["meta"]["total_count"] > 150


def test_currencies_are_there_from_the_start(api):
    asset = api.get("/assets/EUR").json()["asset"]
    assert (asset["kind"], asset["scale"]) == ("money", 9)


@pytest.mark.parametrize(
    ("terms", "details"),
    [
        ({"code": "lower"}, {"code": ["invalid_format"]}),
        ({"code": "USD"}, {"code": ["value_already_exist"]}),
        ({"code": "٣٣"}, {"code": ["invalid_format"]}),
        ({"kind": "money"}, {"kind": ["value_is_invalid"]}),
        ({"scale": 19}, {"scale": ["value_is_out_of_range"]}),
        ({"scale": -1}, {"scale": ["value_is_out_of_range"]}),
        ({"name": " "}, {"name": ["value_is_mandatory"]}),
        ({"colour": "red"}, {"colour": ["unknown_field"]}),
        ({"name": None}, {"name": ["value_is_mandatory"]}),
    ],
)
def test_what_cannot_be_is_refused_by_its_field(api, terms, details):
    answer = make(api, **{"code": "SOME_UNIT", "name": "Some unit", **terms})
    assert answer.status_code == 422, answer.text
    assert answer.json()["error_details"] == details


def test_a_code_is_given_once(api):
    assert make(api, code="ONCE", name="Once").status_code == 200
    answer = make(api, code="ONCE", name="Twice")
    assert answer.json()["error_details"] == {"code": ["value_already_exist"]}


def test_each_organization_has_units_of_its_own(api, other_api):
    make(api, code="OURS", name="Ours", scale=2)
    answer = other_api.get("/assets/OURS")
    assert (answer.status_code, answer.json()["code"]) == (404, "asset_not_found")
    assert make(other_api, code="OURS", name="Theirs", scale=3).status_code == 200
    assert api.get("/assets/OURS").json()["asset"]["scale"] == 2
    assert api.get("/assets/NOTHING").status_code == 404


async def test_looking_at_assets_uses_up_no_ledgers(api, service):
    api.get("/assets")
    connection = await asyncpg.connect(service.dsn)
    sequence = await connection.fetchval("select pg_get_serial_sequence('wallet.assets', 'ledger')")
    before = await connection.fetchval(f"select last_value from {sequence}")
    api.get("/assets")
    assert await connection.fetchval(f"select last_value from {sequence}") == before
    await connection.close()
