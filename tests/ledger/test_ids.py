"""Ids: ordered by time, derived where they must repeat, never two for one or one for two."""

import doctest
import pickle
from datetime import UTC, datetime, timedelta
from uuid import UUID

import asyncpg.pgproto.pgproto
import pytest
from hypothesis import given
from hypothesis import strategies as st

import ledger.ids
from ledger.ids import derive, hash128, house_account, low64, new_id, new_uuid, uuid_of

NOW = datetime(2026, 3, 10, 12, 0, 0, 123_000, tzinfo=UTC)
ORGANIZATION = UUID("01980000-0000-7000-8000-000000000001")
OPERATION = UUID("0198c5a0-0000-7000-8000-000000000002")


def test_the_examples_in_the_text_are_true():
    assert doctest.testmod(ledger.ids).failed == 0


@given(st.integers(0, 2**128 - 1))
def test_a_uuid_of_a_number_is_the_one_that_python_makes(number):
    made, expected = uuid_of(number), UUID(int=number)
    assert made == expected
    assert hash(made) == hash(expected)
    assert (str(made), made.is_safe) == (str(expected), expected.is_safe)
    assert pickle.loads(pickle.dumps(made)) == expected
    assert type(made) is UUID


@pytest.mark.parametrize("number", [-1, 2**128])
def test_a_number_that_is_no_id_is_our_own_bug(number):
    with pytest.raises(AssertionError):
        uuid_of(number)


def test_a_uuid_of_a_number_cannot_be_changed():
    with pytest.raises(TypeError):
        uuid_of(5).int = 6


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


@pytest.mark.parametrize(
    ("leg", "attempt", "written"),
    [
        (3, 0, "0198c5a00000e20d4ab0dd8aeacc54d2"),
        ("legal:é", 12, "0198c5a00000afb63945e34666e5ab46"),
    ],
)
def test_derived_ids_of_every_kind_are_the_same_for_ever(leg, attempt, written):
    derived = derive(OPERATION, leg, attempt, organization_id=ORGANIZATION)
    assert f"{derived:032x}" == written


@pytest.mark.parametrize(
    ("parts", "written"),
    [
        ((), "cae66941d9efbd404e4d88758ea67670"),
        (("",), "18ab59bbcde6ecef01632569fdff8f6c"),
        ((ORGANIZATION, "authorization", "job-1"), "a6f1bc4783656b83b41b574b569ee9c8"),
        ((ORGANIZATION, OPERATION, "USD", "overage"), "b677f530ba6e56d6f83211be762b3aa8"),
        ((-5, 0, 2**128 - 1), "f55a058d22a44dc964d9207cc3d93c74"),
        ((b"\x00ab",), "0a9fa5aa9367ba84271b919a5cb325d8"),
        (("Zoë", True), "95f09dc5ad59d2b3a6a45e0ef17f053d"),
    ],
)
def test_a_hash_is_the_same_for_ever(parts, written):
    assert f"{hash128(*parts):032x}" == written


def test_an_account_of_the_house_has_the_same_id_for_ever():
    assert f"{house_account(7, 'revenue'):032x}" == "f8eaf7a4c3d146c0f6aecbfb02a82ea5"
    assert f"{house_account(7, 'payments:stripe'):032x}" == "6dcc12f30e85264986e4c351c543e94b"


def test_ids_as_the_database_gives_them_count_as_the_same():
    stored = asyncpg.pgproto.pgproto.UUID(str(OPERATION))
    assert hash128(stored) == hash128(OPERATION)
    assert derive(stored, "hold:0", 1, organization_id=ORGANIZATION) == derive(
        OPERATION, "hold:0", 1, organization_id=ORGANIZATION
    )


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
