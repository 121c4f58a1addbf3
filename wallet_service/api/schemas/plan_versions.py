"""The versions of plans on the wire."""

from datetime import datetime
from uuid import UUID

from msgspec import Struct

from invoicing.pages import Page, Window
from invoicing.plan_versions import ListedVersion
from invoicing.price_changes import PriceChange
from wallet_service.api.pagination import Meta, meta
from wallet_service.api.schemas.formats import iso_seconds


class PlanVersionBody(Struct, kw_only=True):
    """A version: from when on it prices usage, and what it changed in the one before it.

    `status` is `in_force`, `scheduled` (it waits for its time), `past`, or `replaced` (another was
    published for the same time). `changes_count` counts the charges that differ; of very many, not
    all are in `changes`. Both are null where a version is older than their being noted.
    """

    id: str
    version: int
    status: str
    effective_at: str
    changes: list[PriceChange] | None
    changes_count: int | None

    @classmethod
    def of(cls, version: ListedVersion, *, in_force: UUID, now: datetime) -> "PlanVersionBody":
        """Show a version."""
        return cls(
            id=str(version.id),
            version=version.version,
            status=_status(version, in_force=in_force, now=now),
            effective_at=iso_seconds(version.effective_at),
            changes=version.changes.entries if version.changes else None,
            changes_count=version.changes.count if version.changes else None,
        )


class PlanVersionsReply(Struct):
    """A page of versions."""

    versions: list[PlanVersionBody]
    meta: Meta

    @classmethod
    def of(
        cls, page: Page[ListedVersion], window: Window, *, in_force: UUID, now: datetime
    ) -> "PlanVersionsReply":
        """Show a page of versions."""
        bodies = [PlanVersionBody.of(item, in_force=in_force, now=now) for item in page.items]
        return cls(bodies, meta(page, window))


def _status(version: ListedVersion, *, in_force: UUID, now: datetime) -> str:
    if version.id == in_force:
        return "in_force"
    if version.is_replaced:
        return "replaced"
    return "scheduled" if version.effective_at > now else "past"
