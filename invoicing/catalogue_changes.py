"""Whom a change of the catalogue concerned, where that was single customers and subscriptions.

Written in the transaction of the change, under the version that it made. A version that nothing was
written for concerned everybody, so whoever forgets to say it, or has it cleaned away, costs time
and nothing else.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from msgspec import Struct

from invoicing import catalogue_versions
from invoicing.records import Connection, load_queries

__all__ = [
    "CHANGES_MAX",
    "Concerned",
    "Standing",
    "bump_for_subscription",
    "concern_customer",
    "concern_plan",
    "concern_subscriptions",
    "find_since",
]

_queries: Final = load_queries(__file__)

CHANGES_MAX: Final = 1_000
"""Of so many changes it is found out whom they concerned; where there were more, everybody."""
_CONCERNED_MAX: Final = 1_000
"""A change of more subscriptions than this concerns everybody."""


class Concerned(Struct):
    """Those whom changes were about, by all the names that they are looked up by."""

    external_customer_ids: set[str]
    external_subscription_ids: set[str]
    subscription_ids: set[UUID]
    plan_ids: set[UUID]
    """Made for one subscription alone; other plans concern everybody."""


class Standing(Struct):
    """The version of a catalogue, and whom the changes concerned since one that was known."""

    version: int
    concerned: Concerned | None
    """None: everybody, or nobody knows."""


async def bump_for_subscription(
    connection: Connection,
    organization_id: UUID,
    external_id: str,
    *,
    external_customer_id: str | None = None,
) -> None:
    """As `catalogue_versions.bump`, for a change that concerns one subscription alone.

    It is those that have or had this external id, and one that the customer is being given.
    """
    version = await catalogue_versions.bump(connection, organization_id)
    named = () if external_customer_id is None else (external_customer_id,)
    await concern_subscriptions(
        connection, organization_id, version, [external_id], external_customer_ids=named
    )


async def concern_subscriptions(
    connection: Connection,
    organization_id: UUID,
    version: int,
    external_ids: Sequence[str],
    *,
    external_customer_ids: Sequence[str] = (),
) -> None:
    """Say that a version differs by subscriptions of these ids alone, and those who have them.

    And by the customers of these ids, who may be given them yet.
    """
    await _queries.concern_subscriptions(
        connection,
        organization_id=organization_id,
        version=version,
        external_ids=list(external_ids),
        external_customer_ids=list(external_customer_ids),
        limit=_CONCERNED_MAX,
    )


async def concern_customer(
    connection: Connection, organization_id: UUID, version: int, customer_id: UUID
) -> None:
    """Say that a version differs by one customer, and so by its subscriptions, alone."""
    await _queries.concern_customer(
        connection,
        organization_id=organization_id,
        version=version,
        customer_id=customer_id,
        limit=_CONCERNED_MAX,
    )


async def concern_plan(
    connection: Connection, organization_id: UUID, version: int, plan_id: UUID
) -> None:
    """Say that a version differs by a plan that was made for one subscription alone."""
    await _queries.concern_plan(
        connection,
        organization_id=organization_id,
        version=version,
        plan_id=plan_id,
        limit=_CONCERNED_MAX,
    )


async def find_since(
    connection: Connection, known: Mapping[UUID, int | None]
) -> dict[UUID, Standing]:
    """Where the catalogues of organizations stand, by the version that is known of each.

    Of many organizations at once: for a role that sees all of them.
    """
    rows: list[Any] = await connection.fetch(
        _queries.find_since.sql, list(known), list(known.values()), CHANGES_MAX
    )
    by_organization: dict[UUID, list[Any]] = {}
    for row in rows:
        by_organization.setdefault(row["organization_id"], []).append(row)
    return {one: _standing(known[one], changes) for one, changes in by_organization.items()}


def _standing(known: int | None, rows: Sequence[Any]) -> Standing:
    version: int = rows[0]["version"]
    concerned = Concerned(set(), set(), set(), set())
    written = 0
    for row in rows:
        if row["changed_to"] is not None:
            written += 1
            concerned.external_customer_ids.update(row["external_customer_ids"])
            concerned.external_subscription_ids.update(row["external_subscription_ids"])
            concerned.subscription_ids.update(row["subscription_ids"])
            concerned.plan_ids.update(row["plan_ids"])
    is_whole = known is not None and written == version - known
    return Standing(version, concerned if is_whole else None)
