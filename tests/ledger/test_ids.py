"""Ids: ordered by time, derived where they must repeat, never two for one or one for two."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.ids import derive, hash128, house_account, low64, new_id, new_uuid

NOW = datetime(2026, 3, 10, 12, 0, 0, 123_000, tzinfo=UTC)
ORGANIZATION = UUID("01980000-0000-7000-8000-000000000001")


def test_a_new_id_is_a_uuid_of_version_seven_that_begins_with_the_time():
    first = new_uuid(NOW)
    assert first.version == 7
    assert first.variant == "specified in RFC 4122"
    assert first.int >> 80 == 1_773_144_000_123
    later = new_uuid(NOW + timedelta(milliseconds=1))
    assert first < later
    assert str(first) < str(later)


def test_ids_of_one_moment_differ():
    assert len({new_id(NOW) for _ in range(10_000)}) == 10_000


def test_a_time_without_a_zone_is_our_own_bug():
    with pytest.raises(AssertionError):
        new_id(datetime(2026, 3, 10))


def test_a_derived_id_keeps_the_time_of_its_operation():
    operation = new_uuid(NOW)
    leg = derive(operation, "hold:0", 1, organization_id=ORGANIZATION)
    assert leg >> 80 == operation.int >> 80
    assert leg != operation.int


def test_a_derived_id_is_the_same_for_ever():
    # Written down: ids that are in a book may never change.
    operation = UUID("0198c5a0-0000-7000-8000-000000000002")
    leg = derive(operation, "hold:0", 1, organization_id=ORGANIZATION)
    assert leg == derive(operation.int, "hold:0", 1, organization_id=ORGANIZATION.int)
    assert f"{leg:032x}" == "0198c5a000003a9e24c2c36bf0b5a473"


def test_every_part_of_a_derived_id_counts():
    operation = new_uuid(NOW)
    other = new_uuid(NOW)
    ids = {
        derive(operation, "hold:0", 1, organization_id=ORGANIZATION),
        derive(operation, "hold:0", 2, organization_id=ORGANIZATION),
        derive(operation, "hold:1", 1, organization_id=ORGANIZATION),
        derive(operation, 0, 1, organization_id=ORGANIZATION),
        derive(operation, "0", 1, organization_id=ORGANIZATION),
        derive(other, "hold:0", 1, organization_id=ORGANIZATION),
        derive(operation, "hold:0", 1, organization_id=other),
    }
    assert len(ids) == 7


parts = st.lists(
    st.one_of(st.text(max_size=5), st.integers(-5, 300), st.binary(max_size=5)), max_size=4
)


@given(parts, parts)
def test_different_parts_have_different_hashes(one, other):
    tagged = [[(type(part), part) for part in each] for each in (one, other)]
    assert (hash128(*one) == hash128(*other)) == (tagged[0] == tagged[1])


def test_a_hash_is_neither_nothing_nor_everything():
    assert 0 < hash128("a") < 2**128 - 1
    assert hash128("ab", "c") != hash128("a", "bc")
    assert hash128(ORGANIZATION) == hash128(ORGANIZATION.int)


def test_an_account_of_the_house_is_found_without_asking():
    assert house_account(7, "revenue") == house_account(7, "revenue")
    assert house_account(7, "revenue") != house_account(8, "revenue")
    assert house_account(7, "payments:a") != house_account(7, "payments:b")


def test_the_low_half_names_a_transfer():
    assert low64(2**64 + 5) == 5
