"""Price lists: exact where they are clear, and silent about nothing that they are not."""

from decimal import Decimal

import pytest

from wallet_service.price_lists import (
    PRICE_FIELDS,
    InvalidPriceList,
    ModelPrices,
    Reason,
    Skipped,
    read_price_list,
    well_known,
)


def prices_of(entry: str) -> dict[str, Decimal]:
    """Read a list of one model."""
    (model,) = read_price_list(b'{"a-model": %s}' % entry.encode()).models
    return model.prices


def skipped_of(entry: str) -> list[tuple[Reason, str | None]]:
    """What was left out of a list of one model."""
    price_list = read_price_list(b'{"a-model": %s}' % entry.encode())
    return [(skipped.reason, skipped.field) for skipped in price_list.skipped]


def test_prices_are_read_exactly() -> None:
    assert prices_of(
        '{"input_cost_per_token": 1.5e-07, "output_cost_per_token": 1.9999999999999999e-07,'
        ' "cache_read_input_token_cost": 0.000000075, "cache_creation_input_token_cost": 2}'
    ) == {
        "llm_input_tokens": Decimal("0.00000015"),
        "llm_output_tokens": Decimal("0.00000019999999999999999"),
        "llm_cache_read_tokens": Decimal("0.000000075"),
        "llm_cache_write_tokens": Decimal(2),
    }


def test_what_is_not_priced_stays_without_a_price() -> None:
    assert prices_of('{"input_cost_per_token": 1e-6, "output_cost_per_token": null}') == {
        "llm_input_tokens": Decimal("0.000001")
    }


def test_a_model_listed_at_zero_is_free() -> None:
    price_list = read_price_list(b'{"local": {"input_cost_per_token": 0.0}}')
    assert price_list.models == (
        ModelPrices(model="local", prices={"llm_input_tokens": Decimal(0)}),
    )
    assert price_list.models[0].is_free


@pytest.mark.parametrize(
    "other_price",
    ['"input_cost_per_query": 0.002', '"input_cost_per_token_above_128k_tokens": 1e-6'],
)
def test_a_zero_beside_a_price_in_another_unit_is_not_free(other_price: str) -> None:
    entry = f'{{"input_cost_per_token": 0.0, "output_cost_per_token": 1e-6, {other_price}}}'
    assert prices_of(entry) == {"llm_output_tokens": Decimal("0.000001")}
    assert skipped_of(entry) == [(Reason.OTHER_UNIT, "input_cost_per_token")]


def test_a_model_sold_by_the_query_is_not_free_by_the_token() -> None:
    price_list = read_price_list(
        b'{"reranker": {"input_cost_per_token": 0, "output_cost_per_token": 0,'
        b' "input_cost_per_query": 0.002}}'
    )
    assert price_list.models == ()
    assert price_list.skipped == (Skipped(model="reranker", reason=Reason.OTHER_UNIT),)


@pytest.mark.parametrize(
    "number", ["-1e-7", '"1.5e-07"', "true", "[]", "{}", "1E+1000000", "1e-31", "1e18"]
)
def test_a_price_that_is_no_plain_number_is_left_out_and_named(number: str) -> None:
    entry = f'{{"input_cost_per_token": {number}, "output_cost_per_token": 1e-6}}'
    assert prices_of(entry) == {"llm_output_tokens": Decimal("0.000001")}
    assert skipped_of(entry) == [(Reason.INVALID_PRICE, "input_cost_per_token")]


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        ("[]", Reason.INVALID_ENTRY),
        ("null", Reason.INVALID_ENTRY),
        ("{}", Reason.NO_TOKEN_PRICE),
        ('{"output_cost_per_image": 0.04}', Reason.NO_TOKEN_PRICE),
        ('{"tiered_pricing": [{"input_cost_per_token": 5e-8}]}', Reason.TIERS_ONLY),
    ],
)
def test_an_entry_without_prices_is_left_out_and_named(entry: str, reason: Reason) -> None:
    assert skipped_of(entry) == [(reason, None)]


@pytest.mark.parametrize("name", ["", " gpt", "gpt\\n", "gpt\\u0000", "m" * 256])
def test_a_name_nobody_could_send_is_left_out(name: str) -> None:
    price_list = read_price_list(b'{"%s": {"input_cost_per_token": 1}}' % name.encode())
    assert [skipped.reason for skipped in price_list.skipped] == [Reason.INVALID_NAME]


def test_the_entry_that_documents_the_file_is_no_model() -> None:
    price_list = read_price_list(b'{"sample_spec": {"input_cost_per_token": 0.0}}')
    assert price_list.models == ()
    assert price_list.skipped == (Skipped(model="sample_spec", reason=Reason.EXAMPLE),)
    assert price_list.entries == 1


def test_dearer_prices_for_long_contexts_are_noticed() -> None:
    price_list = read_price_list(
        b'{"long": {"input_cost_per_token": 1e-6, "input_cost_per_token_above_200k_tokens": 2e-6}}'
    )
    assert price_list.models[0].has_tiers


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{", b'{"a": NaN}', b"\xff", b'"gpt-4o"', b"[" * 100_000]
)
def test_a_file_that_is_no_price_list_is_refused(content: bytes) -> None:
    with pytest.raises(InvalidPriceList):
        read_price_list(content)


def test_the_list_that_comes_with_the_service_is_clean() -> None:
    price_list = well_known()
    prices = {model.model: model.prices for model in price_list.models}
    assert price_list.skipped == ()
    assert len(prices) >= 30
    assert prices["gpt-4o"]["llm_input_tokens"] == Decimal("0.0000025")
    assert prices["gpt-4o"]["llm_output_tokens"] == Decimal("0.00001")
    assert all({"llm_input_tokens", "llm_output_tokens"} <= set(each) for each in prices.values())
    assert not any(model.is_free for model in price_list.models)
    assert {code for each in prices.values() for code in each} == set(PRICE_FIELDS)
