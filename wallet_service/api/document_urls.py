"""The addresses at which documents open without a key, as bodies show them (`file_url`)."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Protocol, TypeAlias
from uuid import UUID

from litestar import Request
from litestar.di import NamedDependency
from msgspec import Struct

from invoicing.records import Connection
from wallet_service import document_links
from wallet_service.api import dependencies
from wallet_service.document_forms import Form
from wallet_service.document_links import Link
from wallet_service.documents.document import Kind

__all__ = ["LINK_PATH", "DocumentUrls", "Urls", "base_url", "provide_urls"]

LINK_PATH: Final = "/documents"
_STEP_S: Final = 3600


class _Document(Protocol):
    file_url: str | None

    @property
    def lago_id(self) -> UUID | str: ...


class DocumentUrls(Struct, frozen=True, kw_only=True):
    """Whose documents open where, and until when."""

    organization_id: UUID
    base: str
    expires_at: datetime
    may_link: bool
    """Whether the key that asks may be given links."""
    now: datetime

    async def show(self, connection: Connection, kind: Kind, bodies: Sequence[_Document]) -> None:
        """Say of each where its PDF opens; it is made when somebody comes."""
        if not bodies or not self.may_link:
            return
        secret = await document_links.secret_of(connection, self.organization_id, now=self.now)
        for body in bodies:
            link = Link(
                organization_id=self.organization_id,
                kind=kind,
                form=Form.PDF,
                document_id=UUID(str(body.lago_id)),
                expires_at=self.expires_at,
            )
            body.file_url = f"{self.base}{LINK_PATH}/{document_links.sign(link, secret)}"


Urls: TypeAlias = NamedDependency[DocumentUrls]


def provide_urls(
    request: Request[Any, Any, Any],
    tenant: dependencies.Tenant,
    services: dependencies.Services,
    now: dependencies.Now,
) -> DocumentUrls:
    """Where documents open for whoever asks. Links last to the full hour, so they repeat."""
    lasts = int((now + timedelta(seconds=services.settings.document_link_s)).timestamp())
    until = datetime.fromtimestamp(lasts - lasts % -_STEP_S, UTC)
    return DocumentUrls(
        organization_id=tenant.organization_id,
        base=base_url(request, services.settings.public_url),
        expires_at=until,
        may_link=tenant.may("write", "documents"),
        now=now,
    )


def base_url(request: Request[Any, Any, Any], public_url: str) -> str:
    """Where callers find this service: as it is set, or as this one has found it."""
    return (public_url or str(request.base_url)).rstrip("/")
